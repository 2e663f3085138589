# shellcheck shell=bash
# Words for the person at the terminal: one plain line for each step, and what to do when a step fails.

say() { printf '%s\n' "$*"; }
note() { printf 'Note: %s\n' "$*" >&2; }
die() { printf '\nkvmweb: %s\n' "$*" >&2; exit 1; }

# step WHAT HINT COMMAND...: say WHAT, run COMMAND quietly; when it fails show the end of its output, then HINT.
step() {
  local what=$1 hint=$2 log
  shift 2
  say "$what"
  log=$(mktemp "${TMPDIR:-/tmp}/kvmweb-step.XXXXXX")
  if ! "$@" >"$log" 2>&1 </dev/null; then
    printf '\n' >&2
    tail -n 15 "$log" | sed 's/^/    /' >&2
    die "This failed: $what. $hint The whole output is in $log."
  fi
  rm -f "$log"
}

# A command that failed where no sentence was prepared: say at least where.
set -o errtrace
trap 'printf "\nkvmweb: %s ended at \"%s\" (%s, line %s).\n" "${0##*/}" "$BASH_COMMAND" "${BASH_SOURCE[0]}" "$LINENO" >&2' ERR
