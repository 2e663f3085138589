# shellcheck shell=bash
# What a person may set, with defaults, and the environment that every process of kvmweb gets.
# ROOT is the checkout; the calling script has set it and stands in it.

# What is passed on to the processes besides KVMWEB_*.
OTHER_SETTINGS="DATABASE_URL REDIS_URL TZ http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY"

default_settings() {
  export KVMWEB_VAR KVMWEB_BIND KVMWEB_PORT KVMWEB_ISO_DIR KVMWEB_STORE_DIR KVMWEB_LIBVIRT_URI
  KVMWEB_VAR=$(realpath -ms -- "${KVMWEB_VAR:-$ROOT/var}")
  KVMWEB_BIND=${KVMWEB_BIND:-127.0.0.1}
  KVMWEB_PORT=${KVMWEB_PORT:-8000}
  KVMWEB_ISO_DIR=$(realpath -ms -- "${KVMWEB_ISO_DIR:-/data_kvm/iso}")
  KVMWEB_STORE_DIR=$(realpath -ms -- "${KVMWEB_STORE_DIR:-/data_kvm/store}")
  KVMWEB_LIBVIRT_URI=${KVMWEB_LIBVIRT_URI-qemu:///system}
  export KVMWEB_HELPER_SOCKET=${KVMWEB_HELPER_SOCKET:-$KVMWEB_VAR/run/helper.sock}
  export KVMWEB_STATIC_ROOT=${KVMWEB_STATIC_ROOT:-$ROOT/staticfiles}
  export KVMWEB_GATEWAY=${KVMWEB_GATEWAY:-false}
  if [ -z "${KVMWEB_SECRET_KEY:-}" ]; then
    export KVMWEB_SECRET_KEY_FILE=${KVMWEB_SECRET_KEY_FILE:-$KVMWEB_VAR/secret-key}
  fi
  # A Redis of one's own replaces the private one.
  export KVMWEB_PRIVATE_REDIS=true
  if [ -n "${REDIS_URL:-}" ]; then KVMWEB_PRIVATE_REDIS=false; fi
  RECORD=$KVMWEB_VAR/supervisor/environment
}

check_settings() {
  [[ $KVMWEB_PORT =~ ^[0-9]{1,5}$ ]] && ((KVMWEB_PORT >= 1 && KVMWEB_PORT <= 65535)) ||
    die "KVMWEB_PORT=$KVMWEB_PORT is no port. Choose a number from 1 to 65535."
  # A unix socket's path has 107 bytes at most.
  ((${#KVMWEB_VAR} <= 80)) ||
    die "KVMWEB_VAR=$KVMWEB_VAR is longer than 80 characters, too long for the sockets below it. Choose a shorter path."
  [[ $KVMWEB_GATEWAY =~ ^(true|false)$ ]] || die "KVMWEB_GATEWAY is true or false, not \"$KVMWEB_GATEWAY\"."
  local dir
  for dir in "$KVMWEB_ISO_DIR" "$KVMWEB_STORE_DIR"; do
    case $dir in / | /bin | /boot | /dev | /etc | /home | /lib* | /proc | /root | /run | /sbin | /sys | /tmp | /usr | /var)
      die "KVMWEB_ISO_DIR and KVMWEB_STORE_DIR become storage pools. $dir belongs to the system: choose a directory of their own." ;;
    esac
  done
}

# clean_environment: in a subshell, leave only what kvmweb's processes should have; nothing of root's own leaks into them.
clean_environment() {
  local name
  for name in $(compgen -e); do
    case $name in KVMWEB_*) continue ;; esac
    [[ " $OTHER_SETTINGS " == *" $name "* ]] || unset "$name"
  done
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME="$KVMWEB_VAR"
  export DJANGO_SETTINGS_MODULE=kvmweb.settings PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2
}

# The settings of the running stack are kept beside it, so that script/status, script/stop and script/manage mean the
# same database and the same port whatever the shell they are called from has set.
record_settings() {
  local name
  (
    umask 077
    for name in ${!KVMWEB_@} $OTHER_SETTINGS; do
      if [ -n "${!name+set}" ]; then printf 'export %s=%q\n' "$name" "${!name}"; fi
    done >"$RECORD.new"
  )
  mv "$RECORD.new" "$RECORD"
}

recall_settings() {
  if [ -r "$RECORD" ]; then
    # shellcheck disable=SC1090
    . "$RECORD"
  fi
}

base_url() {
  local host=$KVMWEB_BIND
  case $host in
    0.0.0.0) host=$(hostname -I 2>/dev/null | cut -d' ' -f1) ;;
    ::) host=$(hostname -f 2>/dev/null || hostname) ;;
    *:*) host="[$host]" ;;
  esac
  printf 'http://%s:%s/' "${host:-localhost}" "$KVMWEB_PORT"
}
