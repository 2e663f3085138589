"""What the frame of every page shows: counts in the navigation, theme, version. From rows only."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, cast

from django.db.models import Count, QuerySet, Value
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
        counted = {
            "guests": Guest.objects.permitted(self._user, "view").filter(missing_since=None),
            "hosts": Host.objects.permitted(self._user, "view").present(),
            "isos": Iso.objects.permitted(self._user, "view").filter(volume__missing_since=None),
            "pools": Pool.objects.permitted(self._user, "view").filter(missing_since=None),
            "volumes": Volume.objects.permitted(self._user, "view").filter(missing_since=None),
            "bridges": Bridge.objects.permitted(self._user, "view").filter(missing_since=None),
            "networks": Network.objects.permitted(self._user, "view").filter(missing_since=None),
            "jobs_active": Job.objects.permitted(self._user, "view").active(),
        }
        first, *others = (_tally(name, rows) for name, rows in counted.items())
        return dict.fromkeys(counted, 0) | dict(first.union(*others, all=True))


def _tally(name: str, rows: QuerySet[Any]) -> QuerySet[Any, tuple[str, int]]:
    """(name, number) of the rows; nothing where there are none."""
    counted = rows.order_by().values(counted=Value(name)).annotate(number=Count("pk"))
    return cast(QuerySet[Any, tuple[str, int]], counted.values_list("counted", "number"))
