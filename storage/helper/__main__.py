"""`python -m storage.helper --socket PATH --group NAME --dir DIR [--dir DIR …]`, as root."""

import argparse
import grp
import os
import signal
import threading

from .server import serve


def main() -> None:
    """Read the arguments and serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m storage.helper", description="Part files of uploads, as root.")
    parser.add_argument("--socket", required=True, help="path of the unix socket to listen on")
    parser.add_argument("--group", required=True, help="group whose members may ask (name or number)")
    parser.add_argument("--dir", required=True, action="append", help="directory to work in; may be given again")
    options = parser.parse_args()
    _end_on_signals()
    directories = [os.path.normpath(path) for path in options.dir]
    if not all(map(os.path.isabs, directories)):
        raise SystemExit("--dir wants an absolute path.")
    serve(options.socket, _group_id(options.group), directories)


def _end_on_signals() -> None:
    """Requests in hand may end anywhere: every verb stands being killed. The stale socket is removed at the next start.

    Not a handler: Python's would wait for a call that begins to block just then, and the default is no end for the
    first process of a container.
    """
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)

    def wait() -> None:
        signal.sigwait(ends)
        os._exit(0)

    threading.Thread(target=wait, name="end", daemon=True).start()


def _group_id(name: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SystemExit(f"There is no group {name}. Make it (groupadd --system {name}) or name another one.") from None


if __name__ == "__main__":
    main()
