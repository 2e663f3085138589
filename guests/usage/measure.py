"""From the history of a guest to its figures over a period."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from guests.models import Guest
from history import store
from history.series import GUEST

from .models import Usage
from .sizing import advise

HOURS = {Usage.Period.DAY: 24, Usage.Period.WEEK: 7 * 24, Usage.Period.FORTNIGHT: 14 * 24}
_RANGES = {Usage.Period.DAY: "day", Usage.Period.WEEK: "week", Usage.Period.FORTNIGHT: "month"}
Values = Sequence[float | None]


def measure(guest: Guest, period: Usage.Period, now: datetime | None = None) -> Usage:
    """What `guest` used over `period`, not saved. Takes a millisecond or two; asks no host."""
    until = now or timezone.now()
    read = store.read(GUEST, guest.pk, _RANGES[period], now=until.timestamp())
    first = max(0, int((until - timedelta(hours=HOURS[period])).timestamp() - read.start) // read.step_s)
    average = {name: values[first:] for name, values in read.average.items()}
    peak = {name: values[first:] for name, values in read.maximum.items()}
    on = [n for n, value in enumerate(average["cpu_percent"]) if value is not None]
    usage = Usage(guest=guest, period=period, measured_at=until, known_hours=len(on) * read.step_s / 3600)
    if not on:
        return usage
    share = len(on) / len(average["cpu_percent"])
    usage.since = datetime.fromtimestamp(read.start + (first + on[0]) * read.step_s, UTC)
    usage.cpu_percent = _mean(average["cpu_percent"])
    usage.busy_vcpus = usage.cpu_percent * guest.vcpus / 100 * share if usage.cpu_percent is not None else None
    usage.held_bytes = _whole(_mean(average["memory_held_bytes"]), share)
    usage.disk_bytes_per_s = _whole(_sum(average, "disk_read_bytes_per_s", "disk_write_bytes_per_s"), share)
    usage.net_bytes_per_s = _whole(_sum(average, "net_rx_bytes_per_s", "net_tx_bytes_per_s"), share)
    usage.cpu_p95_percent = _p95(average["cpu_percent"])
    usage.cpu_peak_p95_percent = _p95(peak["cpu_percent"])
    usage.cpu_peak_percent = _highest(peak["cpu_percent"])
    usage.cpu_wait_p95_percent = _p95(average["cpu_wait_percent"])
    usage.used_p95_bytes = _whole(_p95(average["memory_used_bytes"]))
    usage.used_peak_p95_bytes = _whole(_p95(peak["memory_used_bytes"]))
    usage.used_peak_bytes = _whole(_highest(peak["memory_used_bytes"]))
    if period == Usage.Period.FORTNIGHT:
        advise(usage)
    return usage


def _known(values: Values) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Values) -> float | None:
    known = _known(values)
    return math.fsum(known) / len(known) if known else None


def _highest(values: Values) -> float | None:
    return max(_known(values), default=None)


def _p95(values: Values) -> float | None:
    """The value that 95 of 100 are not above (nearest rank)."""
    known = sorted(_known(values))
    return known[math.ceil(len(known) * 0.95) - 1] if known else None


def _sum(values: dict[str, list[float | None]], *names: str) -> float | None:
    means = [_mean(values[name]) for name in names]
    known = [mean for mean in means if mean is not None]
    return sum(known) if known else None


def _whole(value: float | None, share: float = 1.0) -> int | None:
    return None if value is None else round(value * share)
