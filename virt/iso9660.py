"""The header of an ISO image: what it is called, and whether it boots.

ISO 9660 (ECMA-119) descriptors start at sector 16, El Torito's boot catalogue lies where one of them points.
https://wiki.osdev.org/ISO_9660 and https://wiki.osdev.org/El-Torito
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from virt.types import IsoHeader

Read = Callable[[int, int], bytes]
"""read(offset, length) gives up to `length` bytes of the image; fewer at its end."""

SECTOR = 2048
FIRST_SECTOR = 16
MAX_DESCRIPTORS = 32  # real images have three or four
HEADER_BYTES = (FIRST_SECTOR + MAX_DESCRIPTORS) * SECTOR

_BOOT, _PRIMARY, _END = 0, 1, 255
_X86_BIOS, _EFI = 0x00, 0xEF
_BOOTABLE = 0x88
_UDF = (b"BEA01", b"NSR02", b"NSR03", b"TEA01")

_ARCHES = (
    (r"x86_64|amd64|x64(?:free?)?", "x86_64"),
    (r"aarch64|arm64|a64(?:free?)?", "aarch64"),
    (r"ppc64le|ppc64el", "ppc64le"),
    (r"s390x", "s390x"),
    (r"riscv64", "riscv64"),
    (r"i[3456]86|x86", "i686"),
)


def read_iso(read: Read) -> IsoHeader | None:
    """Read an image's header; a few kilobytes are asked for. None for what is no ISO image.

    An image with UDF only (some newer ones for Windows) has none of these names: it comes back empty, with `is_udf`.
    """
    descriptors = _descriptors(read)
    primary = next((sector for kind, sector in descriptors if kind == _PRIMARY), None)
    if primary is None:
        is_udf = read(FIRST_SECTOR * SECTOR, 6)[1:6] in _UDF
        return _empty_udf() if is_udf else None
    platforms = _boot_platforms(read, descriptors)
    volume_id = _text(primary, 40, 32)
    blocks, block_bytes = int.from_bytes(primary[80:84], "little"), int.from_bytes(primary[128:130], "little")
    return IsoHeader(
        volume_id=volume_id,
        system_id=_text(primary, 8, 32),
        publisher_id=_text(primary, 318, 128),
        application_id=_text(primary, 574, 128),
        size_bytes=blocks * (block_bytes or SECTOR),
        boots_bios=_X86_BIOS in platforms,
        boots_uefi=_EFI in platforms,
        arch=_arch(volume_id),
    )


class _Descriptor(NamedTuple):
    kind: int
    sector: bytes


def _descriptors(read: Read) -> list[_Descriptor]:
    found = []
    for n in range(FIRST_SECTOR, FIRST_SECTOR + MAX_DESCRIPTORS):
        sector = read(n * SECTOR, SECTOR)
        if len(sector) < SECTOR or sector[1:6] != b"CD001" or sector[0] == _END:
            break
        found.append(_Descriptor(sector[0], sector))
    return found


def _boot_platforms(read: Read, descriptors: list[_Descriptor]) -> set[int]:
    """Platforms that the boot catalogue has a bootable entry for."""
    boot = next((s for kind, s in descriptors if kind == _BOOT and s[7:30] == b"EL TORITO SPECIFICATION"), None)
    if boot is None:
        return set()
    catalogue = read(int.from_bytes(boot[71:75], "little") * SECTOR, SECTOR)
    if len(catalogue) < 64 or catalogue[0] != 1 or catalogue[30:32] != b"\x55\xaa":
        return set()
    platforms, platform = set(), catalogue[1]
    for at in range(32, len(catalogue) - 31, 32):
        entry = catalogue[at : at + 32]
        if entry[0] in (0x90, 0x91):  # the header of a section for another platform
            platform = entry[1]
        elif entry[0] == _BOOTABLE:
            platforms.add(platform)
        elif entry[0] == 0 and at > 32:
            break
    return platforms


def _text(sector: bytes, at: int, length: int) -> str:
    raw = sector[at : at + length].replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return "".join(character for character in raw if character.isprintable())


def _arch(volume_id: str) -> str | None:
    for pattern, arch in _ARCHES:
        if re.search(rf"(?<![a-z0-9])({pattern})(?![a-z0-9])", volume_id, re.IGNORECASE):
            return arch
    return None


def _empty_udf() -> IsoHeader:
    return IsoHeader(
        volume_id="", system_id="", publisher_id="", application_id="", size_bytes=0,
        boots_bios=False, boots_uefi=False, arch=None, is_udf=True,
    )  # fmt: skip
