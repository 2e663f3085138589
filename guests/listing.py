"""One page of the guest list: filtered, sorted and paged by the database, with a fixed number of queries."""

from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from django.core.paginator import Page, Paginator
from django.db.models import Count, F
from django.db.models.expressions import CombinedExpression, OrderBy
from django.http import QueryDict
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host

from .columns import USUAL, Column, shown
from .models import TROUBLE_DELETED, TROUBLE_NONE, Guest, GuestQuerySet, SavedView
from .rows import rows
from .saved_views import MOST_VIEWS, settings_of, visible
from .search import Chip, chips, search

PER_PAGE = (25, 50, 100)
SORTS: dict[str, tuple[str, ...]] = {
    "state": ("trouble", "name", "pk"),
    "name": ("name", "pk"),
    "host": ("host__name", "name", "pk"),
    "folder": ("folder__key", "name", "pk"),
    "vcpus": ("vcpus", "name", "pk"),
    "cpu": ("cpu_percent", "name", "pk"),
    "memory": ("memory_mib", "name", "pk"),
    "os": ("os_name", "name", "pk"),
    "since": ("state_since", "name", "pk"),
    "autostart": ("autostart", "name", "pk"),
    "title": ("title", "name", "pk"),
    "disk_io": ("disk_io", "name", "pk"),
    "net_io": ("net_io", "name", "pk"),
}


def _sum(one: str, other: str) -> CombinedExpression:
    return CombinedExpression(F(one), "+", F(other))


NULLABLE: dict[str, F | CombinedExpression] = {  # what is unknown comes last, in both directions
    "cpu_percent": F("cpu_percent"),
    "folder__key": F("folder__key"),
    "disk_io": _sum("disk_read_bytes_per_s", "disk_write_bytes_per_s"),
    "net_io": _sum("net_rx_bytes_per_s", "net_tx_bytes_per_s"),
}
VIEWS = ("all", "running", "attention", "restart")  # those that everybody has
TABS = 12  # saved views that stand beside them; the page of views has all


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an address asks of the list, with what the saved view and the user's own settings add to it."""

    query: str
    view: str
    saved: SavedView | None
    sort: str
    columns: list[Column]
    density: str
    problem: str

    @property
    def is_usual(self) -> bool:
        """Whether nobody chose the columns, so that a narrow page may leave some out."""
        return {column.name for column in self.columns} - {"host"} == {"state", "name", *USUAL} - {"host"}


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What the page shows. `tallies` count the guests of each view, whatever is searched for."""

    asked: Asked
    page: Page  # type: ignore[type-arg] # of Row; Django's class takes no parameter at run time
    problem: str
    tallies: dict[str, int]
    saved_views: list[SavedView]
    many_hosts: bool

    @property
    def tabs(self) -> list[SavedView]:
        """The saved views that stand beside those that everybody has; the one shown is always among them."""
        first, shown = self.saved_views[:TABS], self.asked.saved
        return first if shown is None or shown in first else [*first[:-1], shown]

    @property
    def chips(self) -> list[Chip]:
        return chips(self.asked.query)

    @property
    def is_narrowed(self) -> bool:
        """Whether the page leaves out guests that the user may see."""
        return bool(self.asked.query or self.asked.view != "all")


def listing(user: User, parameters: QueryDict) -> Listing:
    """The page that `?q=&view=&saved=&sort=&per=&page=` ask for, of the guests that `user` may see."""
    saved_views = list(visible(user).select_related(None)[: MOST_VIEWS * 2])
    many_hosts = len(Host.objects.permitted(user, "view").order_by().values_list("pk")[:2]) > 1
    asked = asked_for(user, parameters, saved_views, many_hosts=many_hosts)
    permitted: GuestQuerySet = Guest.objects.permitted(user, "view")
    tallies = _tallies(permitted)
    found = search(permitted, asked.query)
    guests = ordered(_in_view(found.guests, asked.view), asked.sort)
    count = None if asked.query else tallies.get(asked.view)
    page = _Paginator(guests, _per_page(parameters), count=count).get_page(parameters.get("page"))
    page.object_list = rows(cast(GuestQuerySet, page.object_list), user, {column.name for column in asked.columns})
    return Listing(
        asked=asked,
        page=page,
        problem=found.problem or asked.problem,
        tallies=tallies,
        saved_views=saved_views,
        many_hosts=many_hosts,
    )


def asked_for(user: User, parameters: QueryDict, saved_views: list[SavedView], *, many_hosts: bool) -> Asked:
    """What the parameters of an address mean for `user`. Without any, the list opens with the user's own view."""
    own = settings_of(user)
    number, problem = parameters.get("saved", ""), ""
    saved = next((view for view in saved_views if str(view.pk) == number), None)
    if number and not saved:
        problem = _("The view of this address is not there any more, or is not shared with you.")
    if not set(parameters) - {"page", "per"}:
        saved = next((view for view in saved_views if view.pk == own.default_view_id), None)
    view = parameters.get("view", "all")
    return Asked(
        query=parameters.get("q", saved.query if saved else "").strip()[:500],
        view=view if view in VIEWS else "all",
        saved=saved,
        sort=parameters.get("sort", saved.sort if saved else ""),
        columns=shown(saved.columns if saved and saved.columns else own.columns, many_hosts=many_hosts),
        density=own.density,
        problem=problem,
    )


def asked_at(user: User, parameters: QueryDict) -> Asked:
    """The same where nothing else of the list is wanted."""
    many_hosts = len(Host.objects.permitted(user, "view").order_by().values_list("pk")[:2]) > 1
    return asked_for(user, parameters, list(visible(user)), many_hosts=many_hosts)


def columns_at(user: User, address: str) -> list[Column]:
    """The columns of the list that a browser shows at `address`."""
    return asked_at(user, QueryDict(urlsplit(address).query)).columns


def matching(user: User, parameters: QueryDict, action: str) -> GuestQuerySet:
    """All guests of a list, not just those of its page, on which `user` may do `action`."""
    asked = asked_at(user, parameters)
    return _in_view(search(Guest.objects.permitted(user, action), asked.query).guests, asked.view)


def ordered(guests: GuestQuerySet, sort: str) -> GuestQuerySet:
    """Sorted by one of SORTS, downwards with a dash before it; what is unknown comes last."""
    column, *others = SORTS.get(sort.removeprefix("-"), SORTS["state"])
    downwards = sort.startswith("-")
    if column in NULLABLE:
        return guests.order_by(OrderBy(NULLABLE[column], descending=downwards, nulls_last=True), *others)
    return guests.order_by(f"-{column}" if downwards else column, *others)


def _tallies(guests: GuestQuerySet) -> dict[str, int]:
    """One query, answered from the index guest_tallies alone, so that 10,000 guests cost a millisecond."""
    made = dict.fromkeys(VIEWS, 0)
    groups = guests.order_by().values_list("state", "trouble", "needs_restart").annotate(Count("pk"))
    for state, trouble, needs_restart, number in groups:
        if trouble < TROUBLE_DELETED:
            made["all"] += number
        made["running"] += number if state == Guest.State.RUNNING else 0
        made["attention"] += number if trouble < TROUBLE_NONE else 0
        made["restart"] += number if needs_restart else 0
    return made


def _in_view(guests: GuestQuerySet, view: str) -> GuestQuerySet:
    if view == "running":
        return guests.filter(state=Guest.State.RUNNING)
    if view == "attention":
        return guests.filter(trouble__lt=TROUBLE_NONE)
    if view == "restart":
        return guests.filter(needs_restart=True)
    return guests


def _per_page(parameters: QueryDict) -> int:
    asked = parameters.get("per", "")
    return int(asked) if asked in map(str, PER_PAGE) else PER_PAGE[0]


class _Paginator(Paginator):  # type: ignore[type-arg]
    """One that need not count what somebody has counted already."""

    def __init__(self, guests: GuestQuerySet, per_page: int, *, count: int | None) -> None:
        super().__init__(guests, per_page)
        if count is not None:
            self.count = count
