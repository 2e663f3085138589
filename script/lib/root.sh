# shellcheck shell=bash
# Becoming root, and stepping down to user kvmweb.

# require_root ARGS...: run this script again by sudo where we are not root.
require_root() {
  [ "$(id -u)" != 0 ] || return 0
  local me=script/${0##*/} keep
  command -v sudo >/dev/null ||
    die "$me needs root (it works with libvirt's system socket) and this machine has no sudo. Log in as root: su - , then run $ROOT/$me."
  { [ -t 0 ] || sudo -n true 2>/dev/null; } ||
    die "$me needs root, and sudo wants a password that nobody can type here. Run it as root."
  keep=$(printf '%s,' ${!KVMWEB_@} DATABASE_URL REDIS_URL)
  exec sudo "--preserve-env=${keep%,}" -- "$ROOT/$me" "$@"
}

# as_kvmweb COMMAND...: run it as the user that all of kvmweb's listening processes run as, with their environment.
as_kvmweb() {
  (
    clean_environment
    exec setpriv --reuid=kvmweb --regid=kvmweb --init-groups --no-new-privs -- "$@"
  )
}
