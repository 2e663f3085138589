"""What running guests use, sampled: processor, memory, addresses."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from hosts.models import Host
from jobs.live import publish
from virt.types import DomainStats, GuestAddress

from .models import Guest

BATCH = 200
WORTH_SHOWING_PERCENT = 1  # pages are told of changes that somebody could see


def apply_stats(host: Host, stats: Iterable[DomainStats], previous: Mapping[UUID, DomainStats], seconds: float) -> bool:
    """Write what guests use, from two samples that are `seconds` apart. Without an earlier one the CPU is unknown.

    Returns whether a number moved that pages show.
    """
    now = timezone.now()
    by_uuid = {UUID(sample.uuid): sample for sample in stats}
    columns = ("uuid", "cpu_percent", "memory_mib", "memory_used_mib", "memory_held_mib")
    rows = list(Guest.objects.filter(host=host, uuid__in=list(by_uuid), missing_since=None).only(*columns))
    topics = []
    for row in rows:
        before = (row.cpu_percent, row.memory_used_mib)
        sample = by_uuid[row.uuid]
        row.cpu_percent = _cpu_percent(sample, previous.get(row.uuid), seconds)
        row.memory_used_mib = _mib(sample.memory_used_kib)
        row.memory_held_mib = _mib(sample.memory_rss_kib)
        row.sampled_at = now
        shares = (row.cpu_percent, _percent(row.memory_used_mib, row.memory_mib))
        if _differ(before[0], shares[0]) or _differ(_percent(before[1], row.memory_mib), shares[1]):
            topics.append(f"guest-{row.pk}")
    with transaction.atomic():
        _write(rows, now)
        if topics:
            publish(*topics)
    return bool(topics)


def _write(rows: list[Guest], now: datetime) -> None:
    """One prepared statement: this runs every few seconds, and bulk_update takes half a second for 1,000 guests."""
    sampled_at = connection.ops.adapt_datetimefield_value(now)
    values = [(row.cpu_percent, row.memory_used_mib, row.memory_held_mib, sampled_at, row.pk) for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE guests_guest SET cpu_percent=%s, memory_used_mib=%s, memory_held_mib=%s, sampled_at=%s WHERE id=%s",
            values,
        )


def apply_addresses(host: Host, addresses: Mapping[UUID, list[GuestAddress]]) -> None:
    """Write the addresses of these guests, IPv4 first. Those that only the guest itself can reach are left out."""
    rows = Guest.objects.filter(host=host, uuid__in=list(addresses), missing_since=None).only("uuid", "addresses")
    changed = []
    for row in rows:
        wanted = _shown(addresses[row.uuid])
        if row.addresses != wanted:
            row.addresses = wanted
            changed.append(row)
    if changed:
        with transaction.atomic():
            Guest.objects.bulk_update(changed, ["addresses"], batch_size=BATCH)
            publish(*(f"guest-{row.pk}" for row in changed))


def _shown(found: Iterable[GuestAddress]) -> list[dict[str, str]]:
    by_address: dict[IPv4Address | IPv6Address, dict[str, str]] = {}
    for entry in sorted(found, key=lambda entry: entry.source != "agent"):  # the guest itself knows best
        try:
            address = ip_address(entry.address)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_link_local):
            by_address.setdefault(address, {"address": str(address), "source": entry.source, "mac": entry.mac})
    return [by_address[address] for address in sorted(by_address, key=lambda known: (known.version, int(known)))]


def _cpu_percent(sample: DomainStats, earlier: DomainStats | None, seconds: float) -> float | None:
    if earlier is None or sample.cpu_time_ns is None or earlier.cpu_time_ns is None or seconds <= 0:
        return None
    used_ns = sample.cpu_time_ns - earlier.cpu_time_ns
    if used_ns < 0:  # it was started anew in between
        return None
    return round(min(100.0, used_ns / 1e7 / seconds / max(1, sample.vcpus or 1)), 1)


def _mib(kib: int | None) -> int | None:
    return None if kib is None else kib // 1024


def _percent(part: int | None, whole: int) -> float | None:
    return None if part is None or not whole else part * 100 / whole


def _differ(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(before - after) >= WORTH_SHOWING_PERCENT
