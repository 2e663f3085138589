# shellcheck shell=bash
# The virtual environment .venv, from the hashed lock file.

# The system's own Python: one below /root or in a home directory is closed to user kvmweb.
find_python() {
  local python
  for python in /usr/bin/python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11; do
    if [ -x "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$python"
      return
    fi
  done
  die "kvmweb needs Python 3.11 or newer in /usr/bin. Debian 12, Ubuntu 24.04 and RHEL 9 with python3.11 have it."
}

# .venv remembers from which lock files it was made.
lock_hash() { sha256sum <"$1" | cut -d' ' -f1; }
stamp_python() { lock_hash "$1" >".venv/.from-$1"; }

# install_python LOCK: bring .venv to the state of the lock file; does nothing when that did not change.
install_python() {
  local lock=$1 python
  python=$(find_python)
  if [ -e .venv ] && ! as_kvmweb .venv/bin/python -c '' 2>/dev/null; then
    note ".venv was made with a Python that user kvmweb cannot run. Making it again with $python."
    rm -rf .venv
  fi
  if [ "$(cat ".venv/.from-$lock" 2>/dev/null)" = "$(lock_hash "$lock")" ]; then return; fi
  enough_space "$ROOT" 800 "The Python packages"
  if [ ! -x .venv/bin/pip ]; then
    step "Making a virtual environment in .venv" "Remove .venv and try again." "$python" -m venv .venv
  fi
  step "Installing Python packages from $lock (about a minute)" \
    "Check the network or the proxy (PIP_INDEX_URL, HTTPS_PROXY), then try again." \
    .venv/bin/pip install --disable-pip-version-check --no-input --progress-bar off --require-hashes -r "$lock"
  stamp_python "$lock"
}
