"""Rows of guests brought in step with what libvirt said of them: only what differs is written."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from hosts.bulk import insert_rows
from hosts.models import Host
from virt.types import DomainInfo

from . import definition, links
from .models import Disk, Guest, Nic

BATCH = 200
UNSAMPLED: dict[str, Any] = {
    "cpu_percent": None,
    "cpu_wait_percent": None,
    "disk_read_bytes_per_s": None,
    "disk_write_bytes_per_s": None,
    "net_rx_bytes_per_s": None,
    "net_tx_bytes_per_s": None,
    "memory_used_mib": None,
    "memory_held_mib": None,
    "addresses": [],
}
_STATUS = ["name", "state", "state_reason", "state_since", "persistent", "autostart", "missing_since", *UNSAMPLED]
_COMPARED = ["name", "state", "state_reason", "persistent", "autostart", "missing_since"]  # what _status gives
_DEFINITION = [
    "title", "description", "vcpus", "memory_mib", "arch", "machine", "firmware", "is_emulated", "os_id", "os_name",
    "graphics", "has_serial", "has_agent_channel", "needs_restart", "changes_at_restart", "xml", "digest",
]  # fmt: skip


WRITTEN = (*_STATUS, *_DEFINITION)  # the columns that libvirt decides
_written, _columns = attrgetter(*WRITTEN), itemgetter(*WRITTEN)


@dataclass
class Changes:
    """What one look at a host has found. `defined`: another definition than before; `touched`: another state only.

    Of new guests, which are many at the first look at a host, there are no Guest objects.
    """

    new: dict[UUID, dict[str, Any]] = field(default_factory=dict)  # the columns of WRITTEN, by uuid
    defined: list[Guest] = field(default_factory=list)
    touched: list[Guest] = field(default_factory=list)
    devices: dict[UUID, definition.Definition] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.new or self.defined or self.touched)


class Known(NamedTuple):
    """As much of a row as tells whether it is up to date."""

    pk: int
    digest: str
    status: tuple[Any, ...]  # as _status gives it
    is_sampled: bool


def rows_known(host: Host, uuids: Collection[UUID], *, dense: bool) -> dict[UUID, Known]:
    """The rows that there are of these guests. `dense`: the host has few others between the first and the last."""
    rows = _of_these(host, uuids, dense).values_list("uuid", "pk", "digest", *_COMPARED, *UNSAMPLED)
    nothing, first = list(UNSAMPLED.values()), len(_COMPARED)
    return {
        uuid: Known(pk, digest, tuple(rest[:first]), rest[first:] != nothing)
        for uuid, pk, digest, *rest in rows
        if uuid in uuids
    }


def outdated(
    seen: Mapping[UUID, DomainInfo], known: Mapping[UUID, Known], digests: Mapping[str, str]
) -> dict[UUID, Guest]:
    """The rows that say something else than what was seen."""
    pks = []
    for uuid, row in known.items():
        status = _status(seen[uuid])
        is_on = status["state"] in Guest.ON
        if (
            digests[seen[uuid].uuid] != row.digest
            or tuple(status.values()) != row.status
            or (row.is_sampled and not is_on)
        ):
            pks.append(row.pk)
    return {row.uuid: row for row in Guest.objects.filter(pk__in=pks).defer("xml")} if pks else {}


def compare(
    seen: Mapping[UUID, DomainInfo],
    known: Mapping[UUID, Guest],
    digests: Mapping[str, str],
    ready: Mapping[str, definition.Definition],
) -> Changes:
    """Find what differs and set it on the rows `known`, without writing. Guests without one are new.

    `digests` are by uuid, `ready` are definitions that were read, by digest.
    """
    changes = Changes()
    now = timezone.now()
    for uuid, info in seen.items():
        guest = known.get(uuid)
        digest = digests[info.uuid]
        status = _status(info)
        if guest is None:
            read = changes.devices[uuid] = ready.get(digest) or definition.read(info, digest)
            changes.new[uuid] = {"state_since": now, **UNSAMPLED, **status, **read.columns}
            continue
        touched = _set_status(guest, status, now)
        if guest.digest != digest:
            read = changes.devices[uuid] = ready.get(digest) or definition.read(info, digest)
            for column, value in read.columns.items():
                setattr(guest, column, value)
            changes.defined.append(guest)
        elif touched:
            changes.touched.append(guest)
    return changes


def write(host: Host, changes: Changes, *, dense: bool, places: links.Places | None) -> list[int]:
    """Write them, with their disks and network cards. Returns the row ids of those that changed.

    `dense`: as above; `places` of the host, if they are known.
    """
    values: dict[UUID, tuple[Any, ...]] = {uuid: _columns(new) for uuid, new in changes.new.items()}
    values |= {guest.uuid: _written(guest) for guest in changes.defined}
    if values:
        insert_rows(
            Guest,
            ["uuid", *WRITTEN],
            ((uuid, *row) for uuid, row in values.items()),
            same=_blank(host),
            unique=["host", "uuid"],  # a job may have made the row of a new guest in this instant
            update=WRITTEN,
        )
    pks = {guest.uuid: guest.pk for guest in changes.defined}
    if changes.new:
        found = _of_these(host, changes.new, dense).values_list("uuid", "pk")
        pks |= {uuid: pk for uuid, pk in found if uuid in changes.new}
    if changes.touched:
        Guest.objects.bulk_update(changes.touched, _STATUS, batch_size=BATCH)
    if changes.devices:
        devices = {pks[uuid]: read for uuid, read in changes.devices.items()}
        sources = {disk.source for read in devices.values() for disk in read.disks if disk.source}
        places = places or links.Places(host, sources)
        _write_devices(devices, places, old={guest.pk for guest in changes.defined})
    return [*pks.values(), *(guest.pk for guest in changes.touched)]


def _of_these(host: Host, uuids: Collection[UUID], dense: bool) -> QuerySet[Guest]:
    rows = Guest.objects.filter(host=host).order_by()
    if dense and uuids:  # a list of a hundred names is a hundred times as much for Django to look at
        return rows.filter(uuid__gte=min(uuids), uuid__lte=max(uuids))
    return rows.filter(uuid__in=list(uuids))


def _blank(host: Host) -> dict[str, Any]:
    """The columns of a new row that nothing is known for yet."""
    guest = Guest(host=host)
    columns = [each for each in Guest._meta.concrete_fields if not (each.primary_key or each.generated)]
    known = {"uuid", *WRITTEN}
    return {each.attname: getattr(guest, each.attname) for each in columns if each.attname not in known}


def _status(info: DomainInfo) -> dict[str, Any]:
    state = str(definition.state_of(info.state, info.reason, is_saved=info.has_managed_save))
    return {
        "name": info.name,
        "state": state,
        "state_reason": info.reason,
        "persistent": info.is_persistent,
        "autostart": info.autostart,
        "missing_since": None,
    }


def _set_status(guest: Guest, wanted: dict[str, Any], now: datetime) -> bool:
    """Set on the row what is not so yet. Returns whether there was any such thing."""
    if wanted["state"] not in Guest.ON:
        wanted |= UNSAMPLED
    if guest.state != wanted["state"]:
        wanted["state_since"] = now
    differing = {column: value for column, value in wanted.items() if getattr(guest, column) != value}
    for column, value in differing.items():
        setattr(guest, column, value)
    return bool(differing)


def _write_devices(guests: Mapping[int, definition.Definition], places: links.Places, *, old: set[int]) -> None:
    disks = {pk: [links.disk_values(disk, places) for disk in read.disks] for pk, read in guests.items()}
    nics = {pk: links.nic_values(read.nics, places) for pk, read in guests.items()}
    _replace(Disk, links.DISK_COLUMNS, disks, old)
    _replace(Nic, links.NIC_COLUMNS, nics, old)


def _replace(
    model: type[Disk] | type[Nic], columns: Sequence[str], wanted: Mapping[int, list[tuple[Any, ...]]], old: set[int]
) -> None:
    """Give guests new disks or cards where they differ from those in the database; only `old` guests have any there."""
    present: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
    if old:
        for pk, *values in model.objects.filter(guest_id__in=old).values_list("guest_id", *columns):
            present[pk].add(tuple(values))
    differing = {pk for pk, rows in wanted.items() if set(rows) != present[pk]}
    if differing & old:
        model.objects.filter(guest_id__in=differing & old).delete()
    insert_rows(model, ["guest_id", *columns], _with_guest(wanted, differing))


def _with_guest(rows: Mapping[int, list[tuple[Any, ...]]], pks: Iterable[int]) -> Iterable[tuple[Any, ...]]:
    return ((pk, *values) for pk in sorted(pks) for values in rows[pk])
