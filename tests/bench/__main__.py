"""`script/bench [pages|history|watcher|blackholes|…]`: run the measurements and say which limits hold."""

import importlib
import sys

from .table import show

ALL = {
    "pages": "Pages",
    "history": "History",
    "watcher": "The watcher",
    "blackholes": "Hosts that are black holes",
    "jobs": "Jobs against the bare libvirt call",
    "upload": "Uploads",
    "upload_remote": "Uploads into a pool of another host",
    "upload_kills": "An upload whose web process is killed 20 times",
    "console": "Consoles",
}


def main() -> int:
    names = sys.argv[1:] or list(ALL)
    if unknown := [name for name in names if name not in ALL]:
        print(f"There is no measurement {unknown[0]}. There are: {', '.join(ALL)}.", file=sys.stderr)
        return 2
    held = [show(ALL[name], importlib.import_module(f"tests.bench.{name}").main()) for name in names]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
