"""Which disks of which guests an image is: what must be known before it is grown, moved or taken away."""

from __future__ import annotations

import os.path
from dataclasses import dataclass

from virt.connection import Connection
from virt.domain_reader import list_domains
from virt.domain_summary import parse_domain
from virt.errors import VolumeInUse
from virt.types import DiskSummary, DomainInfo
from virt.volumes import path_of


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """One drive of one guest that has an image. `is_top`: the guest writes to the image itself, it does not only lie
    below what the guest writes to. `is_active`: the guest has it open now.
    """

    uuid: str
    guest: str
    target: str
    is_top: bool
    is_active: bool
    is_readonly: bool


def disk_uses(conn: Connection, path: str) -> list[DiskUse]:
    """Every use of the image at `path` by guests of this host: as they run now, and as they are defined."""
    found: dict[tuple[str, str], DiskUse] = {}
    for info in list_domains(conn):
        for xml, is_active in ((info.xml, False), (info.live_xml, True)):
            for disk in parse_domain(xml).disks if xml else ():
                if use := _use(conn, path, info, disk, is_active):
                    found[info.uuid, disk.target] = use  # what runs now counts for more than what is defined
    return list(found.values())


def paths_in_use(conn: Connection) -> dict[str, set[str]]:
    """The paths of all images that guests have as disks, below one or as a medium, each with the guests' names."""
    used: dict[str, set[str]] = {}
    for info in list_domains(conn):
        for xml in filter(None, (info.xml, info.live_xml)):
            for disk in parse_domain(xml).disks:
                source = path_of(conn, disk.pool, disk.volume) if disk.pool and disk.volume else disk.source
                for path in filter(None, (source, *disk.backing_paths)):
                    used.setdefault(os.path.normpath(path), set()).add(info.name)
    return used


def only_writer(conn: Connection, path: str, name: str, *, may_share: bool = False) -> DiskUse | None:
    """The one running guest that has the image as its own disk, or None when no running guest has it open.

    Raises VolumeInUse when several have it, or one that has it below an overlay or for reading only. Those that only
    read it are no matter with `may_share`, for who reads it too.
    """
    open_now = [use for use in disk_uses(conn, path) if use.is_active]
    if may_share:
        open_now = [use for use in open_now if use.is_top and not use.is_readonly]
    if not open_now:
        return None
    if len(open_now) > 1:
        guests = ", ".join(sorted({use.guest for use in open_now}))
        raise VolumeInUse(f"Disk {name} is open in more than one place ({guests}). Shut those guests down first.")
    use = open_now[0]
    if not use.is_top:
        raise VolumeInUse(f"The running guest {use.guest} has an overlay on {name}. Shut {use.guest} down first.")
    if use.is_readonly:
        raise VolumeInUse(f"The running guest {use.guest} has {name} in a drive for reading. Take it out first.")
    return use


def _use(conn: Connection, path: str, info: DomainInfo, disk: DiskSummary, is_active: bool) -> DiskUse | None:
    source = path_of(conn, disk.pool, disk.volume) if disk.pool and disk.volume else disk.source
    wanted = os.path.normpath(path)
    is_top = bool(source) and os.path.normpath(source) == wanted
    if not is_top and wanted not in map(os.path.normpath, disk.backing_paths):
        return None
    return DiskUse(
        uuid=info.uuid,
        guest=info.name,
        target=disk.target,
        is_top=is_top,
        is_active=is_active,
        is_readonly=disk.readonly,
    )
