"""Who uses most, now or over a time, and whose size does not fit: filtered and sorted by the database."""

from dataclasses import dataclass
from typing import Any

from django.db.models import ExpressionWrapper, F, FloatField, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from guests.models import Guest

from .models import Usage

MIB = 2**20
PERIODS: dict[str, Promise] = {"now": _("Now"), "day": _("Day"), "week": _("Week")}
RESOURCES: dict[str, Promise] = {"cpu": _("CPU"), "memory": _("Memory"), "disk": _("Disks"), "network": _("Network")}
_NOW = {
    "cpu": F("cpu_percent") * F("vcpus") / 100.0,
    "memory": F("memory_held_mib") * 1.0 * MIB,
    "disk": Coalesce("disk_read_bytes_per_s", 0) + Coalesce("disk_write_bytes_per_s", 0),
    "network": Coalesce("net_rx_bytes_per_s", 0) + Coalesce("net_tx_bytes_per_s", 0),
}
_OVER = {"cpu": "busy_vcpus", "memory": "held_bytes", "disk": "disk_bytes_per_s", "network": "net_bytes_per_s"}


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A guest with what it takes from its host; None where nobody knows."""

    guest: Guest
    busy_vcpus: float | None
    held_bytes: float | None
    disk_bytes_per_s: float | None
    net_bytes_per_s: float | None


def consumers(user: User, *, by: str, period: str, host_id: int | None = None) -> "QuerySet[Any]":
    """Those who use most first, for `consumer` to read; guests that use none are left out.

    `by` is one of RESOURCES, `period` one of PERIODS.
    """
    guests = Guest.objects.permitted(user, "view").listed()
    if host_id:
        guests = guests.filter(host_id=host_id)
    if period == "now":
        on = guests.filter(state__in=Guest.ON).annotate(
            **{f"by_{name}": ExpressionWrapper(value, FloatField()) for name, value in _NOW.items()}
        )
        busy: QuerySet[Any] = on.filter(**{f"by_{by}__gt": 0}).order_by(f"-by_{by}", "name")
        return busy.select_related("host").defer("xml", "description", "host__facts")
    used = Usage.objects.filter(period=period, guest__in=guests, **{f"{_OVER[by]}__gt": 0})
    shown = used.select_related("guest__host").defer("guest__xml", "guest__description", "guest__host__facts")
    return shown.order_by(f"-{_OVER[by]}", "guest__name")


def consumer(row: Guest | Usage) -> Consumer:
    """A row of `consumers` as the page and REST show it."""
    if isinstance(row, Usage):
        return Consumer(
            guest=row.guest,
            busy_vcpus=row.busy_vcpus,
            held_bytes=row.held_bytes,
            disk_bytes_per_s=row.disk_bytes_per_s,
            net_bytes_per_s=row.net_bytes_per_s,
        )
    return Consumer(
        guest=row,
        busy_vcpus=getattr(row, "by_cpu", None),
        held_bytes=getattr(row, "by_memory", None),
        disk_bytes_per_s=getattr(row, "by_disk", None),
        net_bytes_per_s=getattr(row, "by_network", None),
    )


def misfits(user: User) -> "QuerySet[Usage]":
    """The figures of two weeks of guests whose size does not fit them."""
    guests = Guest.objects.permitted(user, "view").listed()
    wrong = Q(vcpus_advised__isnull=False) | Q(memory_advised_mib__isnull=False) | Q(is_idle=True) | Q(is_crowded=True)
    found = Usage.objects.filter(wrong, period=Usage.Period.FORTNIGHT, guest__in=guests)
    shown = found.select_related("guest__host").defer("guest__xml", "guest__description", "guest__host__facts")
    return shown.order_by("-is_idle", "guest__name", "pk")
