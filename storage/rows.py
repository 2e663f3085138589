"""What a line of a list needs besides its row: who uses it, which job is at it, what the reader may do with it.

Gathered for a whole page at once, so that a page costs the same number of queries for one line and for a hundred.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from hosts.models import Host
from jobs.models import Job, JobObject

from .models import Pool, Volume
from .rules import (
    DELETING_POOLS,
    FILE_POOLS,
    FORMATS,
    NETWORK_POOLS,
    READY_MADE_POOLS,
    RESIZING_POOLS,
    WIPING_POOLS,
    Users,
    users_of,
)

SHOWN_OF_VOLUMES = (
    "name", "format", "capacity_bytes", "allocation_bytes", "backing_path", "missing_since",
    "pool__name", "pool__host__name",
)  # fmt: skip # what a list of volumes shows; menus and pages read the rest
SHOWN_GUESTS = 50


class Badge(NamedTuple):
    text: str
    kind: str  # as templates/_badge.html has them
    title: str = ""


class Rights:
    """The hosts on which a user may do an action, asked once for a page and only for what it shows."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._hosts: dict[str, set[int]] = {}

    def allow(self, action: str, host_id: int) -> bool:
        if action not in self._hosts:
            self._hosts[action] = set(Host.objects.permitted(self._user, action).values_list("pk", flat=True))
        return host_id in self._hosts[action]


@dataclass(frozen=True, kw_only=True)
class Line:
    """Common to all lists. `job` is the unfinished one that holds the object."""

    name: str
    host_id: int
    rights: Rights
    job: Job | None

    @property
    def more_text(self) -> str:
        """What the button of a row's menu says aloud."""
        return _("More for %(name)s") % {"name": self.name}

    @property
    def job_id(self) -> int | None:
        return self.job.pk if self.job else None

    @property
    def can_operate(self) -> bool:
        return self.rights.allow("operate", self.host_id)

    @property
    def can_configure(self) -> bool:
        return self.rights.allow("configure", self.host_id)

    @property
    def can_create(self) -> bool:
        return self.rights.allow("create", self.host_id)

    @property
    def can_delete(self) -> bool:
        return self.rights.allow("delete", self.host_id)


@dataclass(frozen=True, kw_only=True)
class PoolLine(Line):
    pool: Pool

    @property
    def url(self) -> str:
        return self.pool.get_absolute_url()

    @property
    def state(self) -> str:
        return "missing" if self.pool.missing_since else "active" if self.pool.is_active else "inactive"

    @property
    def can_administer(self) -> bool:
        return self.rights.allow("administer", self.host_id)

    @property
    def can_create(self) -> bool:
        return super().can_create and self.pool.type not in READY_MADE_POOLS

    @property
    def promised_bytes(self) -> int:
        """What its volumes may grow to, all together."""
        return int(getattr(self.pool, "promised_bytes", 0))

    @property
    def promised_percent(self) -> int | None:
        """Of its capacity; above 100 it has promised more than it holds."""
        capacity = self.pool.capacity_bytes
        return self.promised_bytes * 100 // capacity if capacity else None

    @property
    def state_label(self) -> str:
        return {"missing": _("Missing"), "active": _("Active"), "inactive": _("Stopped")}[self.state]


@dataclass(frozen=True, kw_only=True)
class Used(Line):
    """Of a file that guests may have."""

    users: Users | None
    pool_url: str

    @property
    def used_by_count(self) -> int:
        return self.users.guests if self.users else 0

    @property
    def users_text(self) -> str:
        return ngettext("%(number)d guest", "%(number)d guests", self.used_by_count) % {"number": self.used_by_count}


@dataclass(frozen=True, kw_only=True)
class VolumeLine(Used):
    volume: Volume

    @property
    def url(self) -> str:
        return self.volume.get_absolute_url()

    @property
    def iso_id(self) -> int | None:
        return self.volume.iso.pk if hasattr(self.volume, "iso") else None

    @property
    def can_resize(self) -> bool:
        is_disk = self.volume.format in FORMATS or self.volume.pool.type not in FILE_POOLS
        can = is_disk and self.volume.pool.type in RESIZING_POOLS
        return self.can_configure and can and self.volume.missing_since is None

    @property
    def can_copy(self) -> bool:
        pool = self.volume.pool
        can = pool.is_active and pool.type not in NETWORK_POOLS
        return self.can_configure and can and self.volume.missing_since is None

    @property
    def can_wipe(self) -> bool:
        can = self.volume.missing_since is None and not self.users and self.volume.pool.type in WIPING_POOLS
        return super().can_delete and can

    @property
    def can_delete(self) -> bool:
        can = self.volume.missing_since is not None or self.volume.pool.type in DELETING_POOLS
        return super().can_delete and can

    @property
    def can_overlay(self) -> bool:
        return (
            self.can_copy and self.can_create and self.volume.format in FORMATS and self.volume.pool.type in FILE_POOLS
        )

    @property
    def can_move(self) -> bool:
        return self.can_copy and self.iso_id is None


def pool_lines(user: User, pools: Iterable[Pool]) -> list[PoolLine]:
    shown = list(pools)
    rights, jobs = Rights(user), jobs_on("pool", [pool.pk for pool in shown])
    return [
        PoolLine(name=pool.name, host_id=pool.host_id, rights=rights, job=jobs.get(pool.pk), pool=pool)
        for pool in shown
    ]


def volume_lines(user: User, volumes: Iterable[Volume]) -> list[VolumeLine]:
    shown = list(volumes)
    jobs = jobs_on("volume", [volume.pk for volume in shown])
    common = common_to(user, shown)
    return [VolumeLine(volume=volume, job=jobs.get(volume.pk), **common(volume)) for volume in shown]


def common_to(user: User, volumes: list[Volume]) -> Callable[[Volume], dict[str, Any]]:
    """What the lines of volumes and of images have in common, gathered at once."""
    rights, users = Rights(user), users_of(volume.pk for volume in volumes)
    pools = {volume.pool_id: volume.pool for volume in volumes}
    urls = {pk: pool.get_absolute_url() for pk, pool in pools.items()}

    def common(volume: Volume) -> dict[str, Any]:
        return {
            "name": volume.name,
            "host_id": volume.pool.host_id,
            "rights": rights,
            "users": users.get(volume.pk),
            "pool_url": urls[volume.pool_id],
        }

    return common


def jobs_on(kind: str, ids: Iterable[int]) -> dict[int, Job]:
    """The unfinished job that holds each of these objects."""
    held = JobObject.objects.filter(kind=kind, object_id__in=list(ids), held=True).select_related("job")
    return {each.object_id: each.job for each in held}


def guests_of(volume: Volume) -> tuple[list[Any], int]:
    """The first guests by name that have the volume (rows of the room above), and how many more there are."""
    used = volume.used_by.filter(guest__missing_since=None).order_by("guest__name", "guest")
    disks = used.select_related("guest").only("guest__name", "guest__state", "volume")[:SHOWN_GUESTS]
    shown = list({disk.guest_id: disk.guest for disk in disks}.values())
    return shown, used.values("guest").distinct().count() - len(shown)
