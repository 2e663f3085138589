"""Guests as libvirt reports them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

Uuid: TypeAlias = str | UUID
"""How functions here take a uuid; values that come back carry it as a string."""


class DomainState(enum.StrEnum):
    """States of a guest. https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState"""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    SHUTTING_DOWN = "shutting_down"
    SUSPENDED = "suspended"  # asleep by its own wish (ACPI S3); "paused" is what we did to it

    @property
    def is_active(self) -> bool:
        """Whether the guest has a QEMU process."""
        return self not in (DomainState.SHUTOFF, DomainState.CRASHED)


@dataclass(frozen=True, kw_only=True)
class DomainStatus:
    """The cheap part: which state a guest is in and how it came there ("booted", "destroyed", "crashed" …)."""

    uuid: str
    name: str
    state: DomainState
    reason: str


@dataclass(frozen=True, kw_only=True)
class DomainInfo:
    """A guest with its definition.

    `xml` is what it will be at its next start (for a transient guest: what it is now), `live_xml` what it is now or
    None when it is off. `id` is libvirt's number while it runs.
    """

    uuid: str
    name: str
    state: DomainState
    reason: str
    xml: str
    live_xml: str | None
    is_persistent: bool
    autostart: bool
    has_managed_save: bool
    id: int | None
    read_at: float | None = None  # time.time() when the reading began

    @property
    def is_active(self) -> bool:
        return self.live_xml is not None


@dataclass(frozen=True, kw_only=True)
class BlockStats:
    """Counters of one disk since the guest's start."""

    target: str
    read_bytes: int = 0
    write_bytes: int = 0
    read_requests: int = 0
    write_requests: int = 0
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class NetStats:
    """Counters of one interface, as the host sees them (rx is what the guest received)."""

    target: str
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    rx_drops: int = 0
    tx_drops: int = 0


@dataclass(frozen=True, kw_only=True)
class DomainStats:
    """One sample of a guest. Counters only grow; rates are the difference of two samples divided by the time between.

    What only QEMU itself knows (processors, memory, disks) was read at `asked_at`, which is earlier than `sampled_at`
    where it was not asked this time. `memory_used_kib` is known when the guest's balloon driver reports (it is current
    - usable).
    """

    uuid: str
    name: str
    state: DomainState
    reason: str
    sampled_at: float  # time.monotonic()
    asked_at: float | None = None  # time.monotonic(); None: not yet
    cpu_time_ns: int | None = None
    cpu_wait_ns: int | None = None  # its vCPUs were ready to run, and the host's processors were busy with others
    vcpus: int | None = None
    memory_max_kib: int | None = None
    memory_current_kib: int | None = None
    memory_rss_kib: int | None = None
    memory_unused_kib: int | None = None
    memory_available_kib: int | None = None
    memory_usable_kib: int | None = None
    blocks: tuple[BlockStats, ...] = ()
    nets: tuple[NetStats, ...] = ()

    def completed_from(self, earlier: DomainStats) -> DomainStats:
        """This sample with what only QEMU knows as of an earlier one, of the same guest."""
        if self.asked_at is not None:
            return self
        return replace(
            self,
            asked_at=earlier.asked_at,
            cpu_wait_ns=earlier.cpu_wait_ns,
            vcpus=earlier.vcpus,
            memory_max_kib=earlier.memory_max_kib,
            memory_current_kib=earlier.memory_current_kib,
            memory_rss_kib=earlier.memory_rss_kib,
            memory_unused_kib=earlier.memory_unused_kib,
            memory_available_kib=earlier.memory_available_kib,
            memory_usable_kib=earlier.memory_usable_kib,
            blocks=earlier.blocks,
        )

    @property
    def memory_used_kib(self) -> int | None:
        total = self.memory_available_kib or self.memory_current_kib
        free = self.memory_usable_kib if self.memory_usable_kib is not None else self.memory_unused_kib
        return None if total is None or free is None else max(0, total - free)


@dataclass(frozen=True, kw_only=True)
class GuestAddress:
    """An address of a guest, and who says so: "agent" (the guest itself), "lease" (dnsmasq of a virtual network) or
    "arp" (the host, which heard the guest's card use it).
    """

    interface: str
    mac: str
    address: str
    prefix: int
    family: str  # "ipv4" or "ipv6"
    source: str
