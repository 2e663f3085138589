"""How a measurement reads."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line: what was measured, the figure, and what it has to be (`limit` in words, `holds` or not)."""

    what: str
    figure: str
    limit: str = ""
    holds: bool | None = None


def show(title: str, rows: list[Row]) -> bool:
    """Print the rows; True when every limit holds."""
    print(f"\n{title}")
    for row in rows:
        verdict = {None: "", True: "holds", False: "DOES NOT HOLD"}[row.holds]
        print(f"  {row.what:<58} {row.figure:>16}  {row.limit:<18} {verdict}".rstrip())
    return all(row.holds is not False for row in rows)


def at_most(what: str, value: float, limit: float, unit: str = "x") -> Row:
    return Row(what=what, figure=f"{value:.2f} {unit}", limit=f"at most {limit:g} {unit}", holds=value <= limit)


def at_least(what: str, value: float, limit: float, unit: str = "x") -> Row:
    return Row(what=what, figure=f"{value:.2f} {unit}", limit=f"at least {limit:g} {unit}", holds=value >= limit)


def median_ms(action: Callable[[], object], runs: int = 15, warm_up: int = 2) -> float:
    """The median time of `action` in milliseconds."""
    for _ in range(warm_up):
        action()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000
