"""`python -m storage.helper --socket PATH --group NAME --dir DIR [--dir DIR …]`, as root."""

import argparse
import grp
import os
import signal
from types import FrameType

from .server import serve


def main() -> None:
    """Read the arguments and serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m storage.helper", description="Part files of uploads, as root.")
    parser.add_argument("--socket", required=True, help="path of the unix socket to listen on")
    parser.add_argument("--group", required=True, help="group whose members may ask (name or number)")
    parser.add_argument("--dir", required=True, action="append", help="directory to work in; may be given again")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    directories = [os.path.normpath(path) for path in options.dir]
    if not all(map(os.path.isabs, directories)):
        raise SystemExit("--dir wants an absolute path.")
    serve(options.socket, _group_id(options.group), directories)


def _group_id(name: str) -> int:
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SystemExit(f"There is no group {name}. Make it (groupadd --system {name}) or name another one.") from None


def _end(_signal: int, _frame: FrameType | None) -> None:
    # Requests in hand may end anywhere: every verb stands being killed. The stale socket is removed at the next start.
    # At once: an exception here could come up in a place that swallows it.
    os._exit(0)


if __name__ == "__main__":
    main()
