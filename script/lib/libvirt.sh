# shellcheck shell=bash
# libvirtd: running, and open to user kvmweb. A daemon that others started is never reconfigured or restarted here.

LIBVIRTD_CONFIG=/run/kvmweb/libvirtd.conf

libvirt_answers() { timeout 20 virsh -q -c "$KVMWEB_LIBVIRT_URI" uri >/dev/null 2>&1; }
libvirt_answers_kvmweb() { as_kvmweb timeout 20 virsh -q -c "$KVMWEB_LIBVIRT_URI" uri >/dev/null 2>&1; }

# Without an init system there is no polkit, and libvirt's default would refuse everyone but root.
write_libvirtd_config() {
  install -d -m 0755 /run/kvmweb
  {
    grep -vE '^[[:space:]]*(unix_sock_group|unix_sock_rw_perms|auth_unix_rw)[[:space:]]*=' /etc/libvirt/libvirtd.conf || true
    echo 'unix_sock_group = "libvirt"'
    echo 'unix_sock_rw_perms = "0770"'
    echo 'auth_unix_rw = "none"'
  } >"$LIBVIRTD_CONFIG"
}

# system_has DAEMON: the system's own, by its pid file; others of that name may be those of somebody's session.
system_has() {
  local pid
  pid=$(cat "/run/$1.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

start_libvirt() {
  local unit try
  if has_systemd; then
    say "Starting libvirt (systemctl enable --now)"
    for unit in libvirtd virtqemud virtnetworkd virtstoraged virtnodedevd virtnwfilterd virtsecretd virtproxyd; do
      # RHEL 9 has both kinds; there the monolithic daemon is the old one
      if [ "$unit" = libvirtd ] && systemctl cat virtqemud.socket >/dev/null 2>&1; then continue; fi
      if systemctl cat "$unit.socket" >/dev/null 2>&1; then systemctl enable --quiet --now "$unit.socket" || true; fi
    done
  else
    say "Starting virtlogd and libvirtd (no init system does it here)"
    write_libvirtd_config
    # The daemons outlive this script: they must not keep its locks.
    system_has virtlogd || virtlogd -d 4<&- 5<&- || true
    system_has libvirtd || libvirtd -d --config "$LIBVIRTD_CONFIG" 4<&- 5<&- || true
  fi
  for try in $(seq 40); do
    if libvirt_answers; then return; fi
    sleep 0.5
  done
  die "libvirtd does not answer on $KVMWEB_LIBVIRT_URI. See: virsh -c $KVMWEB_LIBVIRT_URI uri, and /var/log/libvirt/."
}

# /dev/kvm is root's alone where no udev gave it to group kvm. QEMU could not open it, and libvirt, whose cache of what
# QEMU can do is then never valid, would ask QEMU anew at each definition: half a minute each time.
open_kvm() {
  if [ -c /dev/kvm ] && [ "$(stat -c %U:%G:%a /dev/kvm)" = root:root:600 ] && getent group kvm >/dev/null; then
    say "Giving /dev/kvm to group kvm, as udev does (no udev did it here)"
    chgrp kvm /dev/kvm && chmod 0660 /dev/kvm
  fi
}

# ensure_libvirt: only the system libvirt of this machine is ours to start.
ensure_libvirt() {
  case $KVMWEB_LIBVIRT_URI in qemu:///system*) ;; *) return 0 ;; esac
  open_kvm
  libvirt_answers || start_libvirt
  libvirt_answers_kvmweb && return
  if has_systemd; then
    die "libvirtd runs, and refuses user kvmweb (in group libvirt). Usually polkit lets that group in: install polkitd and restart libvirtd. Without polkit set auth_unix_rw as docs/operations.md describes."
  fi
  die "libvirtd runs, and refuses user kvmweb: it was started without the settings unix_sock_group = \"libvirt\", unix_sock_rw_perms = \"0770\", auth_unix_rw = \"none\". End it with: kill $(cat /run/libvirtd.pid 2>/dev/null || pgrep -x libvirtd | head -n 1) (guests keep running), then run this again: it starts libvirtd with them."
}

# restart_libvirt: only for machines that belong to the tests, where a libvirtd started by hand refuses user kvmweb.
restart_libvirt() {
  local pid try
  pid=$(pgrep -x libvirtd | head -n 1)
  say "Restarting libvirtd so that user kvmweb may use it (guests keep running)"
  kill "$pid"
  for try in $(seq 60); do
    if [ ! -d "/proc/$pid" ]; then break; fi
    sleep 0.5
  done
  start_libvirt
}
