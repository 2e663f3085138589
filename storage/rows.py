"""What a line of a list needs besides its row: who uses it, which job is at it, what the reader may do with it.

Gathered for a whole page at once, so that a page costs the same number of queries for one line and for a hundred.
"""

import os.path
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Count, F
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from hosts.models import Host
from jobs.models import Job, JobObject

from .current.models import FormerImage, KeptImage
from .models import Iso, Pool, Volume
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
from .signers.models import spaced

SHOWN_OF_VOLUMES = (
    "name", "format", "capacity_bytes", "allocation_bytes", "backing_path", "missing_since",
    "pool__name", "pool__host__name",
)  # fmt: skip # what a list of volumes shows; menus and pages read the rest
NEW_FOR = timedelta(days=1)
SHOWN_GUESTS = 50
PACKED = (".gz", ".bz2", ".xz", ".zst")
LONGEST_CHAIN = 20


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
class _Used(Line):
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
class VolumeLine(_Used):
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


class Trust(NamedTuple):
    """How a checksum looks: colour, shape, word and what that means."""

    css: str
    shape: str
    text: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class IsoLine(_Used):
    iso: Iso
    twins: int = 0  # other images with the same content that the reader may see
    kept_current: bool = False
    replaced: bool = False  # by a newer one: it goes when nothing uses it

    @property
    def url(self) -> str:
        return self.iso.get_absolute_url()

    @property
    def install_url(self) -> str:
        """Where a guest is made from it."""
        return f"{reverse('guests:new')}?iso={self.iso.pk}"

    @property
    def signed_by(self) -> str:
        return spaced(self.iso.signed_by)

    @property
    def trust(self) -> Trust:
        match self.iso.checksum:
            case Iso.Checksum.MATCHES if self.iso.signed_by:
                sentence = _("The vendor's list that has its checksum is signed by the key %(fingerprint)s.")
                return Trust("ok", "s-ok", _("signed"), sentence % {"fingerprint": self.signed_by})
            case Iso.Checksum.MATCHES:
                return Trust("ok", "s-ok", _("as published"))
            case Iso.Checksum.DIFFERS:
                return Trust("bad", "s-bad", _("does not match"), _("Its SHA-256 differs from the one that was given."))
            case Iso.Checksum.UNVERIFIED:
                return Trust(
                    "warn", "s-pause", _("unverified"), _("Its SHA-256 was not compared with the one given yet.")
                )
            case Iso.Checksum.COMPUTED:
                return Trust("busy", "s-info", _("computed"), _("Nobody said what it should be."))
        return Trust("mute", "s-lost", _("not checked"), _("Nobody has looked at this image yet."))

    @property
    def added_by(self) -> str | None:
        return self.iso.added_by.username if self.iso.added_by else None

    @property
    def is_packed(self) -> bool:
        return self.iso.name.lower().endswith(PACKED)

    @property
    def can_install(self) -> bool:
        """Whether the reader may make a guest from it."""
        volume = self.iso.volume
        is_there = volume.missing_since is None and volume.pool.is_active
        is_disc = self.iso.is_iso9660 is not False and self.iso.kind == Iso.Kind.ISO
        return is_there and is_disc and self.can_create

    @property
    def can_keep_current(self) -> bool:
        """Whether the reader may have it fetched anew; those of no vendor's list nobody can."""
        is_there = self.iso.volume.missing_since is None
        return is_there and bool(self.iso.published) and not self.replaced and self.can_create

    @property
    def badges(self) -> list[Badge]:
        iso, found = self.iso, []
        if iso.volume.missing_since:
            found.append(Badge(_("missing"), "stale", _("The file is not in its pool any more.")))
        if timezone.now() - iso.added_at < NEW_FOR:
            found.append(Badge(_("new"), "info"))
        if iso.kind != Iso.Kind.ISO:
            found.append(Badge(str(iso.get_kind_display()), "info"))
        elif iso.is_iso9660 is False:
            found.append(Badge(_("not an ISO"), "bad", _("It has no ISO 9660 header, so it installs nothing.")))
        if self.kept_current:
            found.append(Badge(_("kept current"), "ok", _("A newer image is fetched when its vendor publishes one.")))
        if self.replaced:
            found.append(Badge(_("replaced"), "stale", _("A newer image is here. This one goes when nothing uses it.")))
        if self.twins:
            text = ngettext("%(number)d more like it", "%(number)d more like it", self.twins) % {"number": self.twins}
            found.append(Badge(text, "info", _("The same content is in other places, too.")))
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
    rights, jobs = Rights(user), jobs_on("pool", [pool.pk for pool in shown])
    return [
        PoolLine(name=pool.name, host_id=pool.host_id, rights=rights, job=jobs.get(pool.pk), pool=pool)
        for pool in shown
    ]


def volume_lines(user: User, volumes: Iterable[Volume]) -> list[VolumeLine]:
    shown = list(volumes)
    jobs = jobs_on("volume", [volume.pk for volume in shown])
    common = _common_to(user, shown)
    return [VolumeLine(volume=volume, job=jobs.get(volume.pk), **common(volume)) for volume in shown]


def iso_lines(user: User, isos: Iterable[Iso]) -> list[IsoLine]:
    shown = list(isos)
    jobs = jobs_on("iso", [iso.pk for iso in shown])
    common = _common_to(user, [iso.volume for iso in shown])
    twins = _twins(user, shown)
    kept = set(KeptImage.objects.filter(iso__in=shown).values_list("iso", flat=True))
    replaced = set(FormerImage.objects.filter(iso__in=shown).values_list("iso", flat=True))
    return [
        IsoLine(
            iso=iso,
            job=jobs.get(iso.pk),
            twins=twins.get(iso.sha256, 1) - 1,
            kept_current=iso.pk in kept,
            replaced=iso.pk in replaced,
            **common(iso.volume),
        )
        for iso in shown
    ]


def _twins(user: User, isos: list[Iso]) -> dict[str, int]:
    """How many images there are of each content that is shown."""
    hashes = {iso.sha256 for iso in isos if iso.sha256}
    same = Iso.objects.permitted(user, "view").filter(sha256__in=hashes, volume__missing_since=None)
    counted = same.order_by().values_list("sha256").annotate(number=Count("pk"))
    return dict(counted.filter(number__gt=1))


def _common_to(user: User, volumes: list[Volume]) -> Callable[[Volume], dict[str, Any]]:
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


class Link(NamedTuple):
    """One image of a backing chain; `volume` is None where it lies in no pool that we know."""

    path: str
    volume: Volume | None
    problem: str = ""  # a sentence


def backing_chain(volume: Volume) -> list[Link]:
    """What the volume lies on, the next one first, as far as it is known; the last link says what is wrong with it."""
    chain: list[Link] = []
    path, seen = volume.backing_path, {volume.path}
    while path:
        if path in seen:
            return [*chain, Link(path, None, _("The chain runs in a circle here. No guest can start with it."))]
        if len(chain) == LONGEST_CHAIN:
            return [*chain, Link(path, None, _("The chain is longer than kvmweb follows it."))]
        seen.add(path)
        below = (
            Volume.objects.filter(path=path, pool__host=volume.pool.host_id)
            .select_related("pool")
            .order_by(F("missing_since").asc(nulls_first=True))
            .first()
        )
        chain.append(Link(path, below, _problem(volume, path, below)))
        path = below.backing_path if below else ""
    return chain


def _problem(volume: Volume, path: str, below: Volume | None) -> str:
    if below and below.missing_since:
        return _("It is not in its pool any more. Without it nothing above it can be read.")
    if below:
        return ""
    folder = os.path.dirname(path)
    if Pool.objects.filter(host=volume.pool.host_id, target_path=folder, is_active=True, missing_since=None).exists():
        return _("There is no such file in its pool. Without it nothing above it can be read.")
    return _("It lies in no pool that kvmweb knows. Whether it is there, nobody watches.")
