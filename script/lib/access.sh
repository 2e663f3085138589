# shellcheck shell=bash
# User kvmweb, and what it may reach: the checkout, its own directory, the storage directories.

ensure_user() {
  if ! getent passwd kvmweb >/dev/null; then
    say "Making the system user kvmweb, as which everything that listens on the network runs"
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
      --comment "kvmweb" kvmweb || die "The user kvmweb could not be made. Make it with useradd, then try again."
  fi
  if getent group libvirt >/dev/null && ! id -nG kvmweb | grep -qw libvirt; then
    usermod -aG libvirt kvmweb
  fi
}

# open_way DIRECTORY: let user kvmweb pass through the directories above (for example /root), not read them.
open_way() {
  local path=$1 ancestors=() dir
  while path=$(dirname "$path") && [ "$path" != / ]; do ancestors=("$path" "${ancestors[@]}"); done
  for dir in "${ancestors[@]}"; do
    as_kvmweb test -x "$dir" && continue
    say "Letting user kvmweb pass through $dir (setfacl -m u:kvmweb:--x $dir; script/uninstall takes it back)"
    setfacl -m u:kvmweb:--x "$dir" 2>/dev/null ||
      die "User kvmweb may not pass through $dir, and the file system there keeps no access lists. Move it to where others may pass, for example /opt/kvmweb."
  done
}

# ensure_checkout_readable: a checkout made under umask 077 is closed to user kvmweb as well. .env (compose) stays closed.
ensure_checkout_readable() {
  open_way "$ROOT"
  local closed
  closed=$(as_kvmweb find . -mindepth 1 \( -path ./.git -o -path ./var -o -path ./node_modules -o -path ./tests -o -path ./.env \
    -o -name '.*_cache' \) \
    -prune -o ! -readable -print -quit 2>/dev/null || echo .)
  [ -n "$closed" ] || return 0
  say "Letting user kvmweb read the checkout ($closed was closed to it)"
  find . -mindepth 1 -maxdepth 1 ! -name .git ! -name var ! -name tests ! -name .env -exec setfacl -R -m u:kvmweb:rX {} + 2>/dev/null &&
    setfacl -m u:kvmweb:rX . ||
    die "User kvmweb cannot read $closed in $ROOT. Open it with: chmod -R go+rX $ROOT"
}

# ensure_var: $KVMWEB_VAR holds the database, secrets, sockets and logs. It is root's, with the sticky bit: kvmweb makes
# its files there and cannot replace root's (the supervisor's settings and control socket, logs written by root).
ensure_var() {
  local v=$KVMWEB_VAR
  if [ -e "$v" ] && [ ! -d "$v/supervisor" ] && [ "$v" != "$ROOT/var" ] && [ -n "$(ls -A "$v")" ]; then
    die "KVMWEB_VAR=$v is not empty and was not made by kvmweb. Choose a new or an empty directory."
  fi
  enough_space "$v" 200 "The database and logs"
  mkdir -p "$v"
  open_way "$v"
  local dir
  for dir in "$v/supervisor" "$v/log" "$v/run" "$v/redis"; do
    [ ! -L "$dir" ] || die "$dir is a symbolic link. It must be a directory: remove the link and try again."
  done
  install -d -o root -g kvmweb -m 1770 "$v" "$v/run"
  install -d -o root -g root -m 0700 "$v/supervisor" "$v/log"
  install -d -o kvmweb -g kvmweb -m 0700 "$v/redis"
  if [ -e "$v/kvmweb.sqlite3" ] && ! as_kvmweb test -w "$v/kvmweb.sqlite3"; then
    die "The database belongs to another user. Give it to kvmweb: chown kvmweb: $v/kvmweb.sqlite3*"
  fi
  if [ -z "${KVMWEB_SECRET_KEY:-}" ] && [ ! -s "$KVMWEB_SECRET_KEY_FILE" ]; then
    say "Making a secret key in $KVMWEB_SECRET_KEY_FILE"
    (umask 077 && head -c 48 /dev/urandom | base64 -w 0 >"$v/supervisor/secret-key")
    chown kvmweb: "$v/supervisor/secret-key"
    mv "$v/supervisor/secret-key" "$KVMWEB_SECRET_KEY_FILE"
  fi
}

# ensure_storage: the two directories that become the pools iso and store. Existing ones stay as they are.
ensure_storage() {
  [ -d "$KVMWEB_ISO_DIR" ] || install -d -o root -g root -m 0755 "$KVMWEB_ISO_DIR"
  [ -d "$KVMWEB_STORE_DIR" ] || install -d -o root -g root -m 0711 "$KVMWEB_STORE_DIR"
  local dir user
  open_way "$KVMWEB_ISO_DIR/x"
  user=$({ getent passwd libvirt-qemu qemu || true; } | head -n 1 | cut -d: -f1)
  [ -n "$user" ] || return 0
  for dir in "$KVMWEB_ISO_DIR" "$KVMWEB_STORE_DIR"; do
    setpriv --reuid="$user" --clear-groups -- test -x "$dir" ||
      note "QEMU runs as user $user and may not enter $dir: guests with files there will not start. See: namei -l $dir"
  done
}

# close_ways DIRECTORY...: take back what open_way and ensure_checkout_readable gave.
close_ways() {
  local path
  for path in "$@"; do
    while [ "$path" != / ]; do
      if getfacl -cp "$path" 2>/dev/null | grep -q '^user:kvmweb:'; then
        setfacl -x u:kvmweb "$path"
        # nothing left but the mask that came with our entry: no list any more
        if ! getfacl -cp "$path" | grep -qE '^((default|user|group):[^:]+:|default)'; then setfacl -b "$path"; fi
      fi
      path=$(dirname "$path")
    done
  done
}
