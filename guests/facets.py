"""What the guest list can be narrowed to, with the number of guests behind each choice. Read when a menu is opened."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User

from .models import Disk, Folder, Guest, GuestQuerySet, Nic
from .search import with_word

MOST_CHOICES = 100


class Facet(NamedTuple):
    """A key of the query box with a menu. `read` gives (value, label, number, depth) of what guests there are."""

    key: str
    label: str | Promise
    read: Callable[[GuestQuerySet], Iterable[tuple[str, str, int | None, int]]]


class Choice(NamedTuple):
    """`query` is the query with this choice in it. `number` is None where nobody counted."""

    label: str
    number: int | None
    depth: int
    query: str
    is_set: bool


@dataclass(frozen=True, kw_only=True)
class Choices:
    """A facet's menu. `left_out` is how many choices there are besides those shown."""

    key: str
    label: str
    choices: list[Choice]
    left_out: int


def choices(user: User, facet: Facet, query: str) -> Choices:
    """The menu of a facet for a list with that query; counts are of all guests that `user` may see."""
    guests: GuestQuerySet = Guest.objects.permitted(user, "view").listed().order_by()
    found = list(facet.read(guests))
    shown = found[:MOST_CHOICES]
    made = [_choice(query, facet.key, value, label, number, depth) for value, label, number, depth in shown]
    if facet.key != "more":
        made.insert(0, _choice(query, facet.key, "", _("Any"), None, 0))
    return Choices(key=facet.key, label=str(facet.label), choices=made, left_out=len(found) - len(shown))


def folder_tree(guests: GuestQuerySet) -> list[tuple[Folder, int]]:
    """The folders that `guests` are in and those above them, in order; numbers count what lies below, too."""
    own = dict(guests.order_by().exclude(folder=None).values_list("folder").annotate(Count("pk")))
    folders = {folder.pk: folder for folder in Folder.objects.all()}
    by_key: dict[str, int] = {}
    for pk, number in own.items():
        parts = folders[pk].key.split("/") if pk in folders else []
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            by_key[above] = by_key.get(above, 0) + number
    # by parts, not by text: "a b" sorts between "a" and "a/c"
    shown = sorted((row for row in folders.values() if row.key in by_key), key=lambda row: row.key.split("/"))
    return [(folder, by_key[folder.key]) for folder in shown]


def _choice(query: str, key: str, value: str, label: str, number: int | None, depth: int) -> Choice:
    if key == "more":
        key, _colon, value = value.partition(":")
    changed = with_word(query, key, value)
    is_set = changed == with_word(query, "", "")
    if is_set and key in ("restart", "stale", "emulated", "autostart"):
        changed = with_word(query, key, "")  # a switch: choosing it again takes it away
    return Choice(label, number, depth, changed, is_set)


def _states(guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    counted = dict(guests.values_list("state").annotate(Count("pk")))
    return [(value, str(label), counted[value], 0) for value, label in Guest.State.choices if value in counted]


def _hosts(guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    counted = guests.values_list("host__name").annotate(number=Count("pk")).order_by("host__name")
    return [(name, name, number, 0) for name, number in counted]


def _systems(guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    counted = guests.exclude(os_name="").values_list("os_name").annotate(number=Count("pk"))
    return [(name, name, number, 0) for name, number in counted.order_by("-number", "os_name")]


def _networks(guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    cards = Nic.objects.filter(guest__in=guests).exclude(source="").order_by().values_list("source")
    counted = cards.annotate(number=Count("guest", distinct=True)).order_by("-number", "source")
    return [(name, name, number, 0) for name, number in counted]


def _pools(guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    disks = Disk.objects.filter(guest__in=guests).exclude(volume=None).order_by().values_list("volume__pool__name")
    counted = disks.annotate(number=Count("guest", distinct=True)).order_by("-number", "volume__pool__name")
    return [(name, name, number, 0) for name, number in counted]


def _tags(guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    counted = tags_in_use(guests)
    return [*((name, name, number, 0) for _pk, name, _hue, number in counted), ("none", _("Without a tag"), None, 0)]


def tags_in_use(guests: GuestQuerySet) -> list[tuple[int, str, int, int]]:
    """(pk, name, hue, number of guests) of the tags on `guests`."""
    links = Guest.tags.through.objects.filter(guest__in=guests.order_by()).order_by("tag__key")
    return list(links.values_list("tag", "tag__name", "tag__hue").annotate(number=Count("guest")))


def _folders(guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    tree = [(folder.path, folder.name, number, folder.key.count("/")) for folder, number in folder_tree(guests)]
    return [*tree, ("none", _("In no folder"), None, 0)]


def _more(_guests: GuestQuerySet) -> Iterable[tuple[str, str, int | None, int]]:
    return [
        ("restart:yes", _("Needs restart"), None, 0),
        ("stale:yes", _("Stale: not heard of lately"), None, 0),
        ("emulated:yes", _("Emulated"), None, 0),
        ("autostart:yes", _("Starts with its host"), None, 0),
    ]


FACETS = (
    Facet("state", gettext_lazy("State"), _states),
    Facet("host", gettext_lazy("Host"), _hosts),
    Facet("folder", gettext_lazy("Folder"), _folders),
    Facet("tag", gettext_lazy("Tag"), _tags),
    Facet("os", gettext_lazy("System"), _systems),
    Facet("net", gettext_lazy("Network"), _networks),
    Facet("pool", gettext_lazy("Pool"), _pools),
    Facet("more", gettext_lazy("Others"), _more),
)
MENUS = (  # above the list, each with one facet or more
    (gettext_lazy("State"), ("state",)),
    (gettext_lazy("Host"), ("host",)),
    (gettext_lazy("Folder"), ("folder",)),
    (gettext_lazy("Tag"), ("tag",)),
    (gettext_lazy("More"), ("os", "net", "pool", "more")),
)
