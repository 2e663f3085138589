"""Rock Ridge: the long names and links that are kept beside the plain records of an ISO image.

https://en.wikipedia.org/wiki/Rock_Ridge and IEEE P1281 (System Use Sharing Protocol)
"""

from __future__ import annotations

from dataclasses import dataclass

from virt.iso9660 import SECTOR, Read

MAX_CONTINUATIONS = 32
_MORE, _CURRENT, _PARENT, _ROOT = 1, 2, 4, 8


@dataclass
class Found:
    """What the entries of one record say."""

    name: str = ""
    link: str = ""
    child_block: int = 0  # where the directory lies that stands for this record
    is_relocated: bool = False


def skip_of(first: bytes) -> int | None:
    """How many bytes stand before the entries of each record, by the root's first sector; None: no Rock Ridge."""
    if len(first) < 34:
        return None
    area = first[34 : first[0]]
    if area[:2] == b"SP" and len(area) >= 7 and area[4:6] == b"\xbe\xef":
        return area[6]
    return None


def parse(area: bytes, read: Read) -> Found:
    """Read the entries of one record, and those that were put elsewhere for want of room."""
    found, name, links = Found(), bytearray(), _Link()
    for _continuation in range(MAX_CONTINUATIONS):
        elsewhere: tuple[int, int, int] | None = None
        at = 0
        while at + 4 <= len(area) and area[at + 2] >= 4:
            kind, entry = area[at : at + 2], area[at : at + area[at + 2]]
            at += area[at + 2]
            if kind == b"ST":
                break
            if kind == b"NM" and len(entry) >= 5 and not entry[4] & (_CURRENT | _PARENT):
                name += entry[5:]
            elif kind == b"SL" and len(entry) >= 5:
                links.add(entry[5:])
            elif kind == b"CL" and len(entry) >= 12:
                found.child_block = int.from_bytes(entry[4:8], "little")
            elif kind == b"RE":
                found.is_relocated = True
            elif kind == b"CE" and len(entry) >= 28:
                block, offset, length = (int.from_bytes(entry[n : n + 4], "little") for n in (4, 12, 20))
                elsewhere = block, offset, length
        if elsewhere is None:
            break
        block, offset, length = elsewhere
        area = read(block * SECTOR + offset, min(length, SECTOR))
    found.name, found.link = name.decode("utf-8", "replace"), links.text
    return found


class _Link:
    """A symbolic link's target, put together from its components."""

    def __init__(self) -> None:
        self.text, self._goes_on = "", True

    def add(self, components: bytes) -> None:
        at = 0
        while at + 2 <= len(components):
            flags, length = components[at], components[at + 1]
            part = components[at + 2 : at + 2 + length].decode("utf-8", "replace")
            at += 2 + length
            if flags & _ROOT:
                self.text, self._goes_on = "/", True
                continue
            if flags & _CURRENT:
                part = "."
            elif flags & _PARENT:
                part = ".."
            self.text += part if self._goes_on else f"/{part}"
            self._goes_on = bool(flags & _MORE)
