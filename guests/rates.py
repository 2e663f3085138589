"""What a guest does in a second, from two samples of its counters."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from virt.types import BlockStats, DomainStats, NetStats

Counters = TypeVar("Counters", BlockStats, NetStats)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """None where nobody knows: at the first sample, and after a restart of the guest."""

    cpu_percent: float | None = None  # of all its vCPUs
    cpu_wait_percent: float | None = None
    disk_read_bytes_per_s: float | None = None
    disk_write_bytes_per_s: float | None = None
    disk_reads_per_s: float | None = None
    disk_writes_per_s: float | None = None
    net_rx_bytes_per_s: float | None = None
    net_tx_bytes_per_s: float | None = None
    net_rx_packets_per_s: float | None = None
    net_tx_packets_per_s: float | None = None


UNKNOWN = Rates()


def rates(sample: DomainStats, earlier: DomainStats | None, before: Rates = UNKNOWN) -> Rates:
    """From `earlier` to `sample`. Where QEMU was not asked again, disks keep the rates that were known `before`."""
    if earlier is None:
        return UNKNOWN
    seconds = sample.sampled_at - earlier.sampled_at
    vcpus = max(1, sample.vcpus or 1)
    nets = _both(sample.nets, earlier.nets)
    cpu_percent = _share(sample.cpu_time_ns, earlier.cpu_time_ns, seconds, vcpus)
    if sample.asked_at == earlier.asked_at:
        wait_percent, disk = before.cpu_wait_percent, _disk_of(before)
    else:
        asked_s = (sample.asked_at or 0.0) - (earlier.asked_at or sample.asked_at or 0.0)
        wait_percent = _share(sample.cpu_wait_ns, earlier.cpu_wait_ns, asked_s, vcpus)
        disks = _both(sample.blocks, earlier.blocks)
        disk = (
            _rate(disks, lambda block: block.read_bytes, asked_s),
            _rate(disks, lambda block: block.write_bytes, asked_s),
            _rate(disks, lambda block: block.read_requests, asked_s),
            _rate(disks, lambda block: block.write_requests, asked_s),
        )
    return Rates(
        cpu_percent=cpu_percent,
        cpu_wait_percent=wait_percent,
        disk_read_bytes_per_s=disk[0],
        disk_write_bytes_per_s=disk[1],
        disk_reads_per_s=disk[2],
        disk_writes_per_s=disk[3],
        net_rx_bytes_per_s=_rate(nets, lambda net: net.rx_bytes, seconds),
        net_tx_bytes_per_s=_rate(nets, lambda net: net.tx_bytes, seconds),
        net_rx_packets_per_s=_rate(nets, lambda net: net.rx_packets, seconds),
        net_tx_packets_per_s=_rate(nets, lambda net: net.tx_packets, seconds),
    )


def _disk_of(known: Rates) -> tuple[float | None, float | None, float | None, float | None]:
    return (
        known.disk_read_bytes_per_s,
        known.disk_write_bytes_per_s,
        known.disk_reads_per_s,
        known.disk_writes_per_s,
    )


def _share(now_ns: int | None, before_ns: int | None, seconds: float, vcpus: int) -> float | None:
    if now_ns is None or before_ns is None or seconds <= 0 or now_ns < before_ns:
        return None
    return round(min(100.0, (now_ns - before_ns) / 1e7 / seconds / vcpus), 1)


def _both(now: Iterable[Counters], before: Iterable[Counters]) -> list[tuple[Counters, Counters]]:
    """Devices that are in both samples: one that was plugged in or out in between begins and ends with its own zero."""
    known = {counters.target: counters for counters in before}
    return [(counters, known[counters.target]) for counters in now if counters.target in known]


def _rate(pairs: list[tuple[Counters, Counters]], counter: Callable[[Counters], int], seconds: float) -> float | None:
    if seconds <= 0:
        return None
    differences = [counter(now) - counter(before) for now, before in pairs]
    if any(difference < 0 for difference in differences):  # it was started anew in between
        return None
    return sum(differences) / seconds
