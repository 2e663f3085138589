"""The store: one RRDtool file for each guest, host and pool, below KVMWEB_VAR/history. https://oss.oetiker.ch/rrdtool/

A file has its full size from the start and keeps it. Files are named after the primary key of the row, so that a guest
that is renamed keeps its history. Writing goes through the page cache: a process that is killed loses nothing, a
machine that loses power what the kernel had not written yet (30 s).

librrd and what it loads (cairo, pango) take 7 MB: `rrdtool` is imported by the processes that use it, when they do.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import structlog
from django.conf import settings

from .series import KINDS, RANGES, Archive, Kind

log = structlog.get_logger(__name__)

HEARTBEATS = 13  # steps without a sample after which the time in between is unknown: hosts may be sampled once a minute
MOST_UNKNOWN = 0.998  # an average is that of the time in which it is known: a guest is not on all day
NEW_AT_ONCE = 40  # files made in one round: each is half a megabyte to write
KEEP_FORGOTTEN_S = 30 * 86400  # the history of what is gone
MOST_AHEAD_S = 86400  # a clock that was ahead is waited for; one that was days ahead is not
KINDS_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class History:
    """Values of one range. `average[name][n]` is that of the `step_s` seconds from `start + n * step_s` on.

    None where nothing is known. `maximum` is empty in the finest range, which keeps the samples themselves.
    """

    range: str
    start: int
    step_s: int
    average: dict[str, list[float | None]]
    maximum: dict[str, list[float | None]]

    @property
    def end(self) -> int:
        return self.start + self.step_s * max(map(len, self.average.values()), default=0)

    @property
    def is_empty(self) -> bool:
        return all(value is None for values in self.average.values() for value in values)


def path_of(kind: Kind, pk: int) -> Path:
    return directory() / kind.name / f"{pk:d}.rrd"


def directory() -> Path:
    return Path(settings.VAR) / "history"


def record(kind: Kind, samples: Mapping[int, Sequence[float | None]], at: float | None = None) -> int:
    """Write one sample each, {primary key: values in the order of `kind.series`}, taken at `at` (time.time()).

    Missing files are made, a few at a time: those of the others come with the next rounds. Returns how many samples
    were written. What cannot be written (full disk, a clock that was set back) is told in the log and left out: an
    administrator sees a gap, and everything else goes on.
    """
    rrdtool = _rrdtool()
    second = int(time.time() if at is None else at)
    folder = directory() / kind.name
    made = written = 0
    refused = ""
    for pk, values in samples.items():
        file = f"{folder}/{pk:d}.rrd"
        line = f"{second}:{':'.join(map(_number, values))}"
        try:
            rrdtool.update(file, line)
        except rrdtool.OperationalError as error:
            if Path(file).exists():
                refused = str(error)
                _set_useless_aside(Path(file), second, refused)
                continue
            if made >= NEW_AT_ONCE:
                continue
            made += 1
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o750)
                _create(kind, file, second)
                rrdtool.update(file, line)
            except (OSError, rrdtool.OperationalError) as problem:
                refused = str(problem)
                continue
        written += 1
    if refused:
        log.warning("history not written", kind=kind.name, samples=len(samples), written=written, error=refused)
    return written


def read(kind: Kind, pk: int, range_: str, *, now: float | None = None) -> History:
    """What is known of the last hour, day, week, month or year, oldest first. All None where nothing was written."""
    archive = next(archive for archive in kind.archives if archive.range == range_)
    until = int(time.time() if now is None else now)
    end = until // archive.step_s * archive.step_s
    start = end - RANGES[range_] // archive.step_s * archive.step_s
    average = _fetch(kind, pk, "AVERAGE", archive, start, end)
    is_finest = archive == kind.archives[0]
    maximum = {} if is_finest else _fetch(kind, pk, "MAX", archive, start, end)
    if not is_finest:
        _add_unfinished(kind, pk, archive, end, until, average, maximum)
    return History(range_, start, archive.step_s, average, maximum)


def last_written(kind: Kind, pk: int) -> int | None:
    """When its last sample was taken (Unix time); None where there is none."""
    rrdtool = _rrdtool()
    with suppress(rrdtool.OperationalError):
        return int(rrdtool.last(str(path_of(kind, pk))))
    return None


def sweep(kind: Kind, known: Iterable[int], *, now: float | None = None) -> int:
    """Delete what was kept of things that are not among `known` and were last sampled a month ago. Returns how many."""
    moment = time.time() if now is None else now
    keep = set(known)
    swept = 0
    for file in (directory() / kind.name).glob("*.rrd"):
        if not file.stem.isdecimal() or int(file.stem) in keep:
            continue
        if moment - (last_written(kind, int(file.stem)) or file.stat().st_mtime) > KEEP_FORGOTTEN_S:
            file.unlink(missing_ok=True)
            swept += 1
    return swept


def bytes_each(kind: Kind) -> int:
    """The size of one file: what the values take, without the header of a few kilobytes."""
    columns = sum(archive.rows * (1 if archive == kind.archives[0] else 2) for archive in kind.archives)
    return columns * len(kind.series) * 8


@cache
def _rrdtool() -> ModuleType:
    import rrdtool

    return rrdtool  # type: ignore[no-any-return]


def _create(kind: Kind, file: str, first: int) -> None:
    heartbeat = kind.step_s * HEARTBEATS
    sources = [f"DS:{_source(number)}:GAUGE:{heartbeat}:0:U" for number in range(len(kind.series))]
    archives = []
    for archive in kind.archives:
        steps = archive.step_s // kind.step_s
        archives.append(f"RRA:AVERAGE:{MOST_UNKNOWN}:{steps}:{archive.rows}")
        if archive != kind.archives[0]:
            archives.append(f"RRA:MAX:{MOST_UNKNOWN}:{steps}:{archive.rows}")
    start = str(first - kind.step_s)
    _rrdtool().create(file, "--start", start, "--step", str(kind.step_s), *sources, *archives)


def _source(number: int) -> str:
    """RRDtool's names of series are short: theirs are numbered, ours stand in the code."""
    return f"s{number}"


def _number(value: float | None) -> str:
    return "U" if value is None else f"{value:.6g}"


def _fetch(kind: Kind, pk: int, function: str, archive: Archive, start: int, end: int) -> dict[str, list[float | None]]:
    rrdtool = _rrdtool()
    count = (end - start) // archive.step_s
    file = str(path_of(kind, pk))
    asked = ("--start", str(start), "--end", str(end), "--resolution", str(archive.step_s))
    try:
        (first, _last, step_s), _names, rows = rrdtool.fetch(file, function, *asked)
    except rrdtool.OperationalError:
        return {name: [None] * count for name in kind.series}
    # A row is called by its end; RRDtool gives those from `start` on, and one more at the end.
    rows = rows[(start - first) // step_s :][:count] if step_s == archive.step_s else []
    rows += [(None,) * len(kind.series)] * (count - len(rows))
    return {name: list(column) for name, column in zip(kind.series, zip(*rows, strict=True), strict=False)}


def _add_unfinished(
    kind: Kind,
    pk: int,
    archive: Archive,
    end: int,
    until: int,
    average: dict[str, list[float | None]],
    maximum: dict[str, list[float | None]],
) -> None:
    """The value of the step that is not over yet, from finer and finer archives: a year's graph shows today too."""
    weighted: dict[str, list[tuple[float, int]]] = {name: [] for name in kind.series}
    peaks: dict[str, list[float]] = {name: [] for name in kind.series}
    for finer in reversed(kind.archives[: kind.archives.index(archive)]):
        begin, end = end, max(end, until // finer.step_s * finer.step_s)
        if begin == end:
            continue
        averages = _fetch(kind, pk, "AVERAGE", finer, begin, end)
        highest = averages if finer == kind.archives[0] else _fetch(kind, pk, "MAX", finer, begin, end)
        for name in kind.series:
            weighted[name] += [(value, finer.step_s) for value in averages[name] if value is not None]
            peaks[name] += [value for value in highest[name] if value is not None]
    for name, values in weighted.items():
        seconds = sum(weight for _value, weight in values)
        average[name].append(math.fsum(value * weight for value, weight in values) / seconds if values else None)
        maximum[name].append(max(peaks[name], default=None))


def _set_useless_aside(file: Path, now: int, error: str) -> None:
    """A file that is damaged, or was written while the clock was days ahead, would refuse every sample: begin anew."""
    last = last_written(KINDS_BY_NAME[file.parent.name], int(file.stem))
    if last is None or last - now > MOST_AHEAD_S:
        log.error("history cannot be continued, a new one begins", file=str(file), error=error)
        file.replace(file.with_suffix(".damaged"))


def sizes() -> dict[str, int]:
    """How many files there are of each kind."""
    return {kind.name: sum(1 for _file in (directory() / kind.name).glob("*.rrd")) for kind in KINDS}
