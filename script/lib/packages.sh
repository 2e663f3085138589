# shellcheck shell=bash
# The packages of the operating system that kvmweb needs, and their installation.

DEBIAN_PACKAGES="ca-certificates libvirt-daemon-system libvirt-clients libvirt-dev librrd-dev qemu-system-x86 qemu-utils ovmf swtpm swtpm-tools
  dnsmasq-base iptables dmidecode netcat-openbsd redis-server osinfo-db openssh-client libsasl2-modules iproute2 procps
  python3 python3-dev python3-venv gcc pkg-config gettext acl gpgv"
DEBIAN_TEST_PACKAGES="chromium xorriso cpio mtools kmod isolinux syslinux-common busybox-static binutils curl openssh-server gnutls-bin
  postgresql gpg gpg-agent parted tgt libvirt-daemon-driver-storage-iscsi-direct"

RHEL_PACKAGES="libvirt-daemon-kvm libvirt-client libvirt-devel rrdtool-devel qemu-kvm qemu-img edk2-ovmf swtpm swtpm-tools
  dnsmasq iptables-nft dmidecode nmap-ncat osinfo-db openssh-clients cyrus-sasl-md5 cyrus-sasl-scram iproute procps-ng
  gcc pkgconf-pkg-config gettext acl gnupg2"

has_systemd() { [ -d /run/systemd/system ]; }

missing_debian() {
  local package installed
  installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' "$@" 2>/dev/null || true)"
  for package in "$@"; do
    [[ $installed == *" installed=$package "* ]] || printf '%s ' "$package"
  done
}

missing_rhel() {
  local package
  for package in "$@"; do rpm -q --quiet --whatprovides "$package" || printf '%s ' "$package"; done
}

# RHEL 8 and 9 have an older python3 and a newer one beside it; RHEL 10 has valkey where others have redis.
rhel_packages() {
  local python=python3
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python=python3.11
  printf '%s ' $RHEL_PACKAGES "$python" "$python-devel"
  if command -v valkey-server >/dev/null || ! dnf -q list redis >/dev/null 2>&1; then echo valkey; else echo redis; fi
}

install_debian() {
  local packages=$1 unit quiet=()
  # These packages would start a server for everybody on this machine; kvmweb and its tests run private ones.
  if has_systemd; then
    if [[ " $packages " == *" redis-server "* ]]; then quiet+=(redis-server.service); fi
    if [[ " $packages " == *" tgt "* ]]; then quiet+=(tgt.service); fi
  fi
  for unit in "${quiet[@]}"; do systemctl mask --runtime --quiet "$unit"; done
  if [[ " $packages " == *" postgresql "* ]]; then
    # Only its programs are wanted (tests/lab/with-postgres), no database server of the system.
    mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/kvmweb-tests.conf
  fi
  export DEBIAN_FRONTEND=noninteractive
  step "Reading the package lists" "Check the network and /etc/apt/sources.list, then try again." \
    apt-get -q -o DPkg::Lock::Timeout=300 update
  # shellcheck disable=SC2086
  step "Installing Debian packages (this can take some minutes): $packages" \
    "Repair it with: apt-get -f install, then try again." \
    apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 install $packages
  for unit in "${quiet[@]}"; do
    systemctl unmask --runtime --quiet "$unit"
    systemctl disable --quiet "$unit"
  done
}

# install_packages [test]: install what is missing; nothing is asked of the network when nothing is.
install_packages() {
  local wanted missing
  if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    wanted=$DEBIAN_PACKAGES
    if [ "${1:-}" = test ]; then wanted="$wanted $DEBIAN_TEST_PACKAGES"; fi
    # shellcheck disable=SC2086
    missing=$(missing_debian $wanted)
    if [ -n "$missing" ]; then
      enough_space / 2500 "The packages"
      install_debian "${missing% }"
    fi
  elif command -v dnf >/dev/null; then
    [ "${1:-}" != test ] || die "The tests need Debian 12: they boot guests built from Debian's packages."
    # shellcheck disable=SC2046
    missing=$(missing_rhel $(rhel_packages))
    if [ -n "$missing" ]; then
      enough_space / 2500 "The packages"
      # shellcheck disable=SC2086
      step "Installing packages (this can take some minutes): $missing" "See the output, then try again." \
        dnf -q -y install $missing
    fi
  else
    die "kvmweb installs its packages with apt-get (Debian, Ubuntu) or dnf (RHEL and relatives); this machine has neither."
  fi
}

# enough_space DIRECTORY MIB WHAT: stop with a sentence rather than in the middle of unpacking.
enough_space() {
  local dir=$1 need=$2 what=$3 free
  while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  free=$(df --output=avail -m "$dir" | tail -n 1)
  ((free >= need)) || die "$what need about $need MiB, and $dir has ${free// /} MiB free. Make room, then try again."
}
