"""Whether a guest's size fits what it did in two weeks, and in words why.

The rules are careful in one direction: less is advised from the highest ten seconds of each hour with room to spare,
more from what whole hours needed.
"""

import math
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .models import Usage

MIB = 2**20
ENOUGH_HOURS, ENOUGH_DAYS = 72, 7  # it was on for so many hours, the first of them so many days ago
CPU_ROOM, MEMORY_ROOM = 1 / 0.7, 1.3  # what is advised holds the peaks and this much more
LESS_FROM = 0.7  # less is advised where no more than this share of the size would do
CPU_FULL, MEMORY_FULL = 85.0, 90.0  # percent in one hour of twenty: it wants more
LEAST_SAVED_MIB, MEMORY_STEP_MIB = 512, 256
IDLE_CPU_PERCENT, IDLE_DISK_BYTES, IDLE_NET_BYTES = 3.0, 10_240, 2048
CROWDED_PERCENT = 10.0


@dataclass(frozen=True, kw_only=True)
class Hint:
    """`kind` is less_cpu, more_cpu, less_memory, more_memory, idle or crowded; `text` has the figures."""

    kind: str
    title: str
    text: str


def is_known(usage: Usage) -> bool:
    """Whether it was seen for long enough to say something about its size."""
    if usage.since is None or usage.known_hours < ENOUGH_HOURS:
        return False
    return (usage.measured_at - usage.since).total_seconds() >= (ENOUGH_DAYS - 0.5) * 86400


def advise(usage: Usage) -> None:
    """Set what follows from the figures of two weeks."""
    if not is_known(usage):
        return
    guest = usage.guest
    usage.is_idle = _is_idle(usage)
    usage.is_crowded = (usage.cpu_wait_p95_percent or 0.0) >= CROWDED_PERCENT
    usage.vcpus_advised = _vcpus(usage, guest.vcpus)
    usage.memory_advised_mib = _memory_mib(usage, guest.memory_mib)


def hints(usage: Usage) -> list[Hint]:
    """What to say of the guest, most useful first; empty where its size fits or too little is known."""
    found = [_idle(usage), _cpu(usage), _memory(usage), _crowded(usage)]
    return [hint for hint in found if hint]


def why_unknown(usage: Usage) -> str:
    """Why there is nothing to say of its size; empty where there is."""
    if is_known(usage):
        return ""
    words = {"hours": round(usage.known_hours), "enough": ENOUGH_HOURS, "days": ENOUGH_DAYS}
    text = ngettext(
        "Too little is known yet: it was seen running for %(hours)d hour of the last two weeks. A hint takes %(enough)d"
        " hours, the first of them %(days)d days ago.",
        "Too little is known yet: it was seen running for %(hours)d hours of the last two weeks. A hint takes"
        " %(enough)d hours, the first of them %(days)d days ago.",
        words["hours"],
    )
    return text % words


def _vcpus(usage: Usage, vcpus: int) -> int | None:
    peak, hourly = usage.cpu_peak_p95_percent, usage.cpu_p95_percent
    if peak is None or hourly is None or not vcpus:
        return None
    if hourly >= CPU_FULL:
        return vcpus + max(1, vcpus // 2)
    enough = max(1, math.ceil(vcpus * peak / 100 * CPU_ROOM))
    return enough if enough <= vcpus * LESS_FROM else None


def _memory_mib(usage: Usage, memory_mib: int) -> int | None:
    peak, hourly = usage.used_peak_p95_bytes, usage.used_p95_bytes
    if peak is None or hourly is None or not memory_mib:
        return None
    if hourly / MIB >= memory_mib * MEMORY_FULL / 100:
        return _stepped(memory_mib * 1.5)
    enough = _stepped(max(peak, (usage.used_peak_bytes or 0) / MEMORY_ROOM) / MIB * MEMORY_ROOM)
    saves = memory_mib - enough
    return enough if enough <= memory_mib * LESS_FROM and saves >= LEAST_SAVED_MIB else None


def _stepped(mib: float) -> int:
    return math.ceil(mib / MEMORY_STEP_MIB) * MEMORY_STEP_MIB


def _is_idle(usage: Usage) -> bool:
    return (
        usage.cpu_peak_p95_percent is not None
        and usage.cpu_peak_p95_percent < IDLE_CPU_PERCENT
        and (usage.disk_bytes_per_s or 0) < IDLE_DISK_BYTES
        and (usage.net_bytes_per_s or 0) < IDLE_NET_BYTES
    )


def _idle(usage: Usage) -> Hint | None:
    if not usage.is_idle:
        return None
    text = _(
        "In 95 of 100 hours its processors were never busier than %(peak).1f %%, and disks and network were still."
    )
    words = {"peak": usage.cpu_peak_p95_percent or 0.0}
    return Hint(kind="idle", title=_("It does nothing. Is it needed?"), text=text % words)


def _cpu(usage: Usage) -> Hint | None:
    advised, vcpus = usage.vcpus_advised, usage.guest.vcpus
    if advised is None or advised == vcpus:
        return None
    words = {
        "vcpus": vcpus,
        "advised": advised,
        "p95": usage.cpu_p95_percent or 0.0,
        "peak": usage.cpu_peak_p95_percent or 0.0,
        "highest": usage.cpu_peak_percent or 0.0,
    }
    if advised > vcpus:
        title = ngettext("More than its %(vcpus)d vCPU would help", "More than its %(vcpus)d vCPUs would help", vcpus)
        text = _("In one hour of twenty they were %(p95)d %% busy or more, all hour. Try %(advised)d.")
        return Hint(kind="more_cpu", title=title % words, text=text % words)
    title = ngettext("%(advised)d vCPU would do", "%(advised)d vCPUs would do", advised)
    text = _(
        "In 95 of 100 hours the busiest ten seconds took %(peak)d %% of its %(vcpus)d vCPUs; the busiest of all took"
        " %(highest)d %%."
    )
    return Hint(kind="less_cpu", title=title % words, text=text % words)


def _memory(usage: Usage) -> Hint | None:
    advised, whole = usage.memory_advised_mib, usage.guest.memory_mib
    if advised is None or advised == whole:
        return None
    words = {
        "whole": _gib(whole),
        "advised": _gib(advised),
        "p95": _gib((usage.used_p95_bytes or 0) / MIB),
        "peak": _gib((usage.used_peak_p95_bytes or 0) / MIB),
        "highest": _gib((usage.used_peak_bytes or 0) / MIB),
    }
    if advised > whole:
        title = _("More than its %(whole)s of memory would help") % words
        text = _("In one hour of twenty the guest used %(p95)s or more on average. Try %(advised)s.") % words
        return Hint(kind="more_memory", title=title, text=text)
    title = _("%(advised)s of memory would do") % words
    text = _(
        "In 95 of 100 hours the guest used %(peak)s of %(whole)s at most, as it sees it itself; the most of all was"
        " %(highest)s."
    )
    return Hint(kind="less_memory", title=title, text=text % words)


def _crowded(usage: Usage) -> Hint | None:
    if not usage.is_crowded:
        return None
    text = _(
        "In one hour of twenty its vCPUs were ready and waited for a processor for %(wait)d %% of the time or more:"
        " other guests on %(host)s were using them."
    )
    words = {"wait": usage.cpu_wait_p95_percent or 0.0, "host": usage.guest.host.name}
    return Hint(kind="crowded", title=_("Its host has too little processor for it"), text=text % words)


def _gib(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB".replace(".0 ", " ") if mib >= 1024 else f"{round(mib)} MiB"
