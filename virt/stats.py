"""Samples of running guests and their addresses."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import libvirt

from virt.connection import Connection
from virt.domains import domain_state_of, is_probe, on_guest
from virt.errors import AgentMissing, NotSupported, VirtError, WrongState
from virt.types import BlockStats, DomainStats, GuestAddress, NetStats, Uuid

STATS_TIMEOUT_S = 60.0  # each running guest's QEMU is asked in turn

# These are read from the kernel; for the others libvirt asks each guest's QEMU in turn, which takes ten times as long.
_CHEAP_GROUPS = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_INTERFACE
_DEAR_GROUPS = libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_VCPU | libvirt.VIR_DOMAIN_STATS_BLOCK


def domain_stats(
    conn: Connection, *, uuids: Iterable[Uuid] | None = None, active_only: bool = True, ask_qemu: bool = True
) -> list[DomainStats]:
    """One sample of every running guest (or of those in `uuids`), in one call.

    Without `ask_qemu` only what the host's kernel knows: processor time and network. A guest that another operation
    holds is sampled without what only QEMU knows, rather than waited for.
    https://libvirt.org/html/libvirt-libvirt-domain.html#virConnectGetAllDomainStats
    """
    wanted = {str(uuid) for uuid in uuids} if uuids is not None else None
    groups = _CHEAP_GROUPS | (_DEAR_GROUPS if ask_qemu else 0)

    def work(handle: libvirt.virConnect) -> list[DomainStats]:
        flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        if wanted is not None:
            domains = [domain for domain in handle.listAllDomains(0) if domain.UUIDString() in wanted]
            rows = handle.domainListGetStats(domains, groups, flags) if domains else []
        else:
            only = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE if active_only else 0
            rows = handle.getAllDomainStats(groups, flags | only)
        now = time.monotonic()
        return [_sample(domain, stats, now) for domain, stats in rows if not is_probe(domain.name())]

    return conn.call(work, "read the statistics of the guests", timeout_s=STATS_TIMEOUT_S)


def guest_addresses(conn: Connection, uuid: Uuid) -> list[GuestAddress]:
    """Addresses of a running guest that its host knows: from the leases of virtual networks, else from its ARP table.

    Empty when nobody can tell, or it is off. Raises GuestNotFound. Its agent is asked by `virt.agent`. The ARP table
    also lists neighbours that are gone, and some kernels give libvirt none.
    """
    lease = _addresses(conn, uuid, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, "lease")
    return lease or _addresses(conn, uuid, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, "arp")


def _addresses(conn: Connection, uuid: Uuid, source: int, name: str) -> list[GuestAddress]:
    try:
        interfaces = on_guest(
            conn,
            uuid,
            "read the addresses of guest {}",
            lambda domain: domain.interfaceAddresses(source) if domain.isActive() else {},
        )
    except (AgentMissing, NotSupported, WrongState):
        return []
    except VirtError as exc:
        if exc.status == 404 or not conn.is_alive:
            raise
        return []  # a network that went away under the guest, a kernel that gives no ARP table
    rows = []
    for interface, facts in (interfaces or {}).items():
        mac = str(facts.get("hwaddr") or "")
        for row in facts.get("addrs") or []:
            if interface == "lo" or str(row["addr"]).startswith(("127.", "::1")):
                continue
            family = "ipv4" if row["type"] == libvirt.VIR_IP_ADDR_TYPE_IPV4 else "ipv6"
            rows.append(
                GuestAddress(
                    interface=interface,
                    mac=mac,
                    address=str(row["addr"]),
                    prefix=int(row["prefix"]),
                    family=family,
                    source=name,
                )
            )
    return rows


def _sample(domain: libvirt.virDomain, stats: Mapping[str, Any], now: float) -> DomainStats:
    state, reason = domain_state_of(int(stats.get("state.state", 0)), int(stats.get("state.reason", 0)))
    return DomainStats(
        uuid=domain.UUIDString(),
        name=domain.name(),
        state=state,
        reason=reason,
        sampled_at=now,
        asked_at=now if _was_asked(stats) else None,
        cpu_time_ns=stats.get("cpu.time") if state.is_active else None,  # libvirt 9.0 gives some other number then
        cpu_wait_ns=_cpu_wait_ns(stats),
        vcpus=stats.get("vcpu.current"),
        memory_max_kib=stats.get("balloon.maximum"),
        memory_current_kib=stats.get("balloon.current"),
        memory_rss_kib=stats.get("balloon.rss"),
        memory_unused_kib=stats.get("balloon.unused"),
        memory_available_kib=stats.get("balloon.available"),
        memory_usable_kib=stats.get("balloon.usable"),
        blocks=tuple(_block(stats, n) for n in range(int(stats.get("block.count", 0)))),
        nets=tuple(_net(stats, n) for n in range(int(stats.get("net.count", 0)))),
    )


def _was_asked(stats: Mapping[str, Any]) -> bool:
    """Whether QEMU answered: a guest that is held by an operation has the names of its disks here, and no counters."""
    disks = stats.get("block.count")
    return disks == 0 or any(f"block.{n}.rd.reqs" in stats for n in range(disks or 0))


def _cpu_wait_ns(stats: Mapping[str, Any]) -> int | None:
    """Added up over its vCPUs; None where the kernel keeps no such count, or QEMU was not asked."""
    delays = [stats.get(f"vcpu.{n}.delay") for n in range(int(stats.get("vcpu.maximum", 0)))]
    known = [int(delay) for delay in delays if delay is not None]
    return sum(known) if known else None


def _block(stats: Mapping[str, Any], n: int) -> BlockStats:
    at = f"block.{n}."
    return BlockStats(
        target=str(stats.get(at + "name", "")),
        read_bytes=int(stats.get(at + "rd.bytes", 0)),
        write_bytes=int(stats.get(at + "wr.bytes", 0)),
        read_requests=int(stats.get(at + "rd.reqs", 0)),
        write_requests=int(stats.get(at + "wr.reqs", 0)),
        capacity_bytes=stats.get(at + "capacity"),
        allocation_bytes=stats.get(at + "allocation"),
    )


def _net(stats: Mapping[str, Any], n: int) -> NetStats:
    at = f"net.{n}."
    return NetStats(
        target=str(stats.get(at + "name", "")),
        rx_bytes=int(stats.get(at + "rx.bytes", 0)),
        tx_bytes=int(stats.get(at + "tx.bytes", 0)),
        rx_packets=int(stats.get(at + "rx.pkts", 0)),
        tx_packets=int(stats.get(at + "tx.pkts", 0)),
        rx_drops=int(stats.get(at + "rx.drop", 0)),
        tx_drops=int(stats.get(at + "tx.drop", 0)),
    )
