"""Images that point at other files: what a stranger's image may make the host open is checked before anything opens it.

A qcow2 names its backing file and its data file itself. One that names /etc/shadow would show it to a guest.
"""

from __future__ import annotations

import os.path

from virt import qcow2, transfer
from virt.connection import Connection
from virt.errors import UnsafeImage
from virt.volumes import volume_by_path, volume_info

LONGEST_CHAIN = 40


def check_image(conn: Connection, pool: str, name: str) -> None:
    """Raise UnsafeImage when a volume, or an image below it, refers to a file that is no volume of an active pool.

    Also for a chain that runs in a circle, and for data files and references that are no paths. Reads the headers
    through libvirt; other formats than qcow2 are opened as what their row says and refer to nothing.
    """
    seen: set[str] = set()
    while True:
        info = volume_info(conn, pool, name)
        if info.path in seen:
            raise UnsafeImage(f"{name} cannot be used: the images that it lies on run in a circle.")
        if len(seen) == LONGEST_CHAIN:
            raise UnsafeImage(f"{name} cannot be used: it lies on more than {LONGEST_CHAIN} images.")
        seen.add(info.path)
        if info.type not in ("file", "block"):
            return
        header = qcow2.read_header(_reader(conn, pool, name))
        if header is None:
            return
        if header.has_data_file:
            raise UnsafeImage(_refers(name, header.data_file or "another file"), details="qcow2 external data file")
        if not header.backing_file:
            return
        below = backing_path(header.backing_file, info.path)
        found = volume_by_path(conn, below) if below else None
        if found is None:
            raise UnsafeImage(_refers(name, header.backing_file), details="qcow2 backing file")
        pool, name = found.pool, found.name


def backing_path(written: str, image: str) -> str:
    """The path that an image at `image` means by its reference; "" when it is none (a URL, JSON)."""
    if written.startswith("file:") and not written.startswith("file://"):
        written = written.removeprefix("file:")
    head = written.split("/", 1)[0]
    if ":" in head:
        return ""
    return os.path.normpath(os.path.join(os.path.dirname(image), written))


def _refers(name: str, where: str) -> str:
    shown = where if len(where) < 200 else f"{where[:200]}…"
    return (
        f"{name} cannot be used: it refers to {shown}, which is no volume of an active pool. "
        "An image from elsewhere must be whole in itself; have its maker flatten it (qemu-img convert)."
    )


def _reader(conn: Connection, pool: str, name: str) -> qcow2.Read:
    def read(offset: int, length: int) -> bytes:
        return b"".join(transfer.download(conn, pool, name, offset=offset, length=length)) if length else b""

    return read
