"""How hard a machine works, beyond its processors' load: load average and pressure stall information.

libvirt has no such numbers. They are read from /proc: here at each sample, elsewhere through the host's SSH connection
and less often. https://docs.kernel.org/accounting/psi.html
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from virt.errors import UserError

from . import commands
from .models import Host

PROC = Path("/proc")
RESOURCES = ("cpu", "memory", "io")
FILES = ("loadavg", *(f"pressure/{resource}" for resource in RESOURCES))
OVER_SSH_EVERY_S, AFTER_FAILURE_S, SSH_TIMEOUT_S = 55.0, 300.0, 5.0
Files = Mapping[str, str]  # {one of FILES: what is in it}


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


def strain_of(host: Host) -> "Strains | None":
    """The strains of a host; None where there is no way to read them."""
    if host.is_local:
        return Strains(files_below)
    return Strains(lambda: files_over_ssh(host), every_s=OVER_SSH_EVERY_S) if commands.can_run(host) else None


def files_below(proc: Path = PROC) -> Files:
    """Those of this machine. An older kernel, or one that was told not to count, lacks some."""
    found = {}
    for name in FILES:
        try:
            found[name] = (proc / name).read_text()
        except OSError:
            continue
    return found


def files_over_ssh(host: Host) -> Files:
    """Those of another machine, in one command. Raises VirtError."""
    done = commands.run(host, ["grep", "-sH", "", *(f"/proc/{name}" for name in FILES)], timeout_s=SSH_TIMEOUT_S)
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():  # /proc/loadavg:0.20 0.10 …
        path, _colon, text = line.partition(":")
        name = path.removeprefix("/proc/")
        found[name] = f"{found.get(name, '')}{text}\n"
    return found


class Strains:
    """Remembers the last reading: the counters are those since the start of the machine."""

    def __init__(self, read_files: Callable[[], Files], *, every_s: float = 0.0) -> None:
        self._read_files, self._every_s = read_files, every_s
        self._last: _Reading | None = None
        self._strain: Strain | None = None
        self._due = 0.0

    def read(self) -> Strain | None:
        """The load now and the pressure since the last reading, which is made when it is time. Never fails."""
        now = time.monotonic()
        if now < self._due:
            return self._strain
        self._due = now + self._every_s
        try:
            files = self._read_files()
        except UserError:
            self._due, self._strain, self._last = now + AFTER_FAILURE_S, None, None
            return None
        last, self._last = self._last, _Reading(now, _stalled_us(files))
        self._strain = _strain(files, last, self._last)
        return self._strain


def _strain(files: Files, last: _Reading | None, now: _Reading) -> Strain:
    seconds = now.taken_at - last.taken_at if last else 0.0
    shares: dict[str, dict[str, float]] = {"some": {}, "full": {}}
    for (resource, kind), stalled_us in now.stalled_us.items():
        before = last.stalled_us.get((resource, kind)) if last else None
        if before is not None and seconds > 0 and stalled_us >= before:
            shares[kind][resource] = round(min(100.0, (stalled_us - before) / 1e4 / seconds), 1)
    return Strain(load=_load(files), some=shares["some"], full=shares["full"])


def _load(files: Files) -> float | None:
    try:
        return float(files["loadavg"].split()[0])
    except (KeyError, ValueError, IndexError):
        return None


def _stalled_us(files: Files) -> dict[tuple[str, str], int]:
    found = {}
    for resource in RESOURCES:
        for line in files.get(f"pressure/{resource}", "").splitlines():  # some avg10=0.02 avg60=0.23 … total=175243269
            kind, _space, figures = line.partition(" ")
            total = figures.rpartition("total=")[2]
            if kind in ("some", "full") and total.isdecimal():
                found[resource, kind] = int(total)
    return found
