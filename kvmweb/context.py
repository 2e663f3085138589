"""What the frame of every page shows: counts in the navigation, theme, version. From rows only."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any

from django.db import connection
from django.db.models import Count, Value
from django.http import HttpRequest

from accounts.models import User
from accounts.permissions import may
from guests.models import Guest
from hosts.models import Host
from jobs.models import Job
from networking.models import Bridge, Network
from storage.models import Iso, Pool, Volume

from . import __version__


def frame(request: HttpRequest) -> dict[str, Any]:
    """`nav_counts`, `theme`, `version`, `can_administer`; counts are queried only where the template prints them."""
    user = getattr(request, "user", None)
    theme = user.theme if isinstance(user, User) else User.Theme.AUTO
    return {
        "theme": theme,
        "version": __version__,
        "nav_counts": _Counts(user) if isinstance(user, User) else {},
        "can_administer": bool(user and may(user, "administer")),
    }


class _Counts(Mapping[str, int]):
    """How many of each kind `user` may see: one query for all of them, made when a template asks for the first."""

    def __init__(self, user: User) -> None:
        self._user = user

    def __getitem__(self, name: str) -> int:
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __str__(self) -> str:
        return str(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        if may(self._user, "view"):
            with connection.cursor() as cursor:
                cursor.execute(*_question_about_everything())
                numbers = dict(cursor.fetchall())
        else:
            numbers = dict(_question(lambda rows: rows.permitted(self._user, "view")))
        return dict.fromkeys(COUNTED, 0) | numbers


COUNTED: dict[str, Callable[[], Any]] = {
    "guests": lambda: Guest.objects.filter(missing_since=None),
    "hosts": lambda: Host.objects.present(),
    "isos": lambda: Iso.objects.filter(volume__missing_since=None),
    "pools": lambda: Pool.objects.filter(missing_since=None),
    "volumes": lambda: Volume.objects.filter(missing_since=None),
    "bridges": lambda: Bridge.objects.filter(missing_since=None),
    "networks": lambda: Network.objects.filter(missing_since=None),
    "jobs_active": lambda: Job.objects.active(),
}


def _question(narrowed: Callable[[Any], Any]) -> Any:
    """One query that answers with (name, number) of each kind; with nothing for a kind that has no rows."""
    tallies = [
        narrowed(rows()).order_by().values(counted=Value(name)).annotate(number=Count("pk"))
        for name, rows in COUNTED.items()
    ]
    first, *others = (tally.values_list("counted", "number") for tally in tallies)
    return first.union(*others, all=True)


@cache
def _question_about_everything() -> tuple[str, tuple[Any, ...]]:
    """Its SQL, the same for everybody who sees everything: putting it together takes longer than its answer."""
    sql, parameters = _question(lambda rows: rows).query.sql_with_params()
    return sql, tuple(parameters)
