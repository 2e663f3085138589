"""The list of guests: the page, the fragment that it fetches anew, one row, the menu of a row."""

from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.rest import actor
from guests import verbs
from guests.listing import PER_PAGE, Listing, listing
from guests.models import Guest
from guests.rows import rows
from guests.search import with_word
from hosts.models import Host


class Filter(NamedTuple):
    """A menu that writes a word into the query box. A choice: its value, its label, the query with it, is it there."""

    key: str
    label: str
    choices: list[tuple[str, str, str, bool]]


@require_GET
def guest_list(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    found = listing(user, request.GET)
    context: dict[str, Any] = {
        "listing": found,
        "filters": _filters(found),
        "sizes": PER_PAGE,
        "many_hosts": len(found.hosts) > 1,
        "can_create": Host.objects.permitted(user, "create").exists(),
        "bulk_verbs": [verbs.VERBS[name] for name in verbs.BULK],
    }
    template = "guests/_list.html" if request.headers.get("HX-Request") else "guests/list.html"
    return render(request, template, context)


@require_GET
def guest_row(request: HttpRequest, pk: int) -> HttpResponse:
    """One row anew. An empty answer takes a row away whose guest is gone, or not this user's any more."""
    found = rows(Guest.objects.permitted(actor(request), "view").filter(pk=pk), actor(request))
    if not found:
        return HttpResponse()
    many_hosts = Host.objects.permitted(actor(request), "view").count() > 1
    return render(
        request, "guests/_row.html", {"row": found[0], "many_hosts": many_hosts, "icons": static("icons.svg")}
    )


@require_GET
def guest_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """What can be done with a guest, as the entries of its ⋯ menu."""
    guest = get_object_or_404(Guest.objects.permitted(actor(request), "view").select_related("host"), pk=pk)
    return render(request, "guests/_menu.html", menu_of(request, guest))


def menu_of(request: HttpRequest, guest: Guest) -> dict[str, Any]:
    """The context of a guest's menu: what this user may do with it in this state."""
    user = actor(request)
    mine = Guest.objects.filter(pk=guest.pk)

    def may(action: str) -> bool:
        return bool(mine.permitted(user, action).exists())

    can_operate = may("operate")
    return {
        "guest": guest,
        "verbs": verbs.offered(guest) if can_operate else [],
        "can_operate": can_operate,
        "can_open_console": guest.is_on and may("console"),
        "can_configure": not guest.is_missing and guest.state != Guest.State.CREATING and may("configure"),
        "can_delete": not guest.is_missing and guest.state != Guest.State.CREATING and may("delete"),
        "can_forget": guest.is_missing and may("administer"),
    }


def _filters(found: Listing) -> list[Filter]:
    states = [(state, label) for state, label in Guest.State.choices if found.tallies.get(f"state_{state}")]
    hosts = [(host.name, host.name) for host in found.hosts] if len(found.hosts) > 1 else []
    return [
        Filter(key, label, [_choice(found.query, key, value, str(text)) for value, text in [("", _("Any")), *choices]])
        for key, label, choices in (("state", _("State"), states), ("host", _("Host"), hosts))
        if choices
    ]


def _choice(query: str, key: str, value: str, label: str) -> tuple[str, str, str, bool]:
    changed = with_word(query, key, value)
    return value, label, changed, changed == query
