"""What the first kilobytes of an installation disc say: its names, its size, what boots it.

ECMA-119 (ISO 9660) for the volume descriptors, "El Torito" 1.0 for the boot catalogue. A sector has 2,048 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from virt.types import IsoHeader

SECTOR = 2048
FIRST_DESCRIPTOR = 16
MOST_DESCRIPTORS = 32
PRIMARY, BOOT_RECORD, END = 1, 0, 255
PLATFORM_BIOS, PLATFORM_EFI = 0x00, 0xEF
EL_TORITO = b"EL TORITO SPECIFICATION"
# How the names on discs spell the architectures, the more telling spelling first.
ARCHITECTURES = {
    "x86_64": ("x86_64", "x86-64", "amd64", "x64free", "x64fre", "_x64", "-x64"),
    "aarch64": ("aarch64", "arm64", "a64fre"),
    "ppc64le": ("ppc64le", "ppc64el"),
    "s390x": ("s390x",),
    "riscv64": ("riscv64",),
    "i686": ("i386", "i686", "x86fre", "_x86"),
}

Read = Callable[[int, int], bytes]


def read_iso(read: Read) -> IsoHeader | None:
    """The header of the image behind `read(offset, length)` (bytes), or None when it is not an ISO 9660 image.

    A disc that is UDF only, as some of Windows are, comes back with `is_udf` and empty names.
    """
    primary: bytes | None = None
    catalogue_sector: int | None = None
    udf = False
    for descriptor in _descriptors(read):
        kind, identifier = descriptor[0], descriptor[1:6]
        if identifier in (b"NSR02", b"NSR03"):
            udf = True
        elif identifier == b"CD001" and kind == PRIMARY and primary is None:
            primary = descriptor
        elif identifier == b"CD001" and kind == BOOT_RECORD and descriptor[7:].startswith(EL_TORITO):
            catalogue_sector = struct.unpack_from("<I", descriptor, 71)[0]
    if primary is None and not udf:
        return None
    platforms = _platforms(read(catalogue_sector * SECTOR, SECTOR)) if catalogue_sector else set()
    names = [_name(primary, start, length) for start, length in ((40, 32), (8, 32), (318, 128), (574, 128))]
    blocks = struct.unpack_from("<I", primary, 80)[0] if primary else 0
    return IsoHeader(
        volume_id=names[0],
        system_id=names[1],
        publisher_id=names[2],
        application_id=names[3],
        size_bytes=blocks * SECTOR,
        boots_bios=PLATFORM_BIOS in platforms,
        boots_uefi=PLATFORM_EFI in platforms,
        arch=_architecture(names[0]),
        is_udf=udf,
    )


def _descriptors(read: Read) -> Iterator[bytes]:
    """The volume descriptors, and after their end the ones that announce UDF."""
    block = read(FIRST_DESCRIPTOR * SECTOR, MOST_DESCRIPTORS * SECTOR)
    for start in range(0, len(block) - SECTOR + 1, SECTOR):
        descriptor = block[start : start + SECTOR]
        if descriptor[1:6] not in (b"CD001", b"BEA01", b"NSR02", b"NSR03", b"TEA01", b"BOOT2"):
            return
        yield descriptor


def _platforms(catalogue: bytes) -> set[int]:
    """For which platforms the boot catalogue has a bootable entry."""
    if len(catalogue) < 64 or catalogue[0] != 1 or catalogue[30:32] != b"\x55\xaa":
        return set()
    bootable = 0x88
    found = {catalogue[1]} if catalogue[32] == bootable else set()
    position = 64
    while position + 32 <= len(catalogue) and catalogue[position] in (0x90, 0x91):  # section headers; 0x91 is the last
        header, platform = catalogue[position], catalogue[position + 1]
        entries = struct.unpack_from("<H", catalogue, position + 2)[0]
        section = catalogue[position + 32 : position + 32 + 32 * entries]
        if any(section[start] == bootable for start in range(0, len(section), 32)):
            found.add(platform)
        position += 32 + 32 * entries
        if header == 0x91:
            break
    return found


def _name(descriptor: bytes | None, start: int, length: int) -> str:
    """A padded name. One that begins with an underscore is a file on the disc, which we do not read."""
    if descriptor is None:
        return ""
    raw = descriptor[start : start + length].split(b"\0")[0]
    return raw.decode("utf-8", errors="replace").strip()


def _architecture(volume_id: str) -> str | None:
    lowered = volume_id.lower()
    for arch, spellings in ARCHITECTURES.items():
        if any(spelling in lowered for spelling in spellings):
            return arch
    return None
