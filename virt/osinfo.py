"""Which system an installation disc carries, and what that system needs: osinfo-db, our overlay, educated guesses."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from virt.osinfo_index import Media, Resources, System, lineage, systems
from virt.types import IsoHeader, OsChoice, OsMatch, OsTraits

# What a device is called in osinfo-db; either of the two forms of a virtio device will do.
VIRTIO_NET = ("http://pcisig.com/pci/1af4/1000", "http://pcisig.com/pci/1af4/1041")
VIRTIO_DISK = ("http://pcisig.com/pci/1af4/1001", "http://pcisig.com/pci/1af4/1042")
VIRTIO_BALLOON = ("http://pcisig.com/pci/1af4/1002", "http://pcisig.com/pci/1af4/1045")
VIRTIO_RNG = ("http://pcisig.com/pci/1af4/1005", "http://pcisig.com/pci/1af4/1044")
USB_TABLET = ("http://usb.org/usb/80ee/0021",)
Q35 = ("http://qemu.org/chipset/x86/q35",)

GENERIC_LINUX = "http://libosinfo.org/linux/2022"
UNKNOWN = "http://libosinfo.org/unknown"
FAMILIES = {
    "winnt": "windows",
    "linux": "linux",
    "freebsd": "bsd",
    "openbsd": "bsd",
    "netbsd": "bsd",
    "dragonflybsd": "bsd",
}
MOST_SUGGESTED_MIB = 8192

# Discs of versions that nobody has listed yet: where the version stands in the volume's name, and how the ids of that
# distribution begin.
SHAPES: list[tuple[str, str]] = [
    (r"^(?:Debian|d-live) (?P<v>\d+)", "http://debian.org/debian/"),
    (r"^[KXL]?ubuntu(?:-Server|-MATE)? (?P<v>\d+\.\d+)", "http://ubuntu.com/ubuntu/"),
    (r"^Fedora-.*?(?<![\d.])(?P<v>\d{2})(?:-\d|$)", "http://fedoraproject.org/fedora/"),
    (r"^RHEL-(?P<v>\d+[-.]\d+)", "http://redhat.com/rhel/"),
    (r"^CentOS-Stream-(?P<v>\d+)", "http://centos.org/centos-stream/"),
    (r"^CentOS[ -](?P<v>\d+)", "http://centos.org/centos/"),
    (r"^AlmaLinux-(?P<v>\d+[-.]\d+)", "http://almalinux.org/almalinux/"),
    (r"^Rocky-(?P<v>\d+[-.]\d+)", "http://rockylinux.org/rocky/"),
    (r"^OL-(?P<v>\d+-\d+)", "http://oracle.com/ol/"),
    (r"Leap-(?P<v>\d+\.\d+)", "http://opensuse.org/opensuse/"),
    (r"^openSUSE-Tumbleweed", "http://opensuse.org/opensuse/tumbleweed"),
    (r"^SLE-(?P<v>\d+(?:-SP\d)?)", "http://suse.com/sle/"),
    (r"^openEuler-(?P<v>\d+\.\d+)", "http://openeuler.org/openeuler/"),
    (r"^Anolis(?:OS)?-(?P<v>\d+)", "http://openanolis.org/anolis/"),
    (r"^Kylin-Server", "http://kylinos.cn/kylin-server/v10"),
    (r"^alpine-\S+ v?(?P<v>\d+\.\d+)", "http://alpinelinux.org/alpinelinux/"),
    (r"^ARCH_\d", "http://archlinux.org/archlinux/rolling"),
    (r"^nixos-(?P<v>\d+\.\d+)", "http://nixos.org/nixos/"),
    (r"^(?P<v>\d+_\d+)_RELEASE", "http://freebsd.org/freebsd/"),
    (r"^PVE", "http://proxmox.com/pve/"),
    (r"^(?:J_)?(?:SSS|SERVER)_X64FRE", "http://microsoft.com/win/2k22"),
    (r"^(?:J_)?C[A-Z]{3,5}_X64FRE", "http://microsoft.com/win/11"),
]


def detect_media(header: IsoHeader) -> OsMatch | None:
    """The system on a disc, or None when its names tell nothing.

    `confidence` says how it was found: "exact" in the database, "nearest" known version, or a "guess".
    """
    exact = _exact(header)
    if exact:
        # Some discs, those of Windows among them, do not tell versions apart: then it is the newest, and not certain.
        best = max(exact, key=_age)
        rivals = [os for os in exact if os is not best and not best.version.startswith(f"{os.version}.")]
        return _match(best, header, "nearest" if rivals else "exact")
    for shape, ids in SHAPES:
        if found := re.search(shape, header.volume_id, re.IGNORECASE):
            version = re.sub(r"\D+", ".", found.groupdict().get("v") or "")
            nearest = _nearest(ids, version)
            return _match(nearest, header, "nearest") if nearest else None
    if re.search(r"linux", f"{header.volume_id} {header.system_id} {header.application_id}", re.IGNORECASE):
        generic = systems().get(GENERIC_LINUX)
        return _match(generic, header, "guess") if generic and header.is_bootable else None
    return None


def list_os() -> list[OsChoice]:
    """All known systems for a picker, newest first within a distribution; those past their end of life come last."""
    choices = [
        OsChoice(
            id=system.id,
            short_id=system.short_id,
            name=system.name,
            family=_family(system),
            distro=system.distro,
            version=system.version,
            eol=_is_over(system),
            released=system.released,
        )
        for system in systems().values()
        if system.name
    ]
    return sorted(choices, key=lambda os: (os.eol, _order(os.distro), [-part for part in _version_key(os.version)]))


@lru_cache(maxsize=64)
def traits(os_id: str) -> OsTraits:
    """What a system needs and has drivers for. An id that nobody knows gives the traits of a modern, unknown system."""
    system = systems().get(os_id)
    if system is None or system.id == UNKNOWN:
        return _unknown(os_id)
    windows = _family(system) == "windows"
    minimum, recommended = _inherited(system, "minimum"), _inherited(system, "recommended")
    # libosinfo's figures are what installs; what is pleasant is about twice that.
    memory_mib = recommended.memory_mib or min(MOST_SUGGESTED_MIB, 2 * minimum.memory_mib) or 2048
    modern_windows = windows and _version_key(system.version)[:1] >= [10]
    needs_tpm = system.short_id in ("win11", "win11n") or "win/11" in system.id
    return OsTraits(
        id=system.id,
        short_id=system.short_id,
        name=system.name,
        family=_family(system),
        distro=system.distro,
        version=system.version,
        min_memory_mib=minimum.memory_mib or 128,
        min_vcpus=minimum.vcpus or 1,
        min_disk_gib=minimum.disk_gib or 1,
        memory_mib=max(memory_mib, minimum.memory_mib),
        vcpus=max(recommended.vcpus, minimum.vcpus, 2),
        disk_gib=max(recommended.disk_gib, minimum.disk_gib, 20),
        virtio_disk=_has(system, VIRTIO_DISK),
        virtio_net=_has(system, VIRTIO_NET),
        virtio_rng=_has(system, VIRTIO_RNG),
        virtio_balloon=_has(system, VIRTIO_BALLOON) or _has(system, VIRTIO_DISK),
        usb_tablet=_has(system, USB_TABLET) or windows or _family(system) == "linux",
        q35=_has(system, Q35) or modern_windows or _has(system, VIRTIO_DISK),
        needs_uefi=needs_tpm or any(ancestor.bios_fails for ancestor in lineage(system)),
        needs_secure_boot=needs_tpm,
        needs_tpm=needs_tpm,
    )


def _unknown(os_id: str) -> OsTraits:
    """Something from this century: it has virtio drivers, unless somebody says otherwise."""
    return OsTraits(
        id=os_id, short_id="unknown", name="", family="other", distro="", version="",
        min_memory_mib=64, min_vcpus=1, min_disk_gib=1, memory_mib=2048, vcpus=2, disk_gib=20,
        virtio_disk=True, virtio_net=True, virtio_rng=True, virtio_balloon=True, usb_tablet=True, q35=True,
        needs_uefi=False, needs_secure_boot=False, needs_tpm=False,
    )  # fmt: skip


def _exact(header: IsoHeader) -> list[System]:
    named = [system for system in systems().values() if any(_is_on(media, header) for media in system.media)]
    return [system for system in named if _is_release(system) or not system.version]


def _is_on(media: Media, header: IsoHeader) -> bool:
    """Whether the disc has all the names that the database knows of this medium; one without any name says nothing."""
    if media.volume_id is None:
        return False
    if header.arch and media.arch not in ("all", header.arch):
        return False
    return all(
        pattern is None or _compiled(pattern).search(name)
        for pattern, name in (
            (media.volume_id, header.volume_id),
            (media.system_id, header.system_id),
            (media.publisher_id, header.publisher_id),
            (media.application_id, header.application_id),
        )
    )


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """libosinfo matches like g_regex_match_simple: anywhere in the name."""
    try:
        return re.compile(pattern)
    except re.error:  # glib's regular expressions know a little more than Python's
        return re.compile(r"(?!)")


def _nearest(ids: str, version: str) -> System | None:
    """Of the systems whose ids begin so the newest that is not newer than `version`, else the oldest."""
    known = sorted((os for os in systems().values() if os.id.startswith(ids) and _is_release(os)), key=_age)
    wanted = _version_key(version)
    older = [os for os in known if not wanted or _version_key(os.version) <= wanted]
    return (older or known[:1])[-1] if known else systems().get(ids)


def _is_release(system: System) -> bool:
    """Not one of the database's stand-ins for "some version"."""
    return system.version[:1].isdigit() and not system.version.endswith("unknown")


def _age(system: System) -> tuple[list[int], str]:
    return _version_key(system.version), system.released


def _match(system: System, header: IsoHeader, confidence: str) -> OsMatch:
    return OsMatch(
        id=system.id,
        short_id=system.short_id,
        name=system.name,
        version=system.version,
        family=_family(system),
        eol=_is_over(system),
        arch=header.arch,
        confidence=confidence,
    )


def _inherited(system: System, kind: str) -> Resources:
    return next((found for each in lineage(system) if (found := getattr(each, kind)) != Resources()), Resources())


def _has(system: System, devices: tuple[str, ...]) -> bool:
    """Whether one of `devices` works: the nearest ancestor that says something about it decides."""
    for each in lineage(system):
        said = [each.devices[device] for device in devices if device in each.devices]
        if said:
            return any(said)
    return False


def _family(system: System) -> str:
    return FAMILIES.get(system.family, "other")


def _is_over(system: System) -> bool:
    return bool(system.end_of_life) and system.end_of_life < datetime.now(UTC).date().isoformat()


def _version_key(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _order(distro: str) -> str:
    return distro.lower() or "~"
