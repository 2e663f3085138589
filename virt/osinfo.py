"""Which system an installation medium carries, and what a system needs: from osinfo-db, and an overlay for newer ones.

The index is built at the first question in a process and takes a few megabytes.
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import NamedTuple

from virt.osinfo_index import Entry, Index, Medium, build, database_directories
from virt.osinfo_nearest import family_and_version
from virt.types import IsoHeader, OsChoice, OsMatch, OsTraits

UNKNOWN = "http://libosinfo.org/unknown"
GENERIC_LINUX = "http://libosinfo.org/linux/2022"

_PCI = "http://pcisig.com/pci/1af4/"
_NET = (_PCI + "1000", _PCI + "1041")
_DISK = (_PCI + "1001", _PCI + "1042")
_RNG = (_PCI + "1005", _PCI + "1044")
_BALLOON = (_PCI + "1002", _PCI + "1045")
_TABLET = ("http://usb.org/usb/80ee/0021",)
_Q35 = ("http://qemu.org/chipset/x86/q35",)

# What osinfo-db does not say: these refuse to install without them.
_NEED_TPM = {"http://microsoft.com/win/11"}
_FAMILIES = {"linux": "linux", "winnt": "windows", "win9x": "windows", "win16": "windows"}
_BSDS = {"freebsd", "openbsd", "netbsd", "dragonflybsd", "bsd"}

_GIB = 2**30
# MiB of memory, GiB of disk: with less a default install is no joy, whatever the vendor's minimum says.
_FLOORS = {"linux": (1024, 10), "windows": (4096, 40), "bsd": (1024, 10), "other": (1024, 10)}
# These ask for less and mean it.
_SMALL = {"alpinelinux", "cirros", "freedos", "msdos"}


def detect_media(header: IsoHeader) -> OsMatch | None:
    """The system on an image: "exact" as osinfo-db describes it, "guess" where several carry the same label (the newest
    is taken), "nearest" when only its family is known (the closest version we know). None when nothing fits.
    """
    index = _index()
    matches = sorted(
        ((_rank(index, medium, header), medium) for medium in index.media if _fits(medium, header)), key=_first
    )
    if matches and matches[-1][0].is_named:
        rank, best = matches[-1]
        rivals = {medium.os_id for other, medium in matches if other[:-1] == rank[:-1]}
        confidence = "exact" if len(rivals) == 1 else "guess"
        return _match(index.entries[best.os_id], header.arch or best.arch or None, confidence)
    found = family_and_version(header.volume_id, header.application_id)
    nearest = _nearest(index, *found) if found else None
    if nearest is None and matches:
        nearest = index.entries[matches[-1][1].os_id]
    if nearest is not None:
        return _match(nearest, header.arch, "nearest")
    names = f"{header.volume_id} {header.system_id} {header.application_id}".lower()
    if header.is_bootable and "linux" in names:
        return _match(index.entries[GENERIC_LINUX], header.arch, "guess")
    return None


def list_os() -> list[OsChoice]:
    """Every system to choose from: newest first, then those past their end of life, and the unknown one at the end."""
    index = _index()
    choices = [
        OsChoice(
            id=entry.id,
            short_id=entry.short_id,
            name=entry.name,
            family=_family(entry),
            distro=entry.distro,
            version=entry.version,
            eol=_is_over(entry),
            released=entry.released,
        )
        for entry in index.entries.values()
        if entry.id != UNKNOWN and not entry.id.endswith("/unknown")
    ]
    choices.sort(key=lambda choice: choice.name)
    choices.sort(key=lambda choice: choice.released, reverse=True)
    choices.sort(key=lambda choice: choice.eol)
    return [*choices, _UNKNOWN_CHOICE]


def traits(os_id: str) -> OsTraits:
    """What the system of that id needs and has drivers for. An unknown one is taken for a modern one, nameless."""
    index = _index()
    entry = index.entries.get(os_id)
    if entry is None or os_id == UNKNOWN:
        return _unknown(os_id)
    devices = _devices(index, entry.id)
    family = _family(entry)
    year = int(entry.released[:4]) if entry.released[:4].isdigit() else 9999
    resources = _resources(index, entry.id)
    memory_floor, disk_floor = (0, 1) if entry.distro in _SMALL or year < 2010 else _FLOORS[family]
    minimum_mib = max(1, resources.get("minimum.ram", 0) // 2**20) if resources else memory_floor
    minimum_gib = -(-resources.get("minimum.storage", 0) // _GIB)
    needs_uefi = entry.boots_bios is False and entry.boots_efi is True
    return OsTraits(
        id=entry.id,
        short_id=entry.short_id,
        name=entry.name,
        family=family,
        distro=entry.distro,
        version=entry.version,
        min_memory_mib=max(16, minimum_mib),
        min_vcpus=max(1, resources.get("minimum.n-cpus", 1)),
        min_disk_gib=max(1, minimum_gib),
        memory_mib=max(256, memory_floor, minimum_mib, resources.get("recommended.ram", 0) // 2**20),
        vcpus=max(resources.get("recommended.n-cpus", 0), resources.get("minimum.n-cpus", 0), 2 if year >= 2010 else 1),
        disk_gib=max(disk_floor, minimum_gib, -(-resources.get("recommended.storage", 0) // _GIB)),
        virtio_disk=_any(devices, _DISK),
        virtio_net=_any(devices, _NET),
        virtio_rng=_any(devices, _RNG),
        virtio_balloon=_any(devices, _BALLOON),
        usb_tablet=_any(devices, _TABLET) or year >= 2007,
        q35=_any(devices, _Q35) or year >= 2012,
        needs_uefi=needs_uefi,
        needs_secure_boot=entry.id in _NEED_TPM,
        needs_tpm=entry.id in _NEED_TPM,
    )


def forget() -> None:
    """Read the database anew at the next question, such as after osinfo-db-import."""
    _index.cache_clear()


@functools.lru_cache(maxsize=1)
def _index() -> Index:
    return build(database_directories())


def _fits(medium: Medium, header: IsoHeader) -> bool:
    for pattern, value in (
        (medium.volume, header.volume_id),
        (medium.system, header.system_id),
        (medium.publisher, header.publisher_id),
        (medium.application, header.application_id),
    ):
        if pattern and (_literal(pattern) not in value or not _search(pattern, value)):
            return False
    if header.arch and medium.arch and medium.arch != "all":
        return header.arch == medium.arch or {header.arch, medium.arch} <= {"i386", "i686"}
    return True


def _literal(pattern: str) -> str:
    """What any match starts with: spares compiling nearly all of the 2,000 patterns."""
    if "|" in pattern:
        return ""
    found = re.match(r"\^?([A-Za-z0-9 _-]*)(.?)", pattern)
    if found is None:
        return ""
    return found[1][:-1] if found[2] in ("?", "*", "{") else found[1]


def _search(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return False  # written for GLib's engine, which knows more


class _Rank(NamedTuple):
    """The best is the highest: a named version before "unknown" ones, then who says more, then the newest."""

    is_named: bool
    label_length: int
    parts: int
    released: str


def _rank(index: Index, medium: Medium, header: IsoHeader) -> _Rank:
    entry = index.entries[medium.os_id]
    label = re.search(medium.volume, header.volume_id) if medium.volume else None
    return _Rank(
        is_named=not (entry.id.endswith("unknown") or "unknown" in entry.short_id),
        label_length=len(label[0]) if label else 0,
        parts=sum(bool(part) for part in (medium.volume, medium.system, medium.publisher, medium.application)),
        released=entry.released,
    )


def _first(pair: tuple[_Rank, Medium]) -> _Rank:
    return pair[0]


def _nearest(index: Index, prefix: str, version: tuple[int, ...]) -> Entry | None:
    """The highest version that is not above the wanted one, else the lowest above it."""
    known = sorted(
        (numbers, entry.id)
        for entry in index.entries.values()
        if entry.id.startswith(prefix) and (numbers := _numbers(entry.id.removeprefix(prefix)))
    )
    below = [pair for pair in known if pair[0] <= version]
    chosen = below[-1] if below else known[0] if known else None
    return index.entries[chosen[1]] if chosen else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if re.fullmatch(r"\d+(\.\d+)*", version) else ()


def _match(entry: Entry, arch: str | None, confidence: str) -> OsMatch:
    return OsMatch(
        id=entry.id,
        short_id=entry.short_id,
        name=entry.name,
        version=entry.version,
        family=_family(entry),
        eol=_is_over(entry),
        arch=arch,
        confidence=confidence,
    )


def _family(entry: Entry) -> str:
    return "bsd" if entry.family in _BSDS else _FAMILIES.get(entry.family, "other")


def _is_over(entry: Entry) -> bool:
    """Past its end of life; where osinfo-db has no date, a numbered version of twelve years ago is."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    if entry.eol or not entry.version[:1].isdigit():
        return bool(entry.eol) and entry.eol < today.isoformat()
    return bool(entry.released) and int(entry.released[:4]) < today.year - 12


def _devices(index: Index, os_id: str, seen: frozenset[str] = frozenset()) -> dict[str, bool]:
    """Devices of a system and all that it derives from; the nearer one decides."""
    entry = index.entries.get(os_id)
    if entry is None or os_id in seen:
        return {}
    merged: dict[str, bool] = {}
    for parent in entry.parents:
        merged |= _devices(index, parent, seen | {os_id})
    return merged | entry.devices


def _resources(index: Index, os_id: str, seen: frozenset[str] = frozenset()) -> dict[str, int]:
    """Needs of a system, or of the nearest one that it derives from and that has any."""
    entry = index.entries.get(os_id)
    if entry is None or os_id in seen:
        return {}
    inherited: dict[str, int] = {}
    for parent in entry.parents:
        inherited |= _resources(index, parent, seen | {os_id})
    return inherited | entry.resources


def _any(devices: dict[str, bool], wanted: tuple[str, ...]) -> bool:
    return any(devices.get(device, False) for device in wanted)


_UNKNOWN_CHOICE = OsChoice(
    id=UNKNOWN, short_id="unknown", name="Generic or unknown system", family="other", distro="", version="",
    eol=False, released="",
)  # fmt: skip


def _unknown(os_id: str) -> OsTraits:
    """Most likely a Linux that is not listed. It has virtio drivers, unless somebody says otherwise."""
    return OsTraits(
        id=os_id or UNKNOWN, short_id="unknown", name="", family="other", distro="", version="",
        min_memory_mib=16, min_vcpus=1, min_disk_gib=1, memory_mib=2048, vcpus=2, disk_gib=20,
        virtio_disk=True, virtio_net=True, virtio_rng=True, virtio_balloon=True, usb_tablet=True, q35=True,
        needs_uefi=False, needs_secure_boot=False, needs_tpm=False,
    )  # fmt: skip
