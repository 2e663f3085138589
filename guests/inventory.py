"""Rows from what libvirt says about guests.

The watcher and the jobs call this; several may at once, so every write is by key and says the same when it is repeated.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from hosts.models import Host
from jobs.live import publish
from jobs.models import JobObject
from virt import domains as virt_domains
from virt.connection import Connection
from virt.errors import GuestNotFound
from virt.types import DomainInfo, DomainState, DomainStatus

from . import definition, links, row_writer
from .definitions import record
from .models import Guest
from .row_writer import UNSAMPLED
from .samples import apply_addresses, apply_stats

__all__ = ["apply_addresses", "apply_states", "apply_stats", "known_of", "refresh_guest", "sync_absent", "sync_guests"]


@dataclass
class Ready:
    """What was found out about some guests of a look at all, before their rows are asked for."""

    places: links.Places
    digests: dict[str, str] = field(default_factory=dict)  # by uuid
    definitions: dict[str, definition.Definition] = field(default_factory=dict)  # by digest


def reader_of(host: Host) -> Callable[[Iterable[DomainInfo]], Ready]:
    """A function that reads the definitions which differ from those in the rows now, without the database.

    What it returns is for `sync_guests`; a definition that cannot be read is left to it, too.
    """
    known = set(Guest.objects.filter(host=host).order_by().values_list("digest", flat=True))
    places = links.Places(host)

    def read(domains: Iterable[DomainInfo]) -> Ready:
        ready = Ready(places)
        for info in domains:
            digest = ready.digests[info.uuid] = definition.digest(info)
            if digest not in known:
                with suppress(Exception):
                    ready.definitions[digest] = definition.read(info, digest)
        return ready

    return read


def sync_guests(host: Host, domains: Iterable[DomainInfo], *, complete: bool, ready: Ready | None = None) -> list[int]:
    """Bring the rows of `host` in step with `domains` and return the ids of those that changed.

    With `complete`, `domains` is all that the host has, and other rows are marked missing. `ready` is what `reader_of`
    has read already; then this is one go of many, in the order of the UUIDs, and whoever makes them tells the lists of
    new guests (`tell_lists`).
    """
    seen = {UUID(info.uuid): info for info in domains}
    absent = known_of(host) - seen.keys() if complete else set()
    digests = ready.digests if ready else {info.uuid: definition.digest(info) for info in seen.values()}
    known = row_writer.rows_known(host, seen, dense=ready is not None)
    rows = row_writer.outdated(seen, known, digests)
    differing = {uuid: info for uuid, info in seen.items() if uuid in rows or uuid not in known}
    changes = row_writer.compare(differing, rows, digests, ready.definitions if ready else {})
    written: list[int] = []
    if changes:
        with transaction.atomic():
            record.keep_changed(host, changes, seen)
            written = row_writer.write(host, changes, dense=ready is not None, places=ready.places if ready else None)
            # Nobody has the page of a new guest open: lists alone hear of it.
            _tell([*changes.defined, *changes.touched], in_lists_too=bool(changes.new) and not ready)
    record.remember_reads({uuid: row.pk for uuid, row in known.items()}, seen)
    return [*written, *(sync_absent(host, absent) if complete else [])]


def tell_lists() -> None:
    """Open lists hear that there are guests which were not there before."""
    publish("guests")


def known_of(host: Host) -> set[UUID]:
    """The guests that the rows say the host has. Ask before libvirt: what comes after it was asked is not absent."""
    return set(Guest.objects.filter(host=host, missing_since=None).order_by().values_list("uuid", flat=True))


def sync_absent(host: Host, absent: Collection[UUID]) -> list[int]:
    """Mark rows missing that the host does not have, and return their ids; the others are linked with what came late.

    Left alone are those that a job is creating; rows whose creation ended without a guest are removed.
    """
    gone = _lost(host, absent) if absent else []
    links.link_late(host)
    return gone


def refresh_guest(host: Host, conn: Connection, uuid: UUID | str) -> Guest | None:
    """Read one guest anew. None: the host does not have it (any more); its row, if there is one, is marked missing."""
    key = UUID(str(uuid))
    try:
        info = virt_domains.domain_info(conn, key)
    except GuestNotFound:
        _lost(host, {key})
        return None
    sync_guests(host, [info], complete=False)
    return Guest.objects.filter(host=host, uuid=key).first()


def apply_states(host: Host, statuses: Iterable[DomainStatus]) -> set[UUID]:
    """Write the states of all guests of a host, cheaply.

    Returns the guests of which the state is not enough: unknown or renamed ones, those that vanished, and those that
    were switched on or off, because another definition counts from then on. `refresh_guest` reads them.
    """
    by_uuid = {UUID(status.uuid): status for status in statuses}
    known = {
        row.uuid: row
        for row in Guest.objects.filter(host=host).only("uuid", "name", "state", "state_reason", "missing_since")
    }
    creating = _being_created(known.values())
    unclear = {
        uuid for uuid, row in known.items() if uuid not in by_uuid and not row.missing_since and row.pk not in creating
    }
    new_states: dict[tuple[str, str], list[Guest]] = defaultdict(list)
    for uuid, status in by_uuid.items():
        row = known.get(uuid)
        if row is None or row.missing_since or row.name != status.name or row.state == Guest.State.CREATING:
            unclear.add(uuid)
            continue
        state = _cheap_state(row, status)
        if (state, status.reason) == (row.state, row.state_reason):
            continue
        if (state in Guest.ON) != row.is_on:
            unclear.add(uuid)
        new_states[state, status.reason].append(row)
    with transaction.atomic():
        for (state, reason), rows in new_states.items():
            changed: dict[str, Any] = {"state": state, "state_reason": reason}
            moved = [row.pk for row in rows if row.state != state]
            if state not in Guest.ON:
                changed |= UNSAMPLED
            Guest.objects.filter(pk__in=[row.pk for row in rows]).update(**changed)
            Guest.objects.filter(pk__in=moved).update(state_since=timezone.now())
        _tell([row for rows in new_states.values() for row in rows])
    return unclear


def _cheap_state(row: Guest, status: DomainStatus) -> str:
    """The state without asking for a saved memory: only how the guest went off tells, and libvirtd forgets that."""
    is_off = status.state is DomainState.SHUTOFF
    same_stop = status.reason in (row.state_reason, "unknown")
    is_saved = is_off and (row.state == Guest.State.SAVED if not row.is_on and same_stop else status.reason == "saved")
    return definition.state_of(status.state, status.reason, is_saved=is_saved)


def _lost(host: Host, uuids: Collection[UUID]) -> list[int]:
    """Mark rows missing that the host does not have.

    Forgotten are creations that ended without a guest, and transient guests: they have no definition to come back from.
    """
    absent = list(Guest.objects.filter(host=host, uuid__in=list(uuids), missing_since=None).defer("xml"))
    creating = _being_created(absent)
    absent = [row for row in absent if row.pk not in creating]
    over = [row for row in absent if row.state == Guest.State.CREATING or not row.persistent]
    gone = [row for row in absent if row not in over]
    now = timezone.now()
    lost = Guest.when_lost(now) | UNSAMPLED
    with transaction.atomic():
        if gone:
            Guest.objects.filter(pk__in=[row.pk for row in gone], missing_since=None).update(**lost)
        if over:
            Guest.objects.filter(pk__in=[row.pk for row in over]).delete()
        _tell([*gone, *over])
    return [row.pk for row in (*gone, *over)]


def _being_created(rows: Iterable[Guest]) -> set[int]:
    """The rows among `rows` that an unfinished job is creating."""
    creating = [row.pk for row in rows if row.state == Guest.State.CREATING]
    if not creating:
        return set()
    held = JobObject.objects.filter(kind="guest", object_id__in=creating, held=True)
    return set(held.values_list("object_id", flat=True))


def _tell(guests: Iterable[Guest], *, in_lists_too: bool = False) -> None:
    """Open pages hear that these guests changed, and lists if any did or `in_lists_too`."""
    topics = [f"guest-{guest.pk}" for guest in guests]
    if topics or in_lists_too:
        publish(*topics, "guests")
