"""One connection to one host: compare everything, then follow its events until the connection is gone."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime

import structlog
from django.db import Error as DatabaseError
from django.utils.translation import gettext as _

from guests.autostart.services import start_after_boot
from hosts import inventory as hosts
from hosts import services
from hosts.hardware import rows as hardware
from hosts.models import Host
from jobs.models import Busy
from virt.connection import Connection
from virt.errors import HostUnreachable
from virt.events import EventFeed
from virt.nodedev import is_of_guest
from virt.types import ConnectionClosed, Event, NodeDeviceEvent

from . import sync
from .agents import LOOK_EVERY_S, AgentReader
from .changes import Changes
from .lane import Lane
from .sampling import Sampler
from .side import Side

log = structlog.get_logger(__name__)

COALESCE_S = 0.04  # a burst of events about one thing is one refresh
PULSE_EVERY_S, PULSE_DEADLINE_S = 3.0, 5.0
BRIDGES_EVERY_S = 10.0
STATES_EVERY_S = 20.0
DEFINITIONS_EVERY_S, DEFINITIONS_AT_ONCE = 2.0, 10  # few at a time: an event never waits long for the lane
POOLS_EVERY_S = 60.0
DEVICES_EVERY_S, DEVICES_COALESCE_S = 300.0, 1.0  # cards that are split into many devices tell of each
SECOND_SAMPLE_S = 2.0  # a load is known from the second sample on
DATABASE_RETRY_S, STORAGE_RETRY_S = 1.0, 5.0


class Session:
    """Lives as long as its connection.

    The first lane keeps guests and networks true. Pools, of which one on a dead file server hangs, samples, which take
    long where there are many guests, and agents, which hang, have lanes and connections of their own.
    """

    def __init__(self, host: Host, lanes: Sequence[Lane]) -> None:
        self.host = host
        self.answered: datetime | None = None  # once it is connected: since when the host waited for that
        self._lane = lanes[0]
        self._storage, self._samples, self._agents = (Side(host, lane) for lane in lanes[1:])
        self._sampler, self._reader = Sampler(host), AgentReader(host)
        self._loop = asyncio.get_running_loop()
        self._conn: Connection | None = None
        self._feed: EventFeed | None = None
        self._changes = Changes()
        self._wake, self._wake_storage, self._wake_devices = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._wake_agents = asyncio.Event()
        self._closed: ConnectionClosed | None = None
        self._asked = False
        self._to_read: list[str] = []  # guests whose definitions are to be compared in this round
        self._pools: set[str] = set()  # those to be brought up to date
        self._pools_due = 0.0  # when all are compared again
        self._tasks: set[asyncio.Task[object]] = set()

    def look_again(self) -> None:
        """Compare everything now."""
        self._asked = True
        self._wake.set()

    async def run(self) -> None:
        """Never returns. Raises UserError when there is no way to the host (any more), DatabaseError on arrival."""
        try:
            conn = await self._lane.run(self._arrive)
            self._start(self._follow_storage())
            self._start(self._take_samples())
            self._start(self._ask_agents())
            self._start(self._samples.run("start order", lambda _conn: start_after_boot(self.host)))
            self._start(self._follow_devices())
            await self._follow(conn)
        finally:
            for task in self._tasks:
                task.cancel()
            self._storage.close()
            self._samples.close()
            self._agents.close()
            self._lane.submit(self._leave)

    # --- on the lane ----------------------------------------------------------------------------------------------

    def _arrive(self) -> Connection:
        """Connect, listen, and only then compare: what changes meanwhile is heard."""
        self.host.refresh_from_db()
        waiting_since = self.host.state_since
        conn = self._conn = self.host.open()
        self._feed = EventFeed(conn, self._on_event)
        sync.everything(self.host, conn)
        if hosts.record_state(self.host, Host.State.CONNECTED):
            log.info("connected", host=self.host.name)
        self.answered = waiting_since
        if self.host.prepared_at is None and self.host.is_local:
            with suppress(Busy, services.HostDisabled):
                services.prepare_host(self.host, by=None)
        return conn

    def _leave(self) -> None:
        if self._feed:
            self._feed.close()
        if self._conn:
            self._conn.close()

    def _compare_states(self, conn: Connection) -> None:
        seen = sync.states(self.host, conn)
        self._to_read = self._to_read or seen

    def _read_definitions(self, conn: Connection) -> None:
        """Round and round through all guests, a few at each turn."""
        if self._to_read:
            sync.definitions(self.host, conn, self._to_read[-DEFINITIONS_AT_ONCE:])
            del self._to_read[-DEFINITIONS_AT_ONCE:]

    # --- on the thread of libvirt's events ------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        with suppress(RuntimeError):  # our loop has ended
            self._loop.call_soon_threadsafe(self._heard, event)

    # --- on our loop ----------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if isinstance(event, ConnectionClosed):
            self._closed = event
            self._wake.set()
            return
        if isinstance(event, NodeDeviceEvent) and not is_of_guest(event.name):
            self._wake_devices.set()
        self._changes.note(event)
        if self._changes:
            self._wake.set()

    async def _follow(self, conn: Connection) -> None:
        turns: dict[float, Callable[[], object]] = {
            PULSE_EVERY_S: lambda: _pulse(conn),
            BRIDGES_EVERY_S: lambda: sync.bridges(self.host, conn),
            STATES_EVERY_S: lambda: self._compare_states(conn),
            DEFINITIONS_EVERY_S: lambda: self._read_definitions(conn),
        }
        due = {every: time.monotonic() + every for every in turns}
        while True:
            await _wait(self._wake, min(due.values()) - time.monotonic())
            if self._closed:
                raise HostUnreachable(_why_closed(self.host, self._closed))
            if self._changes:
                await self._refresh(conn)
            if self._asked:
                self._pools_due = 0.0
                self._wake_storage.set()
                self._wake_devices.set()
                self._asked = not await self._tolerant(lambda: sync.everything(self.host, conn))
            for every, work in turns.items():
                if due[every] <= time.monotonic():
                    went_well = await self._tolerant(work)
                    due[every] = time.monotonic() + (every if went_well else DATABASE_RETRY_S)

    async def _refresh(self, conn: Connection) -> None:
        await asyncio.sleep(COALESCE_S)
        changes, self._changes = self._changes, Changes()
        if changes.pools:
            self._pools |= changes.pools
            self._wake_storage.set()
        if changes.agents:
            self._reader.ask_soon(changes.agents)
            self._wake_agents.set()
        changes.pools, changes.agents = set(), set()
        if not await self._tolerant(lambda: sync.changed(self.host, conn, changes)):
            self._changes.add(changes)
            self._loop.call_later(DATABASE_RETRY_S, self._wake.set)

    async def _tolerant(self, work: Callable[[], object]) -> bool:
        """Do it on the lane. False: the database was away, and it has to be done again."""
        try:
            await self._lane.run(work)
        except DatabaseError as error:
            log.warning("database does not answer", host=self.host.name, error=str(error))
            return False
        return True

    async def _follow_storage(self) -> None:
        while True:
            if self._pools_due <= time.monotonic():
                went_well = await self._storage.run("pools", lambda conn: sync.all_pools(self.host, conn))
                self._pools_due = time.monotonic() + (POOLS_EVERY_S if went_well else STORAGE_RETRY_S)
            elif self._pools:
                await asyncio.sleep(COALESCE_S)
                pools, self._pools = self._pools, set()
                if not await self._storage.run("pools", lambda conn: sync.some_pools(self.host, conn, pools)):  # noqa: B023
                    self._pools |= pools
                    await asyncio.sleep(STORAGE_RETRY_S)
            else:
                await _wait(self._wake_storage, self._pools_due - time.monotonic())

    async def _ask_agents(self) -> None:
        while True:
            await self._agents.run_alone("word from agents", self._reader.look_who_waits)
            if self._reader.waiting:
                await self._agents.run("word from agents", self._reader.take_turn)
            await _wait(self._wake_agents, LOOK_EVERY_S)

    async def _take_samples(self) -> None:
        await self._samples.run("sample", self._sampler.take)
        await self._samples.run("probe of KVM", self._sampler.probe_kvm)
        await asyncio.sleep(SECOND_SAMPLE_S)
        while True:
            await self._samples.run("sample", self._sampler.take)
            await asyncio.sleep(self._sampler.pause_s)

    async def _follow_devices(self) -> None:
        while True:
            went_well = await self._samples.run("devices", lambda conn: hardware.refresh(self.host, conn))
            await _wait(self._wake_devices, DEVICES_EVERY_S if went_well else STORAGE_RETRY_S)
            await asyncio.sleep(DEVICES_COALESCE_S)
            self._wake_devices.clear()

    def _start(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, which is then cleared, or until the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    event.clear()


def _pulse(conn: Connection) -> None:
    """The cheapest question there is, with a short deadline: a host that hangs is found out before keepalive does."""
    conn.call(lambda handle: handle.getLibVersion(), "reach the host", timeout_s=PULSE_DEADLINE_S)


def _why_closed(host: Host, closed: ConnectionClosed) -> str:
    if closed.kind == "keepalive":
        return _("%(host)s stopped answering. Is it on, and the network between it and here?") % {"host": host.name}
    return _("libvirt on %(host)s closed the connection. Was libvirtd stopped or restarted?") % {"host": host.name}
