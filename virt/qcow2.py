"""The header and the tables of a qcow2 image, read through any `read(offset, length)`.

https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from virt.errors import Invalid

Read = Callable[[int, int], bytes]
"""Up to `length` bytes of the file from `offset`."""

MAGIC = b"QFI\xfb"
HEADER_BYTES = 104
MOST_L1_ENTRIES = 4 * 2**20  # QEMU's own limit is a table of 32 MiB
_DATA_FILE, _EXTENDED_L2 = 1 << 2, 1 << 4
_EXTENSION_DATA_FILE = 0x44415441
OFFSET_MASK = 0x00FFFFFFFFFFFE00
COMPRESSED, READS_AS_ZERO = 1 << 62, 1


@dataclass(frozen=True, kw_only=True)
class Qcow2Header:
    """What an image says of itself. `backing_file` and `data_file` are as written in it: paths, URLs or JSON."""

    capacity_bytes: int
    backing_file: str
    data_file: str
    has_data_file: bool
    is_encrypted: bool
    snapshots: int
    cluster_bytes: int
    l1_offset: int
    l1_entries: int
    has_extended_l2: bool


def read_header(read: Read) -> Qcow2Header | None:
    """The header, or None when this is no qcow2. Raises Invalid for one that is broken."""
    start = read(0, HEADER_BYTES)
    if not start.startswith(MAGIC):
        return None
    if len(start) < 72:
        raise _broken()
    version, name_at, name_size, cluster_bits, size, crypt, l1_size, l1_at = struct.unpack_from(">IQIIQIIQ", start, 4)
    if version not in (2, 3) or not 9 <= cluster_bits <= 21 or name_size > 1023 or l1_size > MOST_L1_ENTRIES:
        raise _broken()
    (snapshots,) = struct.unpack_from(">I", start, 60)
    incompatible, header_size = 0, 72
    if version == 3:
        if len(start) < 104:
            raise _broken()
        (incompatible,) = struct.unpack_from(">Q", start, 72)
        (header_size,) = struct.unpack_from(">I", start, 100)
    extensions = dict(_extensions(read, header_size, 1 << cluster_bits))
    return Qcow2Header(
        capacity_bytes=size,
        backing_file=read(name_at, name_size).decode(errors="replace") if name_at else "",
        data_file=extensions.get(_EXTENSION_DATA_FILE, b"").decode(errors="replace"),
        has_data_file=bool(incompatible & _DATA_FILE) or _EXTENSION_DATA_FILE in extensions,
        is_encrypted=crypt != 0,
        snapshots=snapshots,
        cluster_bytes=1 << cluster_bits,
        l1_offset=l1_at,
        l1_entries=l1_size,
        has_extended_l2=bool(incompatible & _EXTENDED_L2),
    )


def read_disk(read: Read, header: Qcow2Header, start: int, end: int) -> Iterator[bytes]:
    """What a guest reads from `start` to `end`, where anything is stored: pieces of clusters, holes left out.

    Raises Invalid for clusters that cannot be read this way: compressed, encrypted, or in another file.
    """
    if header.has_extended_l2 or header.has_data_file or header.is_encrypted:
        raise Invalid("The image is of a kind whose content cannot be looked at from outside.")
    per_table = header.cluster_bytes // 8
    first, last = start // header.cluster_bytes, -(-min(end, header.capacity_bytes) // header.cluster_bytes)
    for l1_index in range(first // per_table, -(-last // per_table)):
        if l1_index >= header.l1_entries:
            return
        (l1_entry,) = struct.unpack(">Q", _exactly(read, header.l1_offset + 8 * l1_index, 8))
        table_at = l1_entry & OFFSET_MASK
        if not table_at:
            continue
        table = struct.unpack(f">{per_table}Q", _exactly(read, table_at, header.cluster_bytes))
        for l2_index, entry in enumerate(table):
            cluster = l1_index * per_table + l2_index
            if first <= cluster < last and entry:
                yield from _cluster(read, header, cluster * header.cluster_bytes, entry, start, end)


def _cluster(read: Read, header: Qcow2Header, at: int, entry: int, start: int, end: int) -> Iterator[bytes]:
    if entry & COMPRESSED:
        raise Invalid("The image is compressed, and what lies in it cannot be looked at from outside.")
    offset = entry & OFFSET_MASK
    if entry & READS_AS_ZERO or not offset:
        return
    low, high = max(start - at, 0), min(end - at, header.cluster_bytes)
    if low < high:
        yield read(offset + low, high - low)


def packed_place(header: Qcow2Header, entry: int) -> tuple[int, int]:
    """Offset and length in the file of the packed cluster that `entry` of a second table names."""
    cluster_bits = header.cluster_bytes.bit_length() - 1
    shift = 62 - (cluster_bits - 8)
    at, more = entry & ((1 << shift) - 1), (entry >> shift) & ((1 << (cluster_bits - 8)) - 1)
    return at, (more + 1) * 512 - at % 512


def _extensions(read: Read, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    for _number in range(32):
        if at + 8 > end or len(head := read(at, 8)) < 8:
            return
        kind, size = struct.unpack(">II", head)
        if not kind:
            return
        if size > end - at:
            raise _broken()
        yield kind, read(at + 8, min(size, 4096))
        at += 8 + (size + 7) // 8 * 8


def _exactly(read: Read, offset: int, length: int) -> bytes:
    data = read(offset, length)
    if len(data) != length:
        raise _broken()
    return data


def _broken() -> Invalid:
    return Invalid("The image is broken: its qcow2 header or tables cannot be.")
