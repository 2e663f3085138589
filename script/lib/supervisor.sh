# shellcheck shell=bash
# The supervisor (supervisord of .venv, settings in deploy/supervisord.conf) and the wait for readiness.

control() { (clean_environment && exec .venv/bin/supervisorctl -c deploy/supervisord.conf "$@"); }

# The kernel releases this lock when supervisord ends, however it ends.
is_running() { [ -e "$KVMWEB_VAR/supervisor/lock" ] && ! flock -n "$KVMWEB_VAR/supervisor/lock" true; }

supervisor_pid() { cat "$KVMWEB_VAR/supervisor/supervisord.pid" 2>/dev/null; }

# end_leftovers: a supervisor that was killed takes most of its processes along (script/process). What it leaves is ended
# here, so that nothing runs twice.
end_leftovers() {
  local try pids
  for try in $(seq 30); do
    pids=$(grep -lzxFe "KVMWEB_VAR=$KVMWEB_VAR" /proc/[0-9]*/environ 2>/dev/null |
      xargs -r grep -lzxFe SUPERVISOR_ENABLED=1 2>/dev/null | cut -d/ -f3) || true
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086
    case $try in
      1) kill $pids 2>/dev/null || true ;;
      20) kill -KILL $pids 2>/dev/null || true ;;
    esac
    sleep 0.5
  done
}

# port_is_free: bind it as user kvmweb, as the web process will; says what is in the way.
port_is_free() {
  local why owner
  why=$(as_kvmweb "$(find_python)" - "$KVMWEB_BIND" "$KVMWEB_PORT" 2>&1 <<'PYTHON'
import errno, socket, sys

host, port = sys.argv[1], int(sys.argv[2])
try:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(address)
except socket.gaierror:
    print("name")
except OSError as error:
    print({errno.EADDRINUSE: "busy", errno.EACCES: "low", errno.EADDRNOTAVAIL: "address"}.get(error.errno, error))
PYTHON
  )
  case $why in
    "") return 0 ;;
    busy)
      owner=$(ss -Hltnp "sport = :$KVMWEB_PORT" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ (by \1, process \2)/p' | head -n 1)
      WHY="Port $KVMWEB_PORT on $KVMWEB_BIND is in use$owner. Stop that, or choose another port: KVMWEB_PORT=8001 script/server" ;;
    low) WHY="Port $KVMWEB_PORT is below 1024 and kvmweb does not run as root. Choose a port from 1024 up and put nginx in front (deploy/nginx.conf)." ;;
    address | name) WHY="KVMWEB_BIND=$KVMWEB_BIND is no address of this machine. Choose 127.0.0.1, 0.0.0.0 (all) or one that \"ip addr\" shows." ;;
    *) WHY="Port $KVMWEB_PORT on $KVMWEB_BIND cannot be opened: $why" ;;
  esac
  return 1
}

# start_supervisor: a session of its own, so that Ctrl-C reaches script/server only, which then stops things in order.
start_supervisor() {
  rm -f "$KVMWEB_VAR/supervisor/control.sock" "$KVMWEB_VAR/supervisor/supervisord.pid"
  record_settings
  touch "$KVMWEB_VAR/log/supervisord.log"
  LOG_START=$(($(stat -c %s "$KVMWEB_VAR/log/supervisord.log") + 1))
  exec 3>"$KVMWEB_VAR/supervisor/lock"
  flock -n 3 || die "Another supervisor of $KVMWEB_VAR just started. See: script/status"
  (
    umask 027
    clean_environment
    exec setsid .venv/bin/supervisord -c deploy/supervisord.conf 4>&- 5>&-
  ) </dev/null >>"$KVMWEB_VAR/log/supervisord.log" 2>&1 &
  exec 3>&- # supervisord holds it now
}

# stop_supervisor: everything that start_supervisor started; libvirtd and the guests are not among it.
stop_supervisor() {
  local try
  is_running || return 0
  control shutdown >/dev/null 2>&1 || kill "$(supervisor_pid)" 2>/dev/null || true
  for try in $(seq 120); do
    is_running || return 0
    sleep 0.5
  done
  die "The supervisor (process $(supervisor_pid)) did not stop within a minute. See: script/status, $KVMWEB_VAR/log/."
}

# http_get PATH: the status code, and with a second argument the body, without a tool that a bare machine lacks.
http_get() {
  local host=$KVMWEB_BIND name=${KVMWEB_ALLOWED_HOSTS:-localhost}
  case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
  name=${name%%,*} name=${name#.} name=${name/#\*/localhost}
  # shellcheck disable=SC2016
  timeout 10 bash -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    printf "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n" "$3" "$4" >&3
    cat <&3' - "$host" "$KVMWEB_PORT" "$1" "$name" 2>/dev/null | tr -d '\r' |
    if [ "${2:-}" = body ]; then sed '1,/^$/d'; else sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p'; fi
}

# falling: the processes that ended by themselves four times or more since this start.
falling() {
  tail -c "+$LOG_START" "$KVMWEB_VAR/log/supervisord.log" |
    awk '/ exited: | gave up: / { sub(/.* (exited|gave up): /, ""); falls[$1]++ } END { for (p in falls) if (falls[p] > 3) print p }'
}

# wait_ready SECONDS: until /readyz says yes. When it does not, or a process keeps falling, WHY tells what was missing.
wait_ready() {
  local end=$((SECONDS + $1)) names
  while ((SECONDS < end)); do
    if [ "$(http_get /readyz)" = 200 ]; then return 0; fi
    if ! is_running; then
      WHY="the supervisor ended by itself"
      return 1
    fi
    names=$(falling | tr '\n' ' ')
    if [ -n "$names" ]; then
      WHY="these processes end as soon as they start: $names"
      return 1
    fi
    sleep 0.3
  done
  WHY="/readyz says $(http_get /readyz body | head -c 600)"
  return 1
}

# show_logs: the last lines of what does not stay up, or of everything that matters.
show_logs() {
  local name names
  names=$(falling)
  for name in ${names:-supervisord web worker watcher}; do
    [ -s "$KVMWEB_VAR/log/$name.log" ] || continue
    printf '\n  %s\n' "$KVMWEB_VAR/log/$name.log" >&2
    tail -n 12 "$KVMWEB_VAR/log/$name.log" | sed 's/^/    /' >&2
  done
}
