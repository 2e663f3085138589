# What kvmweb's checks read on a host. It changes nothing, needs no root, and writes lines "key=value".
# $1 is the uid of QEMU's user; standard input are directories of pools, one a line.
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
LC_ALL=C
export PATH LC_ALL
exec 2>/dev/null 3<&0 </dev/null

say() { printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tr '\n\r\t' '   ')"; }
has() { command -v "$1" >/dev/null; }
file() { [ -r "$2" ] && say "$1" "$(cat "$2")"; }

# --- the system
( . /etc/os-release && say os_id "$ID" && say os_like "$ID_LIKE" && say os_name "$PRETTY_NAME" )
say kernel "$(uname -r)"
say uptime_s "$(cut -d. -f1 /proc/uptime)"
name=$(hostname || uname -n)
say hostname "$name"
for address in $(timeout 5 getent ahosts "$name" | awk '{print $1}' | sort -u); do say resolves "$address"; done
[ -d /run/systemd/system ] && say init systemd
[ "$(timedatectl show -p NTPSynchronized --value)" = yes ] && say clock_synchronised yes
for unit in libvirtd virtqemud firewalld ufw docker chronyd chrony systemd-timesyncd ntpd ntpsec openntpd; do
  systemctl is-active --quiet $unit && say active $unit
done
for unit in libvirtd.service libvirtd.socket virtqemud.service virtqemud.socket; do
  systemctl is-enabled --quiet $unit && say enabled $unit
done

# --- the processor and what the kernel makes of it
flags=" $(grep -m1 '^flags' /proc/cpuinfo) $(grep -m1 '^vmx flags' /proc/cpuinfo) "
for flag in vmx svm hypervisor ept npt sev; do
  case $flags in *" $flag "*) say cpu_flag $flag ;; esac
done
say cpu_name "$(grep -m1 '^model name' /proc/cpuinfo | cut -d: -f2-)"
for module in kvm kvm_intel kvm_amd vhost_net tun vfio_pci br_netfilter; do
  [ -d /sys/module/$module ] && say module $module
done
for path in /dev/kvm /dev/vhost-net /dev/net/tun /dev/vhost-vsock /dev/vfio/vfio; do [ -e $path ] && say device $path; done
file nested /sys/module/kvm_intel/parameters/nested
file nested /sys/module/kvm_amd/parameters/nested
say iommu_groups "$(ls /sys/kernel/iommu_groups | wc -l)"
for table in DMAR IVRS IORT; do [ -e /sys/firmware/acpi/tables/$table ] && say acpi $table; done
for word in $(cat /proc/cmdline); do case $word in *iommu*) say cmdline "$word" ;; esac; done
file cgroup2 /sys/fs/cgroup/cgroup.controllers
awk '$3 == "cgroup" { print $4 }' /proc/self/mounts | while read -r options; do say cgroup1 "$options"; done

# --- memory
for key in MemTotal MemAvailable SwapTotal SwapFree; do
  say "$key" "$(awk -v key="$key:" '$1 == key { print $2 }' /proc/meminfo)"
done
file ksm_run /sys/kernel/mm/ksm/run
file ksm_sharing /sys/kernel/mm/ksm/pages_sharing
say page_size "$(getconf PAGESIZE)"

# --- networks
for program in iptables nft; do has $program && say firewall "$($program --version)"; done
file bridge_filtered /proc/sys/net/bridge/bridge-nf-call-iptables
file ip_forward /proc/sys/net/ipv4/ip_forward
[ -r /etc/libvirt/network.conf ] &&
  say firewall_backend "$(sed -n 's/^[[:space:]]*firewall_backend[[:space:]]*=[[:space:]]*"\([a-z]*\)".*/\1/p' /etc/libvirt/network.conf)"
[ -e /sys/class/net/docker0 ] && say docker yes

# --- protection
if has getenforce; then say selinux "$(getenforce)"; fi
file apparmor /sys/module/apparmor/parameters/enabled

# --- programs and packages
for program in swtpm qemu-img virt-host-validate mdevctl dmidecode nc sudo; do has $program && say program $program; done
for path in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd /usr/lib/virtiofsd /usr/lib/virtiofsd/virtiofsd; do
  [ -x $path ] && say program virtiofsd
done
packages="libvirt-daemon libvirt0 libvirt-libs qemu-system-x86 qemu-system-x86-core qemu-kvm-core swtpm"
if has dpkg-query; then
  # shellcheck disable=SC2086
  dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' $packages | sed -n 's/^installed /package=/p'
elif has rpm; then
  # shellcheck disable=SC2086
  rpm -q --qf 'package=%{NAME} %{VERSION}-%{RELEASE}\n' $packages | grep '^package='
fi
if has apt; then
  listed=$(timeout 60 nice apt list --upgradable) && {
    say updates "$(printf '%s\n' "$listed" | grep -c 'upgradable from')"
    say security_updates "$(printf '%s\n' "$listed" | grep -c -- '-security')"
  }
elif has dnf; then
  listed=$(timeout 60 dnf -q -C check-update)
  case $? in 0 | 100) say updates "$(printf '%s\n' "$listed" | grep -c '^[[:alnum:]].*[[:space:]].*[[:space:]]')" ;; esac
fi
if [ -e /run/reboot-required ]; then say reboot_required yes
elif has needs-restarting && ! needs-restarting -r >/dev/null; then say reboot_required yes; fi

# --- room, and who may enter where
user=$(getent passwd "$1" | cut -d: -f1)
[ -n "$user" ] && say qemu_user "$user" && say qemu_groups "$(id -G "$user")"
{ printf '/\n/var/lib/libvirt\n'; cat <&3; } | while IFS= read -r path; do
  case $path in /*) ;; *) continue ;; esac
  room=$(timeout 5 df -Pk -- "$path" | awk 'NR == 2 { print $2, $4, $6 }') && [ -n "$room" ] && say room "$room $path"
  inodes=$(timeout 5 df -Pi -- "$path" | awk 'NR == 2 { print $2, $4 }') && [ -n "$inodes" ] && say inodes "$inodes $path"
  while :; do
    timeout 5 stat -L -c '%a %u %g' -- "$path" | while read -r mode; do
      case $(ls -ldL -- "$path" | cut -c11) in +) acl=+ ;; *) acl=- ;; esac
      say entry "$mode $acl $path"
    done
    [ "$path" = / ] && break
    path=$(dirname -- "$path")
  done
done

has virt-host-validate && timeout 20 virt-host-validate qemu | while IFS= read -r line; do say validate "$line"; done
say end yes
