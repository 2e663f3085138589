"""osinfo-db in a form that is small enough to keep: read once per process, when somebody first asks.

https://libosinfo.org/docs/ . The places are libosinfo's own, later ones overrule earlier ones, so `osinfo-db-import`
helps here too. Our overlay comes first: it knows systems that are newer than the database of a stable distribution.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from virt.xmltree import Element, number, parse, text

OVERLAY = Path(__file__).with_name("osinfo_overlay.xml")
SYSTEM, LOCAL = Path("/usr/share/osinfo"), Path("/etc/osinfo")
MIB, GIB = 2**20, 2**30


@dataclass(frozen=True)
class Media:
    """How an installation disc of a system is known: regular expressions, None where anything goes."""

    arch: str
    volume_id: str | None
    system_id: str | None
    publisher_id: str | None
    application_id: str | None


@dataclass(frozen=True)
class Resources:
    """Sizes in MiB and GiB; 0 where the database does not say."""

    vcpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0


@dataclass
class System:
    """A system as the database has it. `devices` maps a device's id to whether it works."""

    id: str
    short_id: str
    name: str
    version: str
    family: str
    distro: str
    released: str
    end_of_life: str
    derives_from: str
    minimum: Resources
    recommended: Resources
    devices: dict[str, bool] = field(default_factory=dict)
    bios_fails: bool = False
    media: list[Media] = field(default_factory=list)


@cache
def systems() -> dict[str, System]:
    """All known systems by libosinfo's id."""
    found: dict[str, System] = {}
    for path in _files():
        try:
            root = parse(path.read_bytes())
        except (OSError, ValueError):  # a damaged file of somebody's own costs us that file only
            continue
        for element in root.iterfind("os"):
            found[str(element.get("id", ""))] = _system(element)
    return found


def lineage(system: System) -> Iterator[System]:
    """The system, what it derives from, what that derives from …"""
    known, seen = systems(), set()
    current: System | None = system
    while current is not None and current.id not in seen:
        seen.add(current.id)
        yield current
        current = known.get(current.derives_from)


def _files() -> Iterator[Path]:
    yield OVERLAY
    own = Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "osinfo"
    for place in (SYSTEM, LOCAL, own):
        yield from sorted((place / "os").glob("**/*.xml"))


def _system(element: Element) -> System:
    distro = text(element, "distro")
    relation = element.find("clones")
    if relation is None:
        relation = element.find("derives-from")
    return System(
        id=str(element.get("id", "")),
        short_id=text(element, "short-id"),
        name=text(element, "name"),
        version=text(element, "version"),
        family=text(element, "family"),
        distro=distro,
        released=text(element, "release-date"),
        end_of_life=text(element, "eol-date"),
        derives_from=str(relation.get("id", "")) if relation is not None else "",
        minimum=_resources(element, "minimum"),
        recommended=_resources(element, "recommended"),
        devices={
            str(device.get("id", "")): device.get("supported") != "false"
            for device in element.iterfind("devices/device")
        },
        bios_fails=any(
            firmware.get("type") == "bios" and firmware.get("supported") == "false"
            for firmware in element.iterfind("firmware")
        ),
        media=[_media(media) for media in element.iterfind("media") if media.find("iso") is not None],
    )


def _resources(element: Element, kind: str) -> Resources:
    """The resources for x86_64 where they differ by architecture, else those for all."""
    by_arch = {str(part.get("arch", "all")): part.find(kind) for part in element.iterfind("resources")}
    part = by_arch.get("x86_64")
    if part is None:
        part = by_arch.get("all")
    if part is None:
        return Resources()
    return Resources(
        vcpus=number(part.findtext("n-cpus")),
        memory_mib=number(part.findtext("ram")) // MIB,
        disk_gib=-(-number(part.findtext("storage")) // GIB),
    )


def _media(element: Element) -> Media:
    def pattern(name: str) -> str | None:
        return text(element, f"iso/{name}") or None

    return Media(
        arch=str(element.get("arch", "all")),
        volume_id=pattern("volume-id"),
        system_id=pattern("system-id"),
        publisher_id=pattern("publisher-id"),
        application_id=pattern("application-id"),
    )
