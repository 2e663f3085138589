"""Image files in no pool: what pages and REST call. The caller has asked `permitted` for the host ("administer").

Seeing what lies in a directory takes an administrator, as a pool over it does.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from accounts.models import User
from guests.models import Disk, StrayFiles
from hosts.models import Host
from hosts.services import require_enabled
from jobs.models import Job, Ref
from storage.models import Pool, Volume

from . import tasks


@dataclass(frozen=True, kw_only=True)
class Stray:
    """A file in no pool. `used_by` names the guests that have it, `overlays` the volumes that lie on it."""

    path: str
    format: str
    size_bytes: int
    allocation_bytes: int
    changed_at: Any
    used_by: list[str]
    overlays: list[str]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True, kw_only=True)
class Place:
    """A directory with such files. `pool_url` leads to the form that makes a pool of it."""

    path: str
    files: list[Stray]
    pool_url: str

    @property
    def allocation_bytes(self) -> int:
        return sum(file.allocation_bytes for file in self.files)


def look(host: Host, *, by: User) -> Job:
    """Look on the host for image files in no pool. Raises HostDisabled or Busy."""
    require_enabled(host)
    return Job.start(
        tasks.look_for_stray_files,
        title=_("Look for image files in no pool on %(host)s") % {"host": host.name},
        by=by,
        objects=[Ref("host", host.pk, host.name)],
        host_id=host.pk,
    )


def places(host: Host, row: StrayFiles | None) -> list[Place]:
    """What was found last and is in no pool by now either, by directory. A constant number of queries."""
    entries = row.found if row else []
    paths = [entry["path"] for entry in entries]
    pools = set(Pool.objects.filter(host=host, missing_since=None).values_list("target_path", flat=True))
    guests: dict[str, list[str]] = {}
    for source, name in (
        Disk.objects.filter(guest__host=host, guest__missing_since=None, source__in=paths)
        .order_by("guest__name")
        .values_list("source", "guest__name")
    ):
        guests.setdefault(source, []).append(name)
    there = Volume.objects.filter(pool__host=host, missing_since=None)
    overlays: dict[str, list[str]] = {}
    for path, name in there.filter(~Q(backing_path=""), backing_path__in=paths).values_list("backing_path", "name"):
        overlays.setdefault(path, []).append(name)
    found: dict[str, list[Stray]] = {}
    for entry in entries:
        directory = str(PurePosixPath(entry["path"]).parent)
        if directory in pools:
            continue
        changed = parse_datetime(entry["changed_at"]) if entry["changed_at"] else None
        users = guests.get(entry["path"], []), overlays.get(entry["path"], [])
        stray = Stray(**{**entry, "changed_at": changed}, used_by=users[0], overlays=users[1])
        found.setdefault(directory, []).append(stray)
    return [Place(path=path, files=files, pool_url=_pool_url(host, path)) for path, files in sorted(found.items())]


def _pool_url(host: Host, path: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in PurePosixPath(path).name)
    given = {"on_host": host.pk, "type": "dir", "path": path, "name": name.strip("-.")[:64]}
    return f"{reverse('storage:pool_new')}?{urlencode(given)}"
