"""The history of one thing over REST. The routers of hosts, guests and pools use it."""

from typing import Annotated, Literal, TypeAlias

from ninja import Field, Query, Schema

from virt.errors import Invalid

from . import store
from .series import Kind

Range: TypeAlias = Annotated[
    Literal["hour", "day", "week", "month", "year"],
    Query(description="How far back. The finest is ten seconds for an hour, the coarsest a day for a year."),
]
SeriesNames: TypeAlias = Annotated[str, Query(description="Names of series, with commas; empty: all there are.")]


class SeriesOut(Schema):
    """Values, oldest first; null where nobody knows. The name of a series says its unit."""

    average: list[float | None]
    maximum: list[float | None] = Field(
        description="The highest sample of each step; empty for an hour, whose values are the samples themselves."
    )


class HistoryOut(Schema):
    """What was used over a time. Value n is that of the `step_s` seconds from `start + n * step_s` on."""

    range: str
    start: int = Field(description="Seconds since 1970, UTC.")
    step_s: int
    series: dict[str, SeriesOut]


def history(kind: Kind, pk: int, range_: str, names: str = "") -> HistoryOut:
    """The answer for one thing. Raises Invalid for a series that there is not."""
    wanted = [name.strip() for name in names.split(",") if name.strip()] or kind.series
    for name in wanted:
        if name not in kind.series:
            known = ", ".join(kind.series)
            raise Invalid(f"There is no series {name[:60]} of a {kind.name}. There are: {known}.", field="series")
    read = store.read(kind, pk, range_)
    series = {
        name: SeriesOut.model_construct(average=_short(read.average[name]), maximum=_short(read.maximum.get(name, [])))
        for name in wanted
    }
    return HistoryOut.model_construct(range=range_, start=read.start, step_s=read.step_s, series=series)


def _short(values: list[float | None]) -> list[float | None]:
    """Without the digits that no sample has: an answer is a third as long, and made in half the time."""
    return [value if value is None else int(value) if value >= 1000 else round(value, 1) for value in values]
