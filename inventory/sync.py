"""One host's rows brought in step with its libvirt. It blocks: the watcher calls it on a lane."""

import time
from collections.abc import Callable, Iterable
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError

from guests import inventory as guests
from guests import links, sheets
from hosts import inventory as hosts
from hosts.models import Host
from networking import inventory as networking
from networking import local
from storage import inventory as storage
from virt import bridges as virt_bridges
from virt import domains as virt_domains
from virt import networks as virt_networks
from virt.ahead import ahead
from virt.connection import Connection
from virt.domain_reader import DomainReader
from virt.errors import GuestNotFound, HostTimeout, HostUnreachable, VirtError
from virt.types import DomainInfo

from .changes import Changes

log = structlog.get_logger(__name__)
TELL_EVERY_S = 1.0  # open lists, of guests that come in by the hundred
BATCH = 100  # guests whose definitions are read at once; more than so many are dealt with in several goes
# The host or the database is away: nothing else will work either, and whoever called has to wait and repeat.
AWAY = (HostUnreachable, HostTimeout, OperationalError, InterfaceError)


def everything(host: Host, conn: Connection) -> None:
    """Compare all there is but pools, definitions too; networks come before the guests on them. Raises one of AWAY.

    A part that cannot be compared leaves its rows as they were and is tried again at the next turn.
    """
    _part(host, "facts", lambda: hosts.refresh_facts(host, conn))
    _surroundings(host, conn)
    _part(host, "guests", lambda: all_guests(host, conn))
    _part(host, "what guests can have", lambda: sheets.refresh_sheets(host, conn))
    hosts.record_seen(host)


def states(host: Host, conn: Connection) -> list[str]:
    """Find what no event told of: networks, and the states of all guests in one call. Returns their UUIDs.

    Raises one of AWAY.
    """
    _surroundings(host, conn)
    seen: list[str] = []

    def all_states() -> None:
        statuses = virt_domains.domain_states(conn)
        seen.extend(status.uuid for status in statuses)
        unclear = guests.apply_states(host, statuses)
        _refresh_guests(host, conn, {str(uuid) for uuid in unclear})

    _part(host, "guests", all_states)
    hosts.record_seen(host)
    return seen


def definitions(host: Host, conn: Connection, uuids: Iterable[str]) -> None:
    """Read these guests again, though nothing is known to have changed. Raises one of AWAY.

    libvirt tells nobody of "virsh setmem --config", of autostart and the like.
    """
    _part(host, "guests", lambda: _refresh_guests(host, conn, uuids))


def changed(host: Host, conn: Connection, changes: Changes) -> None:
    """Bring up to date just what `changes` names, but for pools and agents. Raises one of AWAY."""
    for uuid in sorted(changes.networks):
        _part(host, f"network {uuid}", lambda uuid=uuid: networking.refresh_network(host, conn, uuid))  # type: ignore[misc]
    if changes.bridges:
        bridges(host, conn)
    _part(host, "guests", lambda: _refresh_guests(host, conn, changes.guests))


def all_pools(host: Host, conn: Connection) -> None:
    """Compare all pools; libvirt looks first at what lies in them now. Raises one of AWAY."""
    _part(host, "storage", lambda: storage.sync_storage(host, conn, rescan=True))
    _part(host, "disks", lambda: links.link_late(host))


def some_pools(host: Host, conn: Connection, uuids: Iterable[str]) -> None:
    """Bring just these pools up to date. Raises one of AWAY."""
    for uuid in sorted(uuids):
        _part(host, f"pool {uuid}", lambda uuid=uuid: storage.refresh_pool(host, conn, uuid))  # type: ignore[misc]
    _part(host, "disks", lambda: links.link_late(host))


def bridges(host: Host, conn: Connection) -> None:
    """Bridges come and go without an event; asking for them is cheap. Raises one of AWAY."""

    def compare_bridges() -> None:
        found = virt_bridges.list_bridges(conn)
        networking.sync_bridges(host, local.completed(found) if host.is_local else found)

    _part(host, "bridges", compare_bridges)


def _surroundings(host: Host, conn: Connection) -> None:
    _part(host, "networks", lambda: networking.sync_networks(host, virt_networks.list_networks(conn), complete=True))
    bridges(host, conn)


def all_guests(host: Host, conn: Connection) -> None:
    """Compare all guests, definitions too. Raises VirtError or one of AWAY.

    Three things go on at once: libvirt gives definitions, those before are read, and those before that are written.
    A guest whose definition libvirt cannot give keeps its row.
    """
    known = guests.known_of(host)
    reader = DomainReader(conn)
    read = guests.reader_of(host)
    untold, told_at = False, 0.0
    try:
        for batch, ready in ahead((batch, read(batch)) for batch in reader.batches()):
            untold = _together(host, batch, ready) or untold
            if untold and time.monotonic() - told_at > TELL_EVERY_S:
                guests.tell_lists()
                untold, told_at = False, time.monotonic()
    finally:
        if untold:
            guests.tell_lists()
    guests.sync_absent(host, known - {UUID(uuid) for uuid in reader.uuids})


def _refresh_guests(host: Host, conn: Connection, uuids: Iterable[str]) -> None:
    waiting = sorted(uuids)
    while waiting:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        found: list[DomainInfo] = []
        for uuid in batch:
            try:
                found.append(virt_domains.domain_info(conn, uuid))
            except GuestNotFound:
                guests.refresh_guest(host, conn, UUID(uuid))  # marks it missing
        _one_by_one(host, found) if len(found) < 2 else _together(host, found)


def _together(host: Host, found: list[DomainInfo], ready: guests.Ready | None = None) -> bool:
    """Returns whether any row changed."""
    try:
        return bool(guests.sync_guests(host, found, complete=False, ready=ready))
    except AWAY:
        raise
    except Exception:
        log.exception("guests not refreshed together, trying one by one", host=host.name)
        _one_by_one(host, found)
        return True


def _one_by_one(host: Host, found: Iterable[DomainInfo]) -> None:
    """A guest that we cannot make sense of must not keep the others from being seen."""
    for info in found:
        _part(host, f"guest {info.uuid}", lambda info=info: guests.sync_guests(host, [info], complete=False))  # type: ignore[misc]


def _part(host: Host, what: str, work: Callable[[], object]) -> None:
    """Do one part; when it fails for a reason of its own, say so in the log and go on with the others."""
    try:
        work()
    except AWAY:
        raise
    except VirtError as error:
        log.warning("not compared", host=host.name, part=what, error=str(error), details=error.details)
    except Exception:
        log.exception("not compared", host=host.name, part=what)
