"""What running guests use, sampled: processor, memory, addresses."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from history import recent, store
from history.series import GUEST
from hosts.models import Host
from jobs.live import publish
from virt.types import DomainStats, GuestAddress

from .models import Guest
from .rates import Rates

BATCH = 200
WORTH_SHOWING_PERCENT = 1  # pages are told of changes that somebody could see


# The columns that a sample fills, but for its time.
SAMPLED = (
    "cpu_percent",
    "cpu_wait_percent",
    "memory_used_mib",
    "memory_held_mib",
    "disk_read_bytes_per_s",
    "disk_write_bytes_per_s",
    "net_rx_bytes_per_s",
    "net_tx_bytes_per_s",
    "cpu_recent",
)
_UPDATE = f"UPDATE guests_guest SET {', '.join(f'{name}=%s' for name in SAMPLED)}, sampled_at=%s WHERE id=%s"  # noqa: S608


def apply_stats(host: Host, taken: Mapping[UUID, tuple[DomainStats, Rates]]) -> bool:
    """Write what guests use into their rows and their history. Returns whether a number moved that pages show."""
    now = timezone.now()
    columns = ("uuid", "cpu_percent", "memory_mib", "memory_used_mib", "cpu_recent", "sampled_at")
    rows = list(Guest.objects.filter(host=host, uuid__in=list(taken), missing_since=None).only(*columns))
    topics = []
    for row in rows:
        before = (row.cpu_percent, row.memory_used_mib)
        sample, rates = taken[row.uuid]
        _fill(row, sample, rates, now)
        shares = (row.cpu_percent, _percent(row.memory_used_mib, row.memory_mib))
        if _differ(before[0], shares[0]) or _differ(_percent(before[1], row.memory_mib), shares[1]):
            topics.append(f"guest-{row.pk}")
    with transaction.atomic():
        _write(rows)
        if topics:
            publish(*topics)
    store.record(GUEST, {row.pk: _history(*taken[row.uuid]) for row in rows}, now.timestamp())
    return bool(topics)


def _fill(row: Guest, sample: DomainStats, rates: Rates, now: datetime) -> None:
    row.cpu_percent = rates.cpu_percent
    row.cpu_wait_percent = rates.cpu_wait_percent
    row.memory_used_mib = _mib(sample.memory_used_kib)
    row.memory_held_mib = _mib(sample.memory_rss_kib)
    row.disk_read_bytes_per_s = _whole(rates.disk_read_bytes_per_s)
    row.disk_write_bytes_per_s = _whole(rates.disk_write_bytes_per_s)
    row.net_rx_bytes_per_s = _whole(rates.net_rx_bytes_per_s)
    row.net_tx_bytes_per_s = _whole(rates.net_tx_bytes_per_s)
    row.cpu_recent = recent.with_sample(bytes(row.cpu_recent), rates.cpu_percent, now, row.sampled_at)
    row.sampled_at = now


def _history(sample: DomainStats, rates: Rates) -> tuple[float | None, ...]:
    """In the order of history.series.GUEST."""
    return (
        rates.cpu_percent,
        rates.cpu_wait_percent,
        _bytes(sample.memory_used_kib),
        _bytes(sample.memory_rss_kib),
        rates.disk_read_bytes_per_s,
        rates.disk_write_bytes_per_s,
        rates.disk_reads_per_s,
        rates.disk_writes_per_s,
        rates.net_rx_bytes_per_s,
        rates.net_tx_bytes_per_s,
        rates.net_rx_packets_per_s,
        rates.net_tx_packets_per_s,
    )


def _write(rows: list[Guest]) -> None:
    """One prepared statement: this runs every few seconds, and bulk_update takes half a second for 1,000 guests."""
    adapted = connection.ops.adapt_datetimefield_value
    values = [(*(getattr(row, name) for name in SAMPLED), adapted(row.sampled_at), row.pk) for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(_UPDATE, values)


def apply_addresses(
    host: Host, addresses: Mapping[UUID, list[GuestAddress]], *, sources: Collection[str] = ("agent", "lease", "arp")
) -> None:
    """Write the addresses of these guests, IPv4 first. Those that only the guest itself can reach are left out.

    `sources` are those that were asked: what others of "agent", "lease" and "arp" said before stays.
    """
    rows = Guest.objects.filter(host=host, uuid__in=list(addresses), missing_since=None).only("uuid", "addresses")
    changed = []
    for row in rows:
        others = [_said(known) for known in row.addresses if known["source"] not in sources]
        wanted = _shown([*addresses[row.uuid], *others])
        if row.addresses != wanted:
            row.addresses = wanted
            changed.append(row)
    if changed:
        with transaction.atomic():
            Guest.objects.bulk_update(changed, ["addresses"], batch_size=BATCH)
            publish(*(f"guest-{row.pk}" for row in changed))


_TRUSTED = ("agent", "lease", "arp")  # the guest itself knows best, and the host remembers neighbours that are gone


def _said(known: Mapping[str, str]) -> GuestAddress:
    return GuestAddress(
        interface="", mac=known["mac"], address=known["address"], prefix=0, family="", source=known["source"]
    )


def _shown(found: Iterable[GuestAddress]) -> list[dict[str, str]]:
    by_address: dict[IPv4Address | IPv6Address, dict[str, str]] = {}
    for entry in sorted(found, key=lambda entry: _TRUSTED.index(entry.source)):
        try:
            address = ip_address(entry.address)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_link_local):
            by_address.setdefault(address, {"address": str(address), "source": entry.source, "mac": entry.mac})
    return [by_address[address] for address in sorted(by_address, key=lambda known: (known.version, int(known)))]


def _mib(kib: int | None) -> int | None:
    return None if kib is None else kib // 1024


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * 1024


def _whole(rate: float | None) -> int | None:
    return None if rate is None else round(rate)


def _percent(part: int | None, whole: int) -> float | None:
    return None if part is None or not whole else part * 100 / whole


def _differ(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(before - after) >= WORTH_SHOWING_PERCENT
