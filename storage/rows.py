"""What a line of a list needs besides its row: who uses it, which job is at it, what the reader may do with it.

Gathered for a whole page at once, so that a page costs the same number of queries for one line and for a hundred.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from jobs.models import Job, JobObject

from .models import Iso, Pool, Volume
from .rules import Users, users_of

NEW_FOR = timedelta(days=1)


class Badge(NamedTuple):
    text: str
    kind: str  # as templates/_badge.html has them
    title: str = ""


@dataclass(frozen=True)
class Rights:
    """The hosts on which a user may do an action, asked once for a page."""

    user: User
    configure: frozenset[int]
    operate: frozenset[int]
    create: frozenset[int]
    delete: frozenset[int]

    @classmethod
    def of(cls, user: User) -> "Rights":
        def hosts(action: str) -> frozenset[int]:
            return frozenset(Host.objects.permitted(user, action).values_list("pk", flat=True))

        return cls(user, hosts("configure"), hosts("operate"), hosts("create"), hosts("delete"))


@dataclass(frozen=True, kw_only=True)
class Line:
    """Common to all lists."""

    host_id: int
    rights: Rights
    job: Job | None

    @property
    def can_operate(self) -> bool:
        return self.host_id in self.rights.operate

    @property
    def can_configure(self) -> bool:
        return self.host_id in self.rights.configure

    @property
    def can_create(self) -> bool:
        return self.host_id in self.rights.create

    @property
    def can_delete(self) -> bool:
        return self.host_id in self.rights.delete


@dataclass(frozen=True, kw_only=True)
class PoolLine(Line):
    pool: Pool

    @property
    def state(self) -> str:
        return "missing" if self.pool.missing_since else "active" if self.pool.is_active else "inactive"

    @property
    def state_label(self) -> str:
        return {"missing": _("Missing"), "active": _("Active"), "inactive": _("Stopped")}[self.state]


@dataclass(frozen=True, kw_only=True)
class VolumeLine(Line):
    volume: Volume
    users: Users | None


@dataclass(frozen=True, kw_only=True)
class IsoLine(Line):
    iso: Iso
    users: Users | None

    @property
    def badges(self) -> list[Badge]:
        iso, found = self.iso, []
        if iso.volume.missing_since:
            found.append(Badge(_("missing"), "stale", _("The file is not in its pool any more.")))
        if timezone.now() - iso.added_at < NEW_FOR:
            found.append(Badge(_("new"), "info"))
        if iso.is_iso9660 is False:
            found.append(Badge(_("not an ISO"), "bad", _("It has no ISO 9660 header, so it installs nothing.")))
        if iso.checksum == Iso.Checksum.DIFFERS:
            found.append(Badge(_("does not match"), "bad", _("Its SHA-256 differs from the one that was given.")))
        elif iso.checksum == Iso.Checksum.UNVERIFIED:
            found.append(Badge(_("unverified"), "restart", _("Its SHA-256 was not compared with the one given yet.")))
        if iso.os_is_eol:
            found.append(Badge(_("end of life"), "restart", _("Its maker gives no updates any more.")))
        if self.would_be_emulated:
            found.append(Badge(_("emulated"), "emu", _("For another kind of processor: it would run, slowly.")))
        return found

    @property
    def would_be_emulated(self) -> bool:
        """Whether the image is for another processor than the host's; i686 runs on x86_64."""
        host_arch = self.iso.volume.pool.host.facts.get("arch", "")
        mine = self.iso.arch
        return bool(mine and host_arch and mine != host_arch and (mine, host_arch) != ("i686", "x86_64"))

    @property
    def boots_by(self) -> str:
        """In words; "" where nobody has looked."""
        by = (self.iso.boots_uefi, self.iso.boots_bios)
        words = {(True, True): _("UEFI, BIOS"), (True, False): _("UEFI only"), (False, True): _("BIOS only")}
        return "" if None in by else words.get((bool(by[0]), bool(by[1])), _("no boot"))


def pool_lines(user: User, pools: Iterable[Pool]) -> list[PoolLine]:
    shown = list(pools)
    rights, jobs = Rights.of(user), jobs_on("pool", [pool.pk for pool in shown])
    return [PoolLine(host_id=pool.host_id, rights=rights, job=jobs.get(pool.pk), pool=pool) for pool in shown]


def volume_lines(user: User, volumes: Iterable[Volume]) -> list[VolumeLine]:
    shown = list(volumes)
    ids = [volume.pk for volume in shown]
    rights, jobs, users = Rights.of(user), jobs_on("volume", ids), users_of(ids)
    return [
        VolumeLine(
            host_id=volume.pool.host_id,
            rights=rights,
            job=jobs.get(volume.pk),
            volume=volume,
            users=users.get(volume.pk),
        )
        for volume in shown
    ]


def iso_lines(user: User, isos: Iterable[Iso]) -> list[IsoLine]:
    shown = list(isos)
    rights, jobs = Rights.of(user), jobs_on("iso", [iso.pk for iso in shown])
    users = users_of([iso.volume_id for iso in shown])
    return [
        IsoLine(
            host_id=iso.volume.pool.host_id,
            rights=rights,
            job=jobs.get(iso.pk),
            iso=iso,
            users=users.get(iso.volume_id),
        )
        for iso in shown
    ]


def jobs_on(kind: str, ids: Iterable[int]) -> dict[int, Job]:
    """The unfinished job that holds each of these objects."""
    held = JobObject.objects.filter(kind=kind, object_id__in=list(ids), held=True).select_related("job")
    return {each.object_id: each.job for each in held}
