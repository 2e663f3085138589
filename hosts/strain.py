"""How hard a machine works, beyond its processors' load: load average and pressure stall information.

Read from /proc, so of the local host only: libvirt has no such numbers.
https://docs.kernel.org/accounting/psi.html
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
RESOURCES = ("cpu", "memory", "io")


@dataclass(frozen=True, kw_only=True)
class Strain:
    """`some` is the share of the time in which something waited for the resource, `full` that in which everything did.

    In percent, by resource; without an earlier reading, and where the kernel keeps no such count, they are empty.
    """

    load: float | None
    some: Mapping[str, float]
    full: Mapping[str, float]


@dataclass(frozen=True)
class _Reading:
    taken_at: float
    stalled_us: Mapping[tuple[str, str], int]  # ("memory", "some") → microseconds since the machine's start


class Strains:
    """Remembers the last reading: the counters are those since the start of the machine."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._last: _Reading | None = None

    def read(self) -> Strain:
        """The load now, and the pressure since the last call."""
        last, now = self._last, self._reading()
        self._last = now
        seconds = now.taken_at - last.taken_at if last else 0.0
        shares: dict[str, dict[str, float]] = {"some": {}, "full": {}}
        for (resource, kind), stalled_us in now.stalled_us.items():
            before = last.stalled_us.get((resource, kind)) if last else None
            if before is not None and seconds > 0 and stalled_us >= before:
                shares[kind][resource] = round(min(100.0, (stalled_us - before) / 1e4 / seconds), 1)
        return Strain(load=self._load(), some=shares["some"], full=shares["full"])

    def _load(self) -> float | None:
        try:
            return float((self._proc / "loadavg").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _reading(self) -> _Reading:
        stalled_us = {}
        for resource in RESOURCES:
            try:
                lines = (self._proc / "pressure" / resource).read_text().splitlines()
            except OSError:  # an older kernel, or one that was told not to count
                continue
            for line in lines:  # some avg10=0.02 avg60=0.23 avg300=0.42 total=175243269
                kind, _space, figures = line.partition(" ")
                total = figures.rpartition("total=")[2]
                if kind in ("some", "full") and total.isdecimal():
                    stalled_us[resource, kind] = int(total)
        return _Reading(time.monotonic(), stalled_us)
