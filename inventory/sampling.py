"""Samples of what a host and its guests use. It blocks: called on a lane."""

import time
from collections.abc import Iterable
from uuid import UUID

import structlog

from guests import samples
from guests.rates import UNKNOWN, Rates, rates
from history import store
from history.series import POOL
from hosts import inventory as hosts
from hosts.models import Host
from hosts.strain import strain_of
from jobs.live import publish
from storage.models import Pool
from virt import stats as virt_stats
from virt.connection import Connection
from virt.errors import GuestNotFound, VirtError
from virt.host import host_usage
from virt.types import DomainStats, GuestAddress, HostCpuTimes

log = structlog.get_logger(__name__)
SAMPLE_EVERY_S, LONGEST_PAUSE_S = 10.0, 60.0
BUSY_SHARE = 0.2  # of the time at most, a host is asked: one that is slow to answer is asked less often
ASKING_SHARE = 0.02  # of the time at most, its QEMUs are asked: what costs them much is asked less often still
POOLS_EVERY_S = 60.0
ADDRESSES_EVERY_S = 30.0  # those of guests that have none yet: with every sample
TELL_LISTS_EVERY_S = 5.0


class Sampler:
    """Remembers the last sample: a load is the difference of two."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._times: HostCpuTimes | None = None
        self._strains = strain_of(host)
        self._previous: dict[UUID, DomainStats] = {}
        self._rates: dict[UUID, Rates] = {}
        self._ask_qemu_at = 0.0  # when the QEMU of each guest is asked again
        self._pools_at = 0.0
        self._took_s = 0.0
        self._addressed: set[UUID] = set()  # guests of which an address is known
        self._all_addresses_at = 0.0

    def take(self, conn: Connection) -> None:
        """One sample of the host and its running guests; addresses where it is time for them. Raises VirtError."""
        begin = time.monotonic()
        usage = host_usage(conn, self._times)
        self._times = usage.times
        hosts.record_usage(self.host, usage, self._strains.read() if self._strains else None)
        self._take_guests(conn)
        self._take_pools()
        now = time.monotonic()
        self._took_s = now - begin
        running = self._previous.keys()
        if now - self._all_addresses_at >= ADDRESSES_EVERY_S:
            self._all_addresses_at = now
            self._addressed.clear()
        self._ask_addresses(conn, running - self._addressed)

    @property
    def pause_s(self) -> float:
        """How long to wait before the next sample."""
        return min(LONGEST_PAUSE_S, max(SAMPLE_EVERY_S - self._took_s, self._took_s / BUSY_SHARE))

    def probe_kvm(self, conn: Connection) -> None:
        """Try once per boot of the host whether guests boot with KVM. Raises VirtError."""
        if hosts.needs_probe(self.host):
            probe = hosts.probe_kvm(self.host, conn)
            log.info("kvm probed", host=self.host.name, works=probe.accelerated, reason=probe.reason)

    def _take_guests(self, conn: Connection) -> None:
        begin = time.monotonic()
        ask_qemu = begin >= self._ask_qemu_at
        samples_now = virt_stats.domain_stats(conn, ask_qemu=ask_qemu)
        if ask_qemu:
            pause_s = (time.monotonic() - begin) / ASKING_SHARE
            self._ask_qemu_at = begin + min(LONGEST_PAUSE_S, pause_s)
        taken: dict[UUID, DomainStats] = {}
        known: dict[UUID, Rates] = {}
        for sample in samples_now:
            uuid = UUID(sample.uuid)
            earlier = self._previous.get(uuid)
            taken[uuid] = sample.completed_from(earlier) if earlier else sample
            known[uuid] = rates(taken[uuid], earlier, self._rates.get(uuid, UNKNOWN))
        if samples.apply_stats(self.host, {uuid: (taken[uuid], known[uuid]) for uuid in taken}):
            _tell_lists()
        self._previous, self._rates = taken, known
        self._addressed &= taken.keys()

    def _take_pools(self) -> None:
        """How full pools are: what their own look at libvirt, once a minute, wrote into the rows."""
        now = time.monotonic()
        if now < self._pools_at:
            return
        self._pools_at = now + POOLS_EVERY_S
        pools = Pool.objects.filter(host=self.host, missing_since=None, is_active=True, capacity_bytes__gt=0)
        sizes = pools.order_by().values_list("pk", "capacity_bytes", "available_bytes")
        store.record(POOL, {pk: (max(0, whole - free), free, whole) for pk, whole, free in sizes})

    def _ask_addresses(self, conn: Connection, uuids: Iterable[UUID]) -> None:
        found: dict[UUID, list[GuestAddress]] = {}
        for uuid in uuids:
            try:
                found[uuid] = virt_stats.guest_addresses(conn, uuid)
            except GuestNotFound:
                continue  # it ended in between
            except VirtError as error:
                if not conn.is_alive:
                    raise
                log.info("no addresses", host=self.host.name, guest=str(uuid), error=str(error))
        self._addressed |= {uuid for uuid, addresses in found.items() if addresses}
        if found:
            samples.apply_addresses(self.host, found, sources={"lease", "arp"})


def _tell_lists() -> None:
    """Lists of guests draw many rows anew: for samples, of however many hosts, they do so every few seconds at most."""
    global _lists_told_at
    now = time.monotonic()
    if now - _lists_told_at >= TELL_LISTS_EVERY_S:
        _lists_told_at = now
        publish("guests")


_lists_told_at = 0.0
