"""The files inside an ISO image, read where they lie: names, sizes and places, without mounting anything.

Rock Ridge names are preferred, then Joliet's, then the plain ones. A directory is read when it is asked for, so memory
depends on the largest directory and not on the image. https://wiki.osdev.org/ISO_9660
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, field

from virt import rock_ridge
from virt.iso9660 import FIRST_SECTOR, MAX_DESCRIPTORS, SECTOR, Read

MAX_DIRECTORY_BYTES = 32 * 1024 * 1024
MAX_LINKS = 16  # followed for one path
_PRIMARY, _JOLIET, _END = 1, 2, 255
_JOLIET_ESCAPES = (b"%/@", b"%/C", b"%/E")
_HIDDEN, _DIRECTORY, _MORE = 0x01, 0x02, 0x80


@dataclass(frozen=True, kw_only=True)
class Node:
    """A file or directory. `extents` are (offset, length) in bytes of the image, in order."""

    name: str
    is_dir: bool
    size: int
    modified: int  # Unix time, 0 where the image does not say
    extents: tuple[tuple[int, int], ...]
    link: str = ""  # where a symbolic link leads

    def places(self, start: int, length: int) -> Iterator[tuple[int, int]]:
        """Where `length` bytes from `start` lie in the image, as (offset, length)."""
        for offset, extent in self.extents:
            if start < extent and length > 0:
                taken = min(extent - start, length)
                yield offset + start, taken
                start, length = 0, length - taken
            else:
                start = max(start - extent, 0)


class NotATree(Exception):
    """The image has no ISO 9660 directories: it is none, or it has UDF only."""


@dataclass
class IsoTree:
    """The directories of an image of `size` bytes that `read(offset, length)` reads. Raises NotATree."""

    read: Read
    size: int
    names: str = field(init=False)  # rock-ridge, joliet or plain
    root: Node = field(init=False)

    def __post_init__(self) -> None:
        primary, joliet = self._descriptors()
        if primary is None:
            raise NotATree
        root = self._root(primary)
        self._skip = rock_ridge.skip_of(self.read(root.extents[0][0], SECTOR))
        if self._skip is not None:
            self.names = "rock-ridge"
        elif joliet is not None:
            self.names, root = "joliet", self._root(joliet)
        else:
            self.names = "plain"
        self.root = root

    def find(self, path: str) -> Node | None:
        """The file or directory at `path` ("images/pxeboot/vmlinuz"; "" is the root), links followed, or None."""
        return self._walk([self.root], [part for part in path.split("/") if part], MAX_LINKS)

    def entries(self, directory: Node) -> list[Node]:
        """What is in a directory, by name; links are not followed."""
        return sorted(self._read_entries(directory), key=lambda node: node.name)

    def content(self, node: Node, limit: int) -> bytes:
        """The first `limit` bytes of a file."""
        return b"".join(self.read(offset, length) for offset, length in node.places(0, min(limit, node.size)))

    def _walk(self, above: list[Node], parts: list[str], links: int) -> Node | None:
        above = list(above)
        for number, part in enumerate(parts):
            if part == ".":
                continue
            if part == "..":
                above = above[:-1] or above
                continue
            if not above[-1].is_dir:
                return None
            found = next((node for node in self._read_entries(above[-1]) if node.name == part), None)
            if found is None:
                return None
            if found.link:
                if links <= 0:
                    return None
                start = [self.root] if found.link.startswith("/") else above
                target = [step for step in found.link.split("/") if step]
                return self._walk(start, [*target, *parts[number + 1 :]], links - 1)
            above.append(found)
        return above[-1]

    def _descriptors(self) -> tuple[bytes | None, bytes | None]:
        primary = joliet = None
        for number in range(FIRST_SECTOR, FIRST_SECTOR + MAX_DESCRIPTORS):
            sector = self.read(number * SECTOR, SECTOR)
            if len(sector) < SECTOR or sector[1:6] != b"CD001" or sector[0] == _END:
                break
            if sector[0] == _PRIMARY and primary is None:
                primary = sector
            elif sector[0] == _JOLIET and sector[88:91] in _JOLIET_ESCAPES:
                joliet = sector
        return primary, joliet

    def _root(self, descriptor: bytes) -> Node:
        record = descriptor[156:190]
        extent = self._extent(record)
        if extent is None or not extent[1]:
            raise NotATree
        return Node(name="", is_dir=True, size=extent[1], modified=_time(record), extents=(extent,))

    def _extent(self, record: bytes) -> tuple[int, int] | None:
        """Where a record's bytes lie, or None when that is outside the image: damaged, or made to mislead."""
        offset = (int.from_bytes(record[2:6], "little") + record[1]) * SECTOR
        length = int.from_bytes(record[10:14], "little")
        return (offset, length) if offset + length <= self.size else None

    def _read_entries(self, directory: Node) -> Iterator[Node]:
        pending: list[tuple[int, int]] = []  # extents of a file that is described by several records
        for record in self._records(directory):
            raw = record[33 : 33 + record[32]]
            if raw in (b"\0", b"\1") or record[25] & _HIDDEN:
                continue
            extent = self._extent(record)
            if extent is None:
                continue
            if record[25] & _MORE:
                pending.append(extent)
                continue
            node = self._node(record, raw, (*pending, extent))
            pending = []
            if node is not None:
                yield node

    def _node(self, record: bytes, raw: bytes, extents: tuple[tuple[int, int], ...]) -> Node | None:
        is_dir, link = bool(record[25] & _DIRECTORY), ""
        name = self._name(raw)
        if self._skip is not None:
            start = 33 + record[32] + (record[32] + 1) % 2
            found = rock_ridge.parse(record[start + self._skip :], self.read)
            if found.is_relocated:
                return None  # shown where it belongs, not where it had to be put
            name, link = found.name or name, found.link
            if found.child_block:  # a directory that lies elsewhere, too deep for the plain names
                head = self.read(found.child_block * SECTOR, SECTOR)
                moved = self._extent(head) if len(head) >= 34 else None
                if moved is None:
                    return None
                is_dir, extents = True, (moved,)
        if not name or "/" in name or "\0" in name or name in (".", ".."):
            return None
        size = 0 if link else sum(length for _offset, length in extents)
        return Node(name=name, is_dir=is_dir, size=size, modified=_time(record), extents=extents, link=link)

    def _name(self, raw: bytes) -> str:
        if self.names == "joliet":
            return raw.decode("utf-16-be", "replace").removesuffix(";1")
        name = raw.decode("latin-1").partition(";")[0]
        return name.removesuffix(".").lower()

    def _records(self, directory: Node) -> Iterator[bytes]:
        """The directory's records. None crosses the border of a sector."""
        offset, length = directory.extents[0]
        for at in range(offset, offset + min(length, MAX_DIRECTORY_BYTES), SECTOR):
            sector = self.read(at, SECTOR)
            place = 0
            while place < len(sector) and (size := sector[place]):
                record = sector[place : place + size]
                if size < 34 or len(record) < size or 33 + record[32] > size:
                    break
                yield record
                place += size


def _time(record: bytes) -> int:
    year, month, day, hour, minute, second = record[18:24]
    try:
        local = calendar.timegm((1900 + year, month, day, hour, minute, second))
    except ValueError:
        return 0
    quarter_hours = int.from_bytes(record[24:25], "little", signed=True)
    return max(local - quarter_hours * 900, 0) if 1 <= month <= 12 and 1 <= day <= 31 else 0
