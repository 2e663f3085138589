"""Rows from what libvirt says about guests.

The watcher and the jobs call this; several may at once, so every write is by key and says the same when it is repeated.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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

from . import definition, links
from .definitions import record
from .models import Disk, Guest, Nic
from .samples import apply_addresses, apply_stats

__all__ = ["apply_addresses", "apply_states", "apply_stats", "refresh_guest", "sync_guests"]
BATCH = 200
_UNSAMPLED: dict[str, Any] = {
    "cpu_percent": None,
    "memory_used_mib": None,
    "memory_held_mib": None,
    "addresses": [],
}


@dataclass
class _Changes:
    """What one look at a host has found. `defined`: another definition than before; `touched`: another state only."""

    new: list[Guest]
    defined: list[Guest]
    touched: list[Guest]
    devices: dict[UUID, definition.Definition]

    @property
    def guests(self) -> list[Guest]:
        return [*self.new, *self.defined, *self.touched]


def sync_guests(host: Host, domains: Iterable[DomainInfo], *, complete: bool) -> list[Guest]:
    """Bring the rows of `host` in step with `domains` and return those that changed.

    With `complete`, `domains` is all that the host has, and rows that are not among them are marked missing, but for
    those that a job is creating; rows whose creation ended without a guest are removed.
    """
    seen = {UUID(info.uuid): info for info in domains}
    rows = Guest.objects.filter(host=host).defer("xml")
    known = {row.uuid: row for row in (rows if complete else rows.filter(uuid__in=list(seen)))}
    changes = _compare(host, seen, known)
    with transaction.atomic():
        record.keep_changed(host, changes, seen)
        _write(host, changes)
        gone = _vanished(host, known, seen) if complete else []
        if complete:
            links.link_late(host)
        _tell([*changes.guests, *gone])
    record.remember_reads({uuid: row for uuid, row in known.items() if uuid in seen}, seen)
    return [*changes.guests, *gone]


def refresh_guest(host: Host, conn: Connection, uuid: UUID | str) -> Guest | None:
    """Read one guest anew. None: the host does not have it (any more); its row, if there is one, is marked missing."""
    key = UUID(str(uuid))
    try:
        info = virt_domains.domain_info(conn, key)
    except GuestNotFound:
        known = {row.uuid: row for row in Guest.objects.filter(host=host, uuid=key).defer("xml")}
        with transaction.atomic():
            _tell(_vanished(host, known, {}))
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
                changed |= _UNSAMPLED
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


def _compare(host: Host, seen: Mapping[UUID, DomainInfo], known: Mapping[UUID, Guest]) -> _Changes:
    """Find what differs and set it on the rows, without writing."""
    changes = _Changes([], [], [], {})
    for uuid, info in seen.items():
        row = known.get(uuid)
        guest = row or Guest(host=host, uuid=uuid)
        touched = _set_status(guest, info)
        if guest.digest != definition.digest(info):
            read = definition.read(info)
            for column, value in read.columns.items():
                setattr(guest, column, value)
            changes.devices[uuid] = read
            (changes.defined if row else changes.new).append(guest)
        elif touched:
            changes.touched.append(guest)
    return changes


def _set_status(guest: Guest, info: DomainInfo) -> bool:
    state = definition.state_of(info.state, info.reason, is_saved=info.has_managed_save)
    wanted: dict[str, Any] = {
        "name": info.name,
        "state": state,
        "state_reason": info.reason,
        "persistent": info.is_persistent,
        "autostart": info.autostart,
        "missing_since": None,
    }
    if state not in Guest.ON:
        wanted |= _UNSAMPLED
    if guest.state != state:
        wanted["state_since"] = timezone.now()
    differing = {column: value for column, value in wanted.items() if getattr(guest, column) != value}
    for column, value in differing.items():
        setattr(guest, column, value)
    return bool(differing)


_STATUS = ["name", "state", "state_reason", "state_since", "persistent", "autostart", "missing_since", *_UNSAMPLED]
_DEFINITION = [
    "title", "description", "vcpus", "memory_mib", "arch", "machine", "firmware", "is_emulated", "os_id", "os_name",
    "graphics", "has_serial", "has_agent_channel", "needs_restart", "changes_at_restart", "xml", "digest",
]  # fmt: skip


_DISK_COLUMNS = ("target", "bus", "device", "source", "volume_id", "format", "is_readonly", "boot_order")
_NIC_COLUMNS = ("position", "mac", "kind", "source", "network_id", "bridge_id", "model", "is_link_up")


def _write(host: Host, changes: _Changes) -> None:
    columns = [*_STATUS, *_DEFINITION]
    if changes.new:  # a job may have made the row in this instant
        _upsert(changes.new, ["host", "uuid"], columns)
    if changes.defined:
        _upsert(changes.defined, ["id"], columns)
    if changes.touched:
        Guest.objects.bulk_update(changes.touched, _STATUS, batch_size=BATCH)
    if changes.devices:
        _write_devices(host, changes)


def _upsert(rows: list[Guest], key: list[str], columns: list[str]) -> None:
    """Many whole rows at once: ten times faster than bulk_update, which compares each row with each."""
    Guest.objects.bulk_create(rows, batch_size=BATCH, update_conflicts=True, unique_fields=key, update_fields=columns)


def _write_devices(host: Host, changes: _Changes) -> None:
    guests = {guest.pk: changes.devices[guest.uuid] for guest in (*changes.new, *changes.defined)}
    volumes = links.Volumes(host, {disk.source for read in guests.values() for disk in read.disks})
    networks, bridges = links.networks_of(host), links.bridges_of(host)
    disks = {pk: links.disk_rows(pk, read.disks, volumes) for pk, read in guests.items()}
    nics = {pk: links.nic_rows(pk, read.nics, networks, bridges) for pk, read in guests.items()}
    old = {guest.pk for guest in changes.defined}
    _replace(
        Disk, disks, old, ("target", "bus", "device", "source", "volume_id", "format", "is_readonly", "boot_order")
    )
    _replace(Nic, nics, old, ("position", "mac", "kind", "source", "network_id", "bridge_id", "model", "is_link_up"))


def _replace(
    model: type[Disk] | type[Nic], wanted: Mapping[int, list[Any]], old: set[int], columns: tuple[str, ...]
) -> None:
    """Give guests new disks or cards where they differ from those in the database."""

    def key(row: Disk | Nic) -> tuple[Any, ...]:
        return tuple(getattr(row, column) for column in columns)

    present: dict[int, set[tuple[Any, ...]]] = defaultdict(set)
    for row in model.objects.filter(guest_id__in=old):
        present[row.guest_id].add(key(row))
    differing = {pk for pk, rows in wanted.items() if {key(row) for row in rows} != present[pk]}
    model.objects.filter(guest_id__in=differing & old).delete()
    model.objects.bulk_create([row for pk in differing for row in wanted[pk]], batch_size=BATCH)


def _vanished(host: Host, known: Mapping[UUID, Guest], seen: Mapping[UUID, DomainInfo]) -> list[Guest]:
    """Mark rows missing that the host does not have.

    Forgotten are creations that ended without a guest, and transient guests: they have no definition to come back from.
    """
    absent = [row for uuid, row in known.items() if uuid not in seen and not row.missing_since]
    creating = _being_created(absent)
    absent = [row for row in absent if row.pk not in creating]
    over = [row for row in absent if row.state == Guest.State.CREATING or not row.persistent]
    gone = [row for row in absent if row not in over]
    now = timezone.now()
    lost: dict[str, Any] = {"state": Guest.State.MISSING, "state_reason": "", "state_since": now, "missing_since": now}
    lost |= _UNSAMPLED
    for row in gone:
        for column, value in lost.items():
            setattr(row, column, value)
    if gone:
        Guest.objects.filter(pk__in=[row.pk for row in gone], missing_since=None).update(**lost)
    if over:
        Guest.objects.filter(pk__in=[row.pk for row in over]).delete()
    return [*gone, *over]


def _being_created(rows: Iterable[Guest]) -> set[int]:
    """The rows among `rows` that an unfinished job is creating."""
    creating = [row.pk for row in rows if row.state == Guest.State.CREATING]
    if not creating:
        return set()
    held = JobObject.objects.filter(kind="guest", object_id__in=creating, held=True)
    return set(held.values_list("object_id", flat=True))


def _tell(guests: Iterable[Guest]) -> None:
    topics = [f"guest-{guest.pk}" for guest in guests]
    if topics:
        publish(*topics, "guests")
