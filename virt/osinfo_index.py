"""Reads osinfo-db and our overlay into plain values, file by file, so that no parsed tree stays in memory.

https://gitlab.com/libosinfo/osinfo-db/-/blob/main/docs/database-layout.txt
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from virt.xmltree import Element, number

log = logging.getLogger(__name__)

OVERLAY = Path(__file__).with_name("osinfo_overlay.xml")


@dataclass(slots=True)
class Medium:
    """Patterns that an ISO's header must match; a part without a pattern may be anything."""

    os_id: str
    arch: str
    volume: str
    system: str
    publisher: str
    application: str


@dataclass(slots=True)
class Entry:
    """One <os> as the files have it, nothing inherited yet."""

    id: str
    short_id: str = ""
    name: str = ""
    version: str = ""
    family: str = ""
    distro: str = ""
    released: str = ""
    eol: str = ""
    parents: tuple[str, ...] = ()
    devices: dict[str, bool] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)  # "minimum.ram" and so on, for x86_64 or all
    boots_bios: bool | None = None
    boots_efi: bool | None = None


@dataclass(slots=True)
class Index:
    entries: dict[str, Entry] = field(default_factory=dict)
    media: list[Medium] = field(default_factory=list)


def database_directories() -> list[Path]:
    """Where osinfo-db may be, as libosinfo looks for it; later ones add to earlier ones."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    system = Path(os.environ.get("OSINFO_SYSTEM_DIR") or "/usr/share/osinfo")
    return [system, Path("/etc/osinfo"), home / "osinfo", data / "osinfo"]


def build(directories: list[Path]) -> Index:
    """Read every system. A directory that is not there and a file that is broken are passed over."""
    index = Index()
    for directory in directories:
        for path in sorted(directory.glob("os/**/*.xml")):
            for element in _systems(path):
                _read(index, element)
    known = set(index.entries)
    for element in _systems(OVERLAY):
        if str(element.get("id")) in known:
            index.media.extend(_media(element))
        else:
            _read(index, element)
    return index


def _systems(path: Path) -> Iterator[Element]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        yield from etree.parse(str(path), parser).getroot().iterfind("os")
    except (OSError, etree.XMLSyntaxError) as exc:
        log.warning("%s cannot be read: %s", path, exc)


def _read(index: Index, element: Element) -> None:
    """Add an <os>; a second one of the same id (osinfo-db splits some) fills in and overrides what it has."""
    entry = index.entries.setdefault(str(element.get("id")), Entry(id=str(element.get("id"))))
    for attribute, tag in (
        ("short_id", "short-id"), ("name", "name"), ("version", "version"), ("family", "family"),
        ("distro", "distro"), ("released", "release-date"), ("eol", "eol-date"),
    ):  # fmt: skip
        if value := (element.findtext(tag) or "").strip():
            setattr(entry, attribute, value)
    parents = [str(e.get("id")) for tag in ("derives-from", "clones") for e in element.iterfind(tag)]
    entry.parents = tuple(dict.fromkeys([*entry.parents, *parents]))
    for device in element.iterfind("devices/device"):
        entry.devices[str(device.get("id"))] = device.get("supported") != "false"
    for resources in element.iterfind("resources"):
        if resources.get("arch") in ("x86_64", "all"):
            _read_resources(entry, resources)
    for firmware in element.iterfind("firmware"):
        if firmware.get("arch") in ("x86_64", "all", None):
            offered = firmware.get("supported") != "false"
            if firmware.get("type") == "bios":
                entry.boots_bios = offered
            elif str(firmware.get("type", "")).startswith("efi"):
                entry.boots_efi = offered
    index.media.extend(_media(element))


def _read_resources(entry: Entry, resources: Element) -> None:
    is_own_arch = resources.get("arch") == "x86_64"
    for level in ("minimum", "recommended"):
        for name in ("ram", "n-cpus", "storage"):
            value = number(resources.findtext(f"{level}/{name}"))
            if value and (is_own_arch or f"{level}.{name}" not in entry.resources):
                entry.resources[f"{level}.{name}"] = value


def _media(element: Element) -> Iterator[Medium]:
    for media in element.iterfind("media"):
        patterns = [
            (media.findtext(f"iso/{tag}") or "").strip()
            for tag in ("volume-id", "system-id", "publisher-id", "application-id")
        ]
        if any(patterns):
            yield Medium(str(element.get("id")), str(media.get("arch", "")), *patterns)
