# shellcheck shell=bash
# What is made from the checkout: translations, static files, the database and the first administrator.

# compile_translations: every .po whose .mo is missing or older.
compile_translations() {
  local po
  for po in */locale/*/LC_MESSAGES/*.po; do
    [ -e "$po" ] && [ "$po" -nt "${po%.po}.mo" ] || continue
    step "Compiling $po" "The file has an error: see the output." msgfmt --check-format -o "${po%.po}.mo" "$po"
  done
}

# compile_python: kvmweb cannot write __pycache__ into root's checkout, and would compile at every start.
compile_python() {
  .venv/bin/python -m compileall -q accounts consoles guests history hosts inventory jobs kvmweb networking storage virt >/dev/null || true
}

# collect_static: into $KVMWEB_STATIC_ROOT, when something that goes into it changed. Old files stay: pages that are
# open, and other stacks from this checkout, still ask for them.
collect_static() {
  local want stamp=$KVMWEB_STATIC_ROOT/.from
  want=$({
    find static kvmweb/settings.py kvmweb/staticfiles.py -type f -printf '%p %s %T@\n' | sort
    cat requirements.txt
  } | sha256sum | cut -d' ' -f1)
  [ "$(cat "$stamp" 2>/dev/null)" != "$want" ] || return 0
  step "Collecting static files" "See the output." \
    env KVMWEB_SECRET_KEY=unused .venv/bin/python manage.py collectstatic --noinput -v 0
  chmod -R go+rX "$KVMWEB_STATIC_ROOT"
  echo "$want" >"$stamp"
}

# site_state: one line that changes when a migration is due or the local host is another; empty where only Django can tell
# (PostgreSQL). It saves a later start two rounds of Django.
site_state() {
  [ -z "${DATABASE_URL:-}" ] && [ -e "$KVMWEB_VAR/kvmweb.sqlite3" ] || return 0
  {
    as_kvmweb .venv/bin/python -Ic 'import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute("SELECT app, name FROM django_migrations ORDER BY app, name"): print(*row)' \
      "$KVMWEB_VAR/kvmweb.sqlite3" 2>&1
    cat */migrations/*.py requirements.txt
    echo "$KVMWEB_LIBVIRT_URI"
  } | sha256sum
}
site_is_prepared() {
  local state
  state=$(site_state)
  [ -n "$state" ] && [ "$state" = "$(cat "$KVMWEB_VAR/supervisor/site" 2>/dev/null)" ]
}

migrate_database() {
  step "Preparing the database" "The database is as it was before. See the output, then try again." \
    as_kvmweb .venv/bin/python manage.py migrate --noinput -v 0
}

# set_up_site: once the processes run, since pages that are open are told (over Redis) of what it makes.
set_up_site() {
  step "Registering this host and the first administrator" "See the output, then try again." \
    as_kvmweb .venv/bin/python manage.py setup_site
  site_state >"$KVMWEB_VAR/supervisor/site"
}
