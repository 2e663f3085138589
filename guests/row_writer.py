"""Rows of guests brought in step with what libvirt said of them: only what differs is written."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db.models import DEFERRED
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


@dataclass
class Changes:
    """What one look at a host has found. `defined`: another definition than before; `touched`: another state only."""

    new: list[Guest] = field(default_factory=list)
    defined: list[Guest] = field(default_factory=list)
    touched: list[Guest] = field(default_factory=list)
    devices: dict[UUID, definition.Definition] = field(default_factory=dict)

    @property
    def guests(self) -> list[Guest]:
        return [*self.new, *self.defined, *self.touched]


def compare(host: Host, seen: Mapping[UUID, DomainInfo], known: Mapping[UUID, Guest]) -> Changes:
    """Find what differs and set it on the rows, without writing."""
    changes = Changes()
    now = timezone.now()
    blank = _blank(host)
    for uuid, info in seen.items():
        row = known.get(uuid)
        if row:
            guest = row
        else:
            guest = Guest(*blank)  # type: ignore[misc]
            guest.uuid = uuid
        touched = _set_status(guest, info, now)
        digest = definition.digest(info)
        if guest.digest != digest:
            read = definition.read(info, digest)
            for column, value in read.columns.items():
                setattr(guest, column, value)
            changes.devices[uuid] = read
            (changes.defined if row else changes.new).append(guest)
        elif touched:
            changes.touched.append(guest)
    return changes


def _blank(host: Host) -> list[Any]:
    """The values of a new guest's columns. Given to each by position: its defaults one by one take longer than its XML."""
    guest = Guest(host=host)
    return [DEFERRED if each.generated else getattr(guest, each.attname) for each in Guest._meta.concrete_fields]


def write(host: Host, changes: Changes) -> None:
    """Write them, with their disks and network cards. New guests have their row ids afterwards."""
    if whole := [*changes.new, *changes.defined]:
        names = [each.attname for each in Guest._meta.concrete_fields if not (each.primary_key or each.generated)]
        update = [*_STATUS, *_DEFINITION]
        # A job may have made the row of a new guest in this instant.
        insert_rows(Guest, names, map(attrgetter(*names), whole), unique=["host", "uuid"], update=update)
    if changes.new:
        ids = Guest.objects.filter(host=host, uuid__in=[guest.uuid for guest in changes.new])
        by_uuid = dict(ids.values_list("uuid", "pk"))
        for guest in changes.new:
            guest.pk = by_uuid[guest.uuid]
    if changes.touched:
        Guest.objects.bulk_update(changes.touched, _STATUS, batch_size=BATCH)
    if changes.devices:
        _write_devices(host, changes)


def _set_status(guest: Guest, info: DomainInfo, now: datetime) -> bool:
    state = str(definition.state_of(info.state, info.reason, is_saved=info.has_managed_save))
    wanted: dict[str, Any] = {
        "name": info.name,
        "state": state,
        "state_reason": info.reason,
        "persistent": info.is_persistent,
        "autostart": info.autostart,
        "missing_since": None,
    }
    if state not in Guest.ON:
        wanted |= UNSAMPLED
    if guest.state != state:
        wanted["state_since"] = now
    differing = {column: value for column, value in wanted.items() if getattr(guest, column) != value}
    for column, value in differing.items():
        setattr(guest, column, value)
    return bool(differing)


def _write_devices(host: Host, changes: Changes) -> None:
    guests = {guest.pk: changes.devices[guest.uuid] for guest in (*changes.new, *changes.defined)}
    volumes = links.Volumes(host, {disk.source for read in guests.values() for disk in read.disks})
    kinds = {nic.kind for read in guests.values() for nic in read.nics}
    networks = links.networks_of(host) if "network" in kinds else {}
    bridges = links.bridges_of(host) if "bridge" in kinds else {}
    disks = {pk: [links.disk_values(disk, volumes) for disk in read.disks] for pk, read in guests.items()}
    nics = {pk: links.nic_values(read.nics, networks, bridges) for pk, read in guests.items()}
    old = {guest.pk for guest in changes.defined}
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
