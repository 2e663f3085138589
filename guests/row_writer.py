"""Rows of guests brought in step with what libvirt said of them: only what differs is written."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

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


def compare(
    seen: Mapping[UUID, DomainInfo], known: Mapping[UUID, Guest], ready: Mapping[str, definition.Definition]
) -> Changes:
    """Find what differs and set it on the rows, without writing. `ready` are definitions that were read, by digest."""
    changes = Changes()
    now = timezone.now()
    for uuid, info in seen.items():
        guest = known.get(uuid)
        digest = definition.digest(info)
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


def write(host: Host, changes: Changes) -> list[int]:
    """Write them, with their disks and network cards. Returns the row ids of those that changed."""
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
        pks |= Guest.objects.filter(host=host, uuid__in=list(changes.new)).order_by().values_list("uuid", "pk")
    if changes.touched:
        Guest.objects.bulk_update(changes.touched, _STATUS, batch_size=BATCH)
    if changes.devices:
        devices = {pks[uuid]: read for uuid, read in changes.devices.items()}
        _write_devices(host, devices, old={guest.pk for guest in changes.defined})
    return [*pks.values(), *(guest.pk for guest in changes.touched)]


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


def _write_devices(host: Host, guests: Mapping[int, definition.Definition], *, old: set[int]) -> None:
    volumes = links.Volumes(host, {disk.source for read in guests.values() for disk in read.disks})
    kinds = {nic.kind for read in guests.values() for nic in read.nics}
    networks = links.networks_of(host) if "network" in kinds else {}
    bridges = links.bridges_of(host) if "bridge" in kinds else {}
    disks = {pk: [links.disk_values(disk, volumes) for disk in read.disks] for pk, read in guests.items()}
    nics = {pk: links.nic_values(read.nics, networks, bridges) for pk, read in guests.items()}
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
