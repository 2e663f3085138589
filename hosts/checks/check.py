"""What a check is, and what it has to go on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hosts.models import Host

VERDICTS = ("failed", "warning", "skipped", "passed")


class PoolRow(Protocol):
    """What is asked of a pool; the storage room is above this one."""

    name: str
    type: str
    target_path: str
    is_active: bool
    capacity_bytes: int
    available_bytes: int


class Command(NamedTuple):
    """A line to copy, and for which systems it is; empty for all."""

    text: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """`verdict` is one of VERDICTS; skipped says in `found` why. `fix` names the button that may help: check, probe or
    prepare. `features` are the codes of those that need this (see features.py).
    """

    code: str
    verdict: str
    title: str
    found: str
    means: str = ""
    todo: str = ""
    details: str = ""
    fix: str = ""
    commands: tuple[Command, ...] = ()
    features: tuple[str, ...] = ()
    source: str = ""  # where one can read on

    @property
    def feature_titles(self) -> list[str]:
        from .features import title_of

        return [title_of(code) for code in self.features]


class About(NamedTuple):
    """What a check is about; its methods make the verdict: About("swap", _("Swap")).passed(_("There is none."))."""

    code: str
    title: str
    features: tuple[str, ...] = ()

    def passed(self, found: str, **rest: Any) -> Check:
        return self._check("passed", found, rest)

    def warning(self, found: str, **rest: Any) -> Check:
        return self._check("warning", found, rest)

    def failed(self, found: str, **rest: Any) -> Check:
        return self._check("failed", found, rest)

    def skipped(self, found: str, **rest: Any) -> Check:
        return self._check("skipped", found, rest)

    def _check(self, verdict: str, found: str, rest: dict[str, Any]) -> Check:
        given = {"title": self.title} | rest
        return Check(code=self.code, verdict=verdict, found=found, features=self.features, **given)


class Readings:
    """What the fixed command told: for each key the lines that it wrote, in order."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def __bool__(self) -> bool:
        return bool(self._values)

    def all(self, key: str) -> list[str]:
        return list(self._values.get(key, ()))

    def text(self, key: str, default: str = "") -> str:
        return next(iter(self._values.get(key, ())), default)

    def number(self, key: str) -> int | None:
        value = self.text(key)
        return int(value) if value.isascii() and value.isdigit() else None

    def decimal(self, key: str) -> float | None:
        try:
            return float(self.text(key))
        except ValueError:
            return None

    def has(self, key: str, value: str) -> bool:
        return value in self._values.get(key, ())


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that checks have to go on. `networks` are the names of active virtual networks."""

    host: Host
    details: Mapping[str, Any] = field(default_factory=dict)
    readings: Readings
    pools: Sequence[PoolRow]
    networks: Sequence[str]
    why_no_readings: str = ""

    @property
    def facts(self) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self.host.facts
        return facts
