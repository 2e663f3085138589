"""Objects of all rooms by name, UUID, MAC, address or tag: one query for each kind, within what the user may see."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Case, IntegerField, Model, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from guests.models import Guest
from guests.search import chips
from guests.search import search as search_guests
from hosts.models import Host
from jobs.models import Job
from networking.models import Bridge, Network
from storage.models import Iso, Pool, Volume

LONGEST, MOST_WORDS = 200, 8
MOST_OF_A_KIND = 50


class Hit(NamedTuple):
    """Something that was found. `state` is the word that gives it its shape, or ""."""

    kind: str
    pk: int
    name: str
    detail: str
    state: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """The hits of one kind, the best first. `url` leads to all of them, where there are more."""

    kind: str
    label: str
    icon: str
    hits: list[Hit]
    has_more: bool
    url: str


class Kind(NamedTuple):
    """A kind of object: what it is called, its rows for a query, how a row is shown, the list that has all."""

    name: str
    label: str | Promise
    icon: str
    rows: Callable[[User, str], QuerySet[Any]]
    show: Callable[[Any], tuple[str, str, str]]  # name, detail, state
    list_view: str
    parameter: str = "q"


def find(user: User, query: str, *, at_most: int = 5, kinds: Iterable[str] = ()) -> list[Group]:
    """What matches all words of `query`, `at_most` of each kind; of all kinds, or of those named.

    Words with a key, such as tag:prod, narrow guests as in their list; no other kind knows them.
    """
    readable = query.replace("\0", " ").encode(errors="ignore").decode()  # the rest no database takes
    text = " ".join(readable.split()[:MOST_WORDS])[:LONGEST]
    if not text:
        return []
    wanted = set(kinds) or {kind.name for kind in KINDS}
    if chips(text):
        wanted &= {"guests"}
    made = []
    for kind in KINDS:
        if kind.name not in wanted:
            continue
        hits = [
            Hit(kind.name, row.pk, *kind.show(row), row.get_absolute_url())
            for row in kind.rows(user, text)[: at_most + 1]
        ]
        if hits:
            group = Group(
                kind=kind.name,
                label=str(kind.label),
                icon=kind.icon,
                hits=hits[:at_most],
                has_more=len(hits) > at_most,
                url=f"{reverse(kind.list_view)}?{urlencode({kind.parameter: text})}",
            )
            made.append(group)
    return made


def _matching(rows: QuerySet[Any], text: str, *fields: str, uuid: str = "", name: str = "name") -> QuerySet[Any]:
    """Rows in which each word is in one of `fields`, or begins the UUID; those whose name begins so come first."""
    for word in text.split():
        known = Q()
        for field in (name, *fields):
            known |= Q(**{f"{field}__icontains": word})
        rows = rows.filter(known | _uuid(uuid, word) if uuid else known)
    return _best_first(rows, text, name)


def _best_first(rows: QuerySet[Any], text: str, name: str) -> QuerySet[Any]:
    rank = Case(
        When(**{f"{name}__iexact": text}, then=Value(0)),
        When(**{f"{name}__istartswith": text}, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return rows.order_by(rank, name, "pk")


def _uuid(field: str, word: str) -> Q:
    digits = word.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{8,32}", digits):
        return Q()
    return Q(**{f"{field}__gte": UUID(digits.ljust(32, "0")), f"{field}__lte": UUID(digits.ljust(32, "f"))})


def _guests(user: User, text: str) -> QuerySet[Any]:
    found = search_guests(Guest.objects.permitted(user, "view"), text)
    guests = found.guests.none() if found.problem else found.guests
    return _best_first(guests.select_related("host").defer("xml", "description", "host__facts"), text, "name")


def _hosts(user: User, text: str) -> QuerySet[Any]:
    return _matching(Host.objects.permitted(user, "view").defer("facts"), text, "uri", uuid="uuid")


def _there(model: type[Model], user: User) -> QuerySet[Any]:
    permitted: QuerySet[Any] = model._default_manager.permitted(user, "view")  # type: ignore[attr-defined]
    return permitted.filter(missing_since=None)


def _pools(user: User, text: str) -> QuerySet[Any]:
    return _matching(_there(Pool, user).select_related("host"), text, "target_path", uuid="uuid")


def _volumes(user: User, text: str) -> QuerySet[Any]:
    rows = _there(Volume, user).filter(iso=None).select_related("pool__host")
    return _matching(rows, text, "path")


def _isos(user: User, text: str) -> QuerySet[Any]:
    rows = Iso.objects.permitted(user, "view").filter(volume__missing_since=None).select_related("volume__pool__host")
    return _matching(rows, text, "os_name", "label", name="volume__name")


def _networks(user: User, text: str) -> QuerySet[Any]:
    rows = _there(Network, user).select_related("host").defer("xml")
    return _matching(rows, text, "cidr", "bridge", uuid="uuid")


def _bridges(user: User, text: str) -> QuerySet[Any]:
    rows = _there(Bridge, user).select_related("host").alias(addresses_text=Cast("addresses", TextField()))
    return _matching(rows, text, "mac", "addresses_text")


def _jobs(user: User, text: str) -> QuerySet[Any]:
    rows = Job.objects.permitted(user, "view").filter(parent=None)
    number = text.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 19:
        return rows.filter(Q(pk=int(number)) | Q(title__icontains=text)).order_by("-pk")
    for word in text.split():
        rows = rows.filter(title__icontains=word)
    return rows.order_by("-created_at", "-pk")


def _show_guest(guest: Guest) -> tuple[str, str, str]:
    addresses = guest.addresses[0]["address"] if guest.addresses else ""
    return guest.name, " · ".join(filter(None, (guest.host.name, addresses, guest.title))), guest.state


def _show_network(row: Network) -> tuple[str, str, str]:
    return row.name, " · ".join(filter(None, (row.host.name, row.cidr))), row.state


KINDS = (
    Kind("guests", _("Guests"), "guest", _guests, _show_guest, "guests:list"),
    Kind("hosts", _("Hosts"), "host", _hosts, lambda row: (row.name, row.uri, row.state), "hosts:list"),
    Kind("pools", _("Pools"), "pool", _pools, lambda row: (row.name, row.host.name, ""), "storage:pools"),
    Kind(
        "volumes",
        _("Volumes"),
        "volume",
        _volumes,
        lambda row: (row.name, f"{row.pool.name} · {row.pool.host.name}", ""),
        "storage:volumes",
    ),
    Kind(
        "isos",
        _("ISO library"),
        "disc",
        _isos,
        lambda row: (row.volume.name, " · ".join(filter(None, (row.os_name, row.volume.pool.host.name))), ""),
        "storage:isos",
    ),
    Kind("networks", _("Virtual networks"), "network", _networks, _show_network, "networking:networks"),
    Kind("bridges", _("Bridges"), "bridge", _bridges, lambda row: (row.name, row.host.name, ""), "networking:bridges"),
    Kind(
        "jobs",
        _("Jobs"),
        "jobs",
        _jobs,
        lambda row: (row.title, f"#{row.pk} · {row.get_status_display()}", ""),
        "jobs:list",
        "search",
    ),
)
