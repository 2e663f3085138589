"""Disks of Hyper-V (VHDX), read from outside through any `read(offset, length)`: libvirt has no name for the format.

https://learn.microsoft.com/openspecs/windows_protocols/ms-vhdx/83e061f8-f6e2-4de1-91bd-5d518a43d477
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from virt.errors import NotImportable
from virt.image_guard import ReferenceRefused

Read = Callable[[int, int], bytes]
"""Up to `length` bytes of the file from `offset`."""

MIB = 1024 * 1024
PIECE_BYTES = 2 * MIB
MOST_BYTES = 64 * 1024**4  # the format's own limit
_TABLE_BYTES = 64 * 1024
_HEADERS, _HEADER_BYTES = (64 * 1024, 128 * 1024), 4096
_REGIONS = (192 * 1024, 256 * 1024)
_BAT, _METADATA = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08"), UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS, _DISK_SIZE = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b"), UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_SECTOR = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PARENT = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_KNOWN_ITEMS = frozenset(
    {
        _PARAMETERS,
        _DISK_SIZE,
        _SECTOR,
        UUID("cda348c7-445d-4471-9cc9-e9885251c556"),  # size of a physical sector
        UUID("beca12ab-b2e6-4523-93ef-c309e000c746"),  # the disk's own id
    }
)
_IS_REQUIRED = 4
_HAS_PARENT = 2
_PRESENT = 6
_EMPTY_STATES = frozenset({0, 1, 2, 3})  # not there, undefined, zero, unmapped: a guest reads zeros


@dataclass(frozen=True, kw_only=True)
class Vhdx:
    """A disk that is whole and stands alone. `stored_bytes` is what its blocks take in the file."""

    name: str
    capacity_bytes: int
    block_bytes: int
    stored_bytes: int
    bat_offset: int


def read_vhdx(read: Read, length: int, name: str) -> Vhdx:
    """The header and the tables of a VHDX of `length` bytes, all of them looked at.

    Raises NotImportable for what is damaged, cut off, was not closed or has sectors of 4 KiB; ReferenceRefused for a
    differencing disk.
    """
    _check_closed(read, name)
    bat, metadata = _regions(read, length, name)
    items = _metadata(read, metadata, name)
    block, flags = struct.unpack("<II", _item(items, _PARAMETERS, 8, name))
    (capacity,) = struct.unpack("<Q", _item(items, _DISK_SIZE, 8, name))
    (sector,) = struct.unpack("<I", _item(items, _SECTOR, 4, name))
    if flags & _HAS_PARENT:
        raise ReferenceRefused(
            f"{name} is a differencing disk: it lies on another one, which is not in it. Merge it with that one "
            "in Hyper-V, and bring the result."
        )
    if sector != 512:
        raise NotImportable(
            f"{name} has sectors of {sector} bytes. Disks here have 512, and a guest would not find its partitions."
        )
    if not MIB <= block <= 256 * MIB or block & (block - 1) or not 0 < capacity <= MOST_BYTES or capacity % 512:
        raise _damaged(name)
    blocks = -(-capacity // block)
    if bat[1] < 8 * (blocks + (blocks - 1) // _blocks_a_bitmap(block)):
        raise _damaged(name)
    disk = Vhdx(name=name, capacity_bytes=capacity, block_bytes=block, stored_bytes=0, bat_offset=bat[0])
    stored = 0
    for _at, place, size in _stored_blocks(read, disk):
        if place + size > length:
            raise NotImportable(f"{name} is cut off: a part of the disk is missing. Get it again.")
        stored += size
    if stored > length:  # blocks that lie on one another
        raise _damaged(name)
    return Vhdx(**{**disk.__dict__, "stored_bytes": stored})


def pieces(read: Read, disk: Vhdx) -> Iterator[tuple[int, bytes]]:
    """(offset on the disk, bytes) of what is stored, in order, at most 2 MiB each; all between them is zeros."""
    for at, place, size in _stored_blocks(read, disk):
        for start in range(0, size, PIECE_BYTES):
            wanted = min(PIECE_BYTES, size - start)
            yield at + start, _exactly(read, place + start, wanted, disk.name)


def first_bytes(read: Read, length: int, name: str) -> bytes:
    """How the disk begins, "" where nothing is stored there. Raises as `read_vhdx` does."""
    at, data = next(pieces(read, read_vhdx(read, length, name)), (0, b""))
    return data if at == 0 else b""


def _stored_blocks(read: Read, disk: Vhdx) -> Iterator[tuple[int, int, int]]:
    """(offset on the disk, offset in the file, length) of each block that is stored, in the disk's order."""
    blocks = -(-disk.capacity_bytes // disk.block_bytes)
    ratio = _blocks_a_bitmap(disk.block_bytes)
    number = 0
    while number < blocks:
        count = min(_TABLE_BYTES // 8, blocks - number, ratio - number % ratio)
        index = number + number // ratio  # each `ratio` blocks are followed by the place of a bitmap
        entries = _exactly(read, disk.bat_offset + 8 * index, 8 * count, disk.name)
        for (entry,) in struct.iter_unpack("<Q", entries):
            state, at = entry & 7, number * disk.block_bytes
            if state == _PRESENT:
                yield at, entry >> 20 << 20, min(disk.block_bytes, disk.capacity_bytes - at)
            elif state not in _EMPTY_STATES:
                raise _damaged(disk.name)
            number += 1


def _blocks_a_bitmap(block_bytes: int) -> int:
    return 2**23 * 512 // block_bytes


def _check_closed(read: Read, name: str) -> None:
    """Of the two headers the valid one with the higher number counts. One that names a log was written to last."""
    found = []
    for at in _HEADERS:
        header = read(at, _HEADER_BYTES)
        if header[:4] == b"head" and len(header) == _HEADER_BYTES and _is_intact(header):
            found.append(header)
    if not found:
        raise _damaged(name)
    newest = max(found, key=lambda header: int(struct.unpack_from("<Q", header, 8)[0]))
    if newest[48:64].strip(b"\0"):
        raise NotImportable(
            f"{name} was in use when it was copied, or its host died: changes are waiting in its log. Shut its machine "
            "down in Hyper-V, or repair it with qemu-img check -r all, and bring it again."
        )
    if struct.unpack_from("<H", newest, 66)[0] != 1:
        raise NotImportable(f"{name} is of a later version of VHDX than 1, which is not known here.")


def _regions(read: Read, length: int, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """(offset, length) of the table of blocks, and of the metadata."""
    table = next((data for data in (read(at, _TABLE_BYTES) for at in _REGIONS) if _is_table(data)), None)
    if table is None:
        raise _damaged(name)
    places: dict[UUID, tuple[int, int]] = {}
    for number in range(min(struct.unpack_from("<I", table, 8)[0], 2047)):
        at = 16 + 32 * number
        kind = UUID(bytes_le=table[at : at + 16])
        place, size, is_required = struct.unpack_from("<QII", table, at + 16)
        if kind not in (_BAT, _METADATA) and is_required & 1:
            raise NotImportable(f"{name} uses features of VHDX that are not known here.")
        if place + size > length:
            raise NotImportable(f"{name} is cut off: a part of the disk is missing. Get it again.")
        places[kind] = place, size
    if _BAT not in places or _METADATA not in places:
        raise _damaged(name)
    return places[_BAT], places[_METADATA]


def _is_table(data: bytes) -> bool:
    return data[:4] == b"regi" and len(data) == _TABLE_BYTES and _is_intact(data)


def _metadata(read: Read, region: tuple[int, int], name: str) -> dict[UUID, bytes]:
    table = _exactly(read, region[0], _TABLE_BYTES, name)
    if table[:8] != b"metadata":
        raise _damaged(name)
    items = {}
    for number in range(min(struct.unpack_from("<H", table, 10)[0], 2047)):
        at = 32 + 32 * number
        kind = UUID(bytes_le=table[at : at + 16])
        offset, size, flags = struct.unpack_from("<III", table, at + 16)
        if kind in _KNOWN_ITEMS:
            if offset + size > region[1]:
                raise _damaged(name)
            items[kind] = read(region[0] + offset, min(size, 64))
        elif flags & _IS_REQUIRED and kind != _PARENT:
            raise NotImportable(f"{name} uses features of VHDX that are not known here.")
    return items


def _item(items: dict[UUID, bytes], kind: UUID, size: int, name: str) -> bytes:
    found = items.get(kind, b"")
    if len(found) < size:
        raise _damaged(name)
    return found[:size]


def _exactly(read: Read, offset: int, length: int, name: str) -> bytes:
    data = read(offset, length)
    if len(data) != length:
        raise NotImportable(f"{name} is cut off: a part of the disk is missing. Get it again.")
    return data


def _damaged(name: str) -> NotImportable:
    return NotImportable(f"{name} is damaged: its headers or tables cannot be those of a VHDX. Get it again.")


def _is_intact(data: bytes) -> bool:
    """Whether the CRC-32C in bytes 4 to 8 is that of the whole, with zeros in its place."""
    table = _crc_table()
    crc = 0xFFFFFFFF
    for byte in data[:4] + b"\0\0\0\0" + data[8:]:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return struct.pack("<I", crc ^ 0xFFFFFFFF) == data[4:8]


@cache
def _crc_table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _bit in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        return value

    return tuple(entry(value) for value in range(256))
