"""Which graphs a page shows of a thing, and the figures beside each line."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from . import store
from .series import GUEST, HOST, POOL, RANGES, Kind

RANGE_NAMES: dict[str, Promise] = {
    "hour": _("Hour"),
    "day": _("Day"),
    "week": _("Week"),
    "month": _("Month"),
    "year": _("Year"),
}


class Plan(NamedTuple):
    """A graph: what it is called, the unit of its axis, and (series, label) of each line. `top` ends the axis."""

    title: Promise
    unit: str  # percent, bytes, byte_rate, bit_rate, per_s, number
    lines: tuple[tuple[str, Promise], ...]
    top: float | None = None
    note: Promise | str = ""


PLANS: dict[Kind, tuple[Plan, ...]] = {
    GUEST: (
        Plan(
            _("CPU"),
            "percent",
            (("cpu_percent", _("In use, of all vCPUs")), ("cpu_wait_percent", _("Waiting for the host"))),
            100,
        ),
        Plan(
            _("Memory"),
            "bytes",
            (
                ("memory_used_bytes", _("As the guest sees it")),
                ("memory_held_bytes", _("As the host sees it")),
            ),
        ),
        Plan(_("Disks"), "byte_rate", (("disk_read_bytes_per_s", _("Read")), ("disk_write_bytes_per_s", _("Written")))),
        Plan(_("Disk requests"), "per_s", (("disk_reads_per_s", _("Reads")), ("disk_writes_per_s", _("Writes")))),
        Plan(_("Network"), "bit_rate", (("net_rx_bytes_per_s", _("Received")), ("net_tx_bytes_per_s", _("Sent")))),
        Plan(_("Packets"), "per_s", (("net_rx_packets_per_s", _("Received")), ("net_tx_packets_per_s", _("Sent")))),
    ),
    HOST: (
        Plan(
            _("CPU"),
            "percent",
            (("cpu_percent", _("In use")), ("cpu_iowait_percent", _("Idle, waiting for disks"))),
            100,
        ),
        Plan(_("Memory"), "bytes", (("memory_used_bytes", _("Used")),)),
        Plan(_("Load"), "number", (("load", _("Average of a minute")),)),
        Plan(
            _("Pressure: something waits"),
            "percent",
            (
                ("pressure_cpu_percent", _("For a processor")),
                ("pressure_memory_percent", _("For memory")),
                ("pressure_io_percent", _("For disks")),
            ),
            note=_("The share of the time in which at least one process could not go on."),
        ),
        Plan(
            _("Pressure: everything waits"),
            "percent",
            (("pressure_memory_full_percent", _("For memory")), ("pressure_io_full_percent", _("For disks"))),
            note=_("The share of the time in which no process could go on."),
        ),
    ),
    POOL: (Plan(_("Space"), "bytes", (("used_bytes", _("Used")), ("capacity_bytes", _("Capacity")))),),
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line with its figures in the range shown; None where nothing is known. `number` chooses its colour."""

    series: str
    label: Promise
    number: int
    newest: float | None
    average: float | None
    highest: float | None


@dataclass(frozen=True, kw_only=True)
class Graph:
    title: Promise
    unit: str
    lines: list[Line]
    top: float | None
    note: Promise | str

    @property
    def names(self) -> str:
        return " ".join(line.series for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Graphs:
    """All graphs of a thing. `url` is the REST address that the page reads their lines from."""

    url: str
    range: str
    is_empty: bool
    graphs: list[Graph]

    @property
    def ranges(self) -> Iterable[tuple[str, Promise]]:
        return RANGE_NAMES.items()


def graphs(kind: Kind, pk: int, asked: str, url: str) -> Graphs:
    """What the page shows for `?range=asked`; an hour where that is no range. Lines that nobody knows are left out."""
    range_ = asked if asked in RANGES else "hour"
    read = store.read(kind, pk, range_)
    made = []
    for plan in PLANS[kind]:
        lines = [_line(read, series, label, number) for number, (series, label) in enumerate(plan.lines, 1)]
        known = [line for line in lines if line.highest is not None]
        if known or read.is_empty:
            made.append(Graph(title=plan.title, unit=plan.unit, lines=known or lines, top=plan.top, note=plan.note))
    return Graphs(url=url, range=range_, is_empty=read.is_empty, graphs=made)


def _line(read: store.History, series: str, label: Promise, number: int) -> Line:
    known = [value for value in read.average[series] if value is not None]
    peaks = [value for value in read.maximum.get(series, ()) if value is not None]
    return Line(
        series=series,
        label=label,
        number=number,
        newest=next((value for value in reversed(read.average[series][-3:]) if value is not None), None),
        average=math.fsum(known) / len(known) if known else None,
        highest=max(peaks or known, default=None),
    )
