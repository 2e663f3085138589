"""How a disk begins for its guest, read out of an image of any kind without a tool that opens it.

The partition table tells which firmware starts the disk. What cannot be read (broken, packed in another manner, in
clusters smaller than a table) is told as nothing.
VMDK: https://github.com/libyal/libvmdk · VHD: https://github.com/libyal/libvhdi
VDI: https://www.virtualbox.org/browser/vbox/trunk/src/VBox/Storage/VDICore.h
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from virt import qcow2, vhdx
from virt.errors import UserError

Read = Callable[[int, int], bytes]
SECTOR = 512
TABLE_BYTES = 34 * SECTOR  # an MBR and a whole GPT
_NOWHERE = 0xFFFFFFFF
_AT_END = 0xFFFFFFFFFFFFFFFF
_PACKED, _MARKED = 1 << 16, 1 << 17  # of a VMDK's flags
_MOST_PACKED = 4 * 1024 * 1024  # no cluster or grain takes more


def first_bytes(read: Read, length: int, image_format: str) -> bytes:
    """The first TABLE_BYTES of the disk in an image of `length` bytes; b"" where nothing is stored or can be read."""

    def inside(at: int, count: int) -> bytes:
        return read(at, min(count, length - at)) if 0 <= at < length else b""

    reader = _READERS.get(image_format)
    try:
        return reader(inside, length)[:TABLE_BYTES] if reader else b""
    except (struct.error, zlib.error, UserError):  # what is wrong with the image, its conversion says
        return b""


def _vhd(read: Read, length: int) -> bytes:
    footer = read(length - SECTOR, SECTOR)
    if struct.unpack_from(">I", footer, 60)[0] == 2:  # of fixed size: the disk itself comes first
        return read(0, TABLE_BYTES)
    (header_at,) = struct.unpack_from(">Q", footer, 16)
    header = read(header_at, SECTOR)
    (table_at,), (block_bytes,) = struct.unpack_from(">Q", header, 16), struct.unpack_from(">I", header, 32)
    (sector,) = struct.unpack(">I", read(table_at, 4))
    if sector == _NOWHERE or block_bytes < TABLE_BYTES:
        return b""
    bitmap_bytes = -(-block_bytes // SECTOR // 8 // SECTOR) * SECTOR
    return read(sector * SECTOR + bitmap_bytes, TABLE_BYTES)


def _vdi(read: Read, _length: int) -> bytes:
    header = read(0, SECTOR)
    map_at, data_at = struct.unpack_from("<II", header, 340)
    block_bytes, extra_bytes = struct.unpack_from("<II", header, 376)
    (block,) = struct.unpack("<I", read(map_at, 4))
    if block >= _NOWHERE - 1 or extra_bytes or block_bytes < TABLE_BYTES:
        return b""
    return read(data_at + block * block_bytes, TABLE_BYTES)


def _vmdk(read: Read, length: int) -> bytes:
    header = read(0, SECTOR)
    (flags,), (grain_sectors,) = struct.unpack_from("<I", header, 8), struct.unpack_from("<Q", header, 20)
    (directory,) = struct.unpack_from("<Q", header, 56)
    if directory == _AT_END:
        footer = read(length - 2 * SECTOR, SECTOR)
        (directory,) = struct.unpack_from("<Q", footer if footer.startswith(b"KDMV") else b"", 56)
    (table,) = struct.unpack("<I", read(directory * SECTOR, 4))
    (grain,) = struct.unpack("<I", read(table * SECTOR, 4))
    if grain < 2 or grain_sectors * SECTOR < TABLE_BYTES:  # 1: zeros
        return b""
    if not flags & _PACKED:
        return read(grain * SECTOR, TABLE_BYTES)
    at = grain * SECTOR
    count = _MOST_PACKED
    if flags & _MARKED:
        (count,) = struct.unpack("<I", read(at + 8, 4))
        at += 12
    return zlib.decompressobj().decompress(read(at, min(count, _MOST_PACKED)), TABLE_BYTES)


def _qcow2(read: Read, _length: int) -> bytes:
    header = qcow2.read_header(read)
    if header is None or header.is_encrypted or header.has_data_file or header.has_extended_l2:
        return b""
    (table,) = struct.unpack(">Q", read(header.l1_offset, 8))
    (entry,) = struct.unpack(">Q", read(table & qcow2.OFFSET_MASK, 8)) if table & qcow2.OFFSET_MASK else (0,)
    if header.cluster_bytes < TABLE_BYTES:
        return b""
    if entry & qcow2.COMPRESSED:
        at, count = qcow2.packed_place(header, entry)
        return zlib.decompressobj(-12).decompress(read(at, count), TABLE_BYTES)
    is_stored = entry & qcow2.OFFSET_MASK and not entry & qcow2.READS_AS_ZERO
    return read(entry & qcow2.OFFSET_MASK, TABLE_BYTES) if is_stored else b""


_READERS: dict[str, Callable[[Read, int], bytes]] = {
    "vhd": _vhd,
    "vdi": _vdi,
    "vmdk": _vmdk,
    "qcow2": _qcow2,
    "raw": lambda read, _length: read(0, TABLE_BYTES),
    "vhdx": lambda read, length: vhdx.first_bytes(read, length, "the disk"),
}
