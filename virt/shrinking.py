"""May the end of a disk be cut off? Only where it can be proved that nothing lies there and nothing reaches there."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from virt import qcow2, transfer
from virt.connection import Connection
from virt.errors import WrongState
from virt.volumes import volume_info

SECTOR = 512
HEAD_BYTES = 2**20  # where every file system, volume manager and boot loader has its first mark
_FILE_SYSTEM_MARKS = ((3, b"NTFS"), (3, b"EXFAT"), (54, b"FAT"), (82, b"FAT"))


def check_shrink(conn: Connection, pool: str, name: str, capacity_bytes: int) -> None:
    """Raise WrongState, saying why, unless the volume can be cut to `capacity_bytes` without losing anything.

    Proof is: the part that goes holds zeros only, and the disk is blank, or has an MBR none of whose partitions reaches
    into it. A GPT never passes: its second copy is at the disk's end. Reads through libvirt, so `conn` is busy for it.
    """
    info = volume_info(conn, pool, name)
    if info.backing_path:
        raise _refused(name, "it lies on another image, whose content shows through")

    def read(offset: int, length: int) -> bytes:
        return b"".join(transfer.download(conn, pool, name, offset=offset, length=length)) if length else b""

    if info.format == "qcow2":
        header = qcow2.read_header(read)
        if header is None:
            raise _refused(name, "it is not the qcow2 that it is said to be")
        if header.snapshots:
            raise _refused(name, "it holds snapshots, which are as large as it was")
        tail: Iterable[bytes] = qcow2.read_disk(read, header, capacity_bytes, info.capacity_bytes)
        head: Iterable[bytes] = qcow2.read_disk(read, header, 0, HEAD_BYTES)
        first = b"".join(qcow2.read_disk(read, header, 0, SECTOR))
    else:
        tail = transfer.download(conn, pool, name, offset=capacity_bytes)
        head = [read(0, min(HEAD_BYTES, capacity_bytes))]
        first = read(0, SECTOR)
    if not all(_is_zero(piece) for piece in tail):
        raise _refused(
            name, "there is data at its end (a GPT has its second copy there, too). Make its partitions smaller first"
        )
    if all(_is_zero(piece) for piece in head):
        return
    _check_partitions(name, first, capacity_bytes)


def _check_partitions(name: str, first: bytes, capacity_bytes: int) -> None:
    marked = any(first[at : at + len(mark)] == mark for at, mark in _FILE_SYSTEM_MARKS)
    if len(first) < SECTOR or first[510:512] != b"\x55\xaa" or marked:
        raise _refused(name, "it has no partition table, and how far what is on it reaches cannot be seen from outside")
    entries = [struct.unpack_from("<B3xB3xII", first, 446 + 16 * number) for number in range(4)]
    used = [(kind, start, sectors) for _status, kind, start, sectors in entries if kind]
    if any(status & 0x7F for status, *_rest in entries) or not used or any(not start for _kind, start, _n in used):
        raise _refused(name, "its partition table cannot be read")
    if any(kind in (0xEE, 0xEF) and start == 1 for kind, start, _sectors in used):
        raise _refused(name, "it has a GPT, whose second copy belongs at the end of the disk")
    end = max(start + sectors for _kind, start, sectors in used) * SECTOR
    if end > capacity_bytes:
        raise _refused(name, f"its last partition ends at {end} bytes, behind the new end at {capacity_bytes}")


def _is_zero(piece: bytes) -> bool:
    return not piece.strip(b"\0")


def _refused(name: str, why: str) -> WrongState:
    return WrongState(f"{name} was not made smaller: {why}.")
