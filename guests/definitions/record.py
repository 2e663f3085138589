"""Keeping what a guest was before, whenever a definition that was just read differs from the one in its row.

A guest whose definition never changed has no rows here: its only version is the one in its own row. So the first look
at a host with a thousand guests writes nothing.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from guests.models import Guest
from hosts.models import Host
from jobs.models import Job, JobObject
from virt.types import DomainInfo

from .models import MOST_VERSIONS, DefinitionText, DefinitionVersion, digest_of

if TYPE_CHECKING:
    from guests.row_writer import Changes

BATCH = 200  # guests whose definitions are in memory at once
Origin = DefinitionVersion.Origin

_read_at: dict[int, float] = {}  # by row id: when this process read a definition last; says since when it may differ


@dataclass(frozen=True)
class _Latest:
    number: int
    seen_at: datetime
    libvirt_version: str
    digest: str


def keep_changed(host: Host, changes: "Changes", seen: Mapping[UUID, DomainInfo]) -> None:
    """Keep the definitions that differ from those in the rows of `changes`, which are about to be written.

    Call it in the transaction that writes the rows, before it does. Guests whose reading is older than what another
    process has written meanwhile are taken out of `changes`: their rows must stay as they are.
    """
    rows = [guest for guest in changes.defined if guest.persistent]
    outdated: set[int] = set()
    for start in range(0, len(rows), BATCH):
        outdated |= _keep(host, {guest.pk: guest for guest in rows[start : start + BATCH]}, seen)
    if outdated:
        for guest in changes.defined:
            if guest.pk in outdated:
                changes.devices.pop(guest.uuid)
        changes.defined = [guest for guest in changes.defined if guest.pk not in outdated]


def remember_reads(pks: Mapping[UUID, int], seen: Mapping[UUID, DomainInfo]) -> None:
    """Note when the definitions of these guests were read, so that a later change is known to be younger."""
    now = time.time()
    for uuid, pk in pks.items():
        _read_at[pk] = seen[uuid].read_at or now


def _keep(host: Host, guests: Mapping[int, Guest], seen: Mapping[UUID, DomainInfo]) -> set[int]:
    # The lock makes two processes that read the same change write one version of it.
    locked = Guest.objects.select_for_update().filter(pk__in=list(guests)).order_by("pk")
    rows = [row for row in locked.values_list("pk", "xml", "persistent") if row[1] and row[1] != guests[row[0]].xml]
    before = {pk: xml if was_persistent else "" for pk, xml, was_persistent in rows}  # a transient guest had none
    if not before:
        return set()
    latest = _latest(before)
    read = {pk: _moment(seen[guests[pk].uuid]) for pk in before}
    outdated = {pk for pk in before if pk in latest and read[pk] < latest[pk].seen_at}
    new = {pk: digest_of(guests[pk].xml) for pk in before if pk not in outdated}
    changed = [pk for pk in new if (latest[pk].digest != new[pk] if pk in latest else before[pk])]
    authors = _authors(changed)
    texts = _texts({pk: ((guests[pk].xml,) if pk in latest else (before[pk], guests[pk].xml)) for pk in changed})
    libvirt_version = str(host.facts.get("libvirt_version", ""))[:32]
    made: list[DefinitionVersion] = []
    for pk in changed:
        guest, last = guests[pk], latest.get(pk)
        if last is None:
            last = _Latest(1, guest.first_seen_at, "", digest_of(before[pk]))
            first = texts[pk, last.digest]
            made.append(
                DefinitionVersion(guest=guest, number=1, text_id=first, seen_at=last.seen_at, origin=Origin.FIRST)
            )
        version = DefinitionVersion(
            guest=guest,
            number=last.number + 1,
            text_id=texts[pk, new[pk]],
            seen_at=read[pk],
            earliest_at=_earliest(pk, last),
            libvirt_version=libvirt_version,
        )
        _sign(version, last, authors.get(pk))
        made.append(version)
    DefinitionVersion.objects.bulk_create(made, batch_size=BATCH)
    _drop_oldest(made)
    return outdated


def _sign(version: DefinitionVersion, last: _Latest, job: Job | None) -> None:
    """Say who changed it, as far as anybody can know: libvirt tells nobody which of its clients did it."""
    if job:
        version.origin, version.job = Origin.KVMWEB, job
        version.job_title, version.actor = job.title, job.created_by.username if job.created_by else ""
    elif last.libvirt_version and version.libvirt_version and last.libvirt_version != version.libvirt_version:
        version.origin = Origin.UPGRADE
    else:
        version.origin = Origin.OUTSIDE


def _authors(pks: list[int]) -> dict[int, Job]:
    """The jobs that work on these guests now, or still take back what they had done."""
    held = JobObject.objects.filter(kind="guest", object_id__in=pks)
    held = held.filter(Q(held=True, job__status=Job.Status.RUNNING) | Q(job__journal__isnull=False))
    return {row.object_id: row.job for row in held.select_related("job__created_by").order_by("pk")}


def _texts(xmls: Mapping[int, tuple[str, ...]]) -> dict[tuple[int, str], int]:
    """The ids of the rows of these definitions, by guest and digest; those that are not there yet are made."""
    wanted = {(pk, digest_of(xml)): xml for pk, both in xmls.items() for xml in both}
    known = _known_texts(wanted)
    missing = [DefinitionText.of(pk, xml) for (pk, digest), xml in wanted.items() if (pk, digest) not in known]
    if missing:
        DefinitionText.objects.bulk_create(missing, batch_size=BATCH)
        known = _known_texts(wanted)
    return known


def _known_texts(wanted: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    rows = DefinitionText.objects.filter(guest__in={pk for pk, _digest in wanted})
    return {(pk, digest): row for row, pk, digest in rows.values_list("pk", "guest_id", "digest")}


def _latest(pks: Iterable[int]) -> dict[int, _Latest]:
    rows = DefinitionVersion.objects.filter(guest__in=list(pks)).order_by("guest_id", "number")
    columns = ("guest_id", "number", "seen_at", "libvirt_version", "text__digest")
    return {pk: _Latest(*values) for pk, *values in rows.values_list(*columns)}


def _earliest(pk: int, last: _Latest) -> datetime:
    read = datetime.fromtimestamp(_read_at[pk], UTC) if pk in _read_at else last.seen_at
    return max(read, last.seen_at)


def _moment(info: DomainInfo) -> datetime:
    return datetime.fromtimestamp(info.read_at, UTC) if info.read_at else timezone.now()


def _drop_oldest(made: Iterable[DefinitionVersion]) -> None:
    """Keep MOST_VERSIONS of each guest, and no text that no version has any more."""
    over = Q(pk__in=[])
    guests = set()
    for version in made:
        if version.number > MOST_VERSIONS:
            over |= Q(guest=version.guest_id, number__lte=version.number - MOST_VERSIONS)
            guests.add(version.guest_id)
    if guests:
        DefinitionVersion.objects.filter(over).delete()
        DefinitionText.objects.filter(guest__in=guests, versions=None).delete()
