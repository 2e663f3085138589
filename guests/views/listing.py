"""The list of guests: the page, the fragment that it fetches anew, one row, the menu of a row."""

from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.permissions import may
from accounts.rest import actor
from guests import facets, verbs
from guests.facets import FACETS, MENUS
from guests.listing import PER_PAGE, asked_at, columns_at, listing
from guests.models import Guest
from guests.rows import rows
from hosts.models import Host


class FacetMenu(NamedTuple):
    """A menu above the list; its choices are fetched from `url` when it is opened."""

    key: str
    label: str
    url: str


@require_GET
def guest_list(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    found = listing(user, request.GET)
    address = request.GET.copy()
    address.pop("page", None)
    facets_url = f"{reverse('guests:facets')}?{address.urlencode()}"
    context: dict[str, Any] = {
        "listing": found,
        "kept": [(name, address[name]) for name in ("view", "saved", "sort", "per") if name in address],
        "facets": [
            FacetMenu(keys[-1], str(label), "&key=".join((facets_url, *keys)))
            for label, keys in MENUS
            if keys != ("host",) or found.many_hosts
        ],
        "facets_url": facets_url,
        "view_new_url": f"{reverse('guests:view_new')}?{address.urlencode()}",
        "columns_url": f"{reverse('guests:columns')}?{address.urlencode()}",
        "sizes": PER_PAGE,
        "can_create": may(user, "create") or Host.objects.permitted(user, "create").exists(),
        "bulk_verbs": [verbs.VERBS[name] for name in verbs.BULK],
    }
    template = "guests/_list.html" if request.headers.get("HX-Request") else "guests/list.html"
    return render(request, template, context)


@require_GET
def guest_row(request: HttpRequest, pk: int) -> HttpResponse:
    """One row anew. An empty answer takes a row away whose guest is gone, or not this user's any more."""
    user = actor(request)
    shown = columns_at(user, request.headers.get("HX-Current-URL", ""))
    found = rows(Guest.objects.permitted(user, "view").filter(pk=pk), user, {column.name for column in shown})
    if not found:
        return HttpResponse()
    return render(request, "guests/_row.html", {"rows": found, "columns": shown})


@require_GET
def guest_facets(request: HttpRequest) -> HttpResponse:
    """What the list can be narrowed to, with counts: one menu (`key`), or a page of all."""
    address = request.GET.copy()
    keys = address.pop("key", [])
    query = asked_at(actor(request), address).query
    address.pop("page", None)
    wanted = [facet for facet in FACETS if not keys or facet.key in keys]
    made = [facets.choices(actor(request), facet, query) for facet in wanted]
    context = {"facets": made, "address": address, "cancel_url": f"{reverse('guests:list')}?{address.urlencode()}"}
    is_menu = request.headers.get("HX-Request") and keys
    return render(request, "guests/_facet.html" if is_menu else "guests/facets.html", context)


@require_GET
def guest_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """What can be done with a guest, as the entries of its ⋯ menu."""
    guest = get_object_or_404(Guest.objects.permitted(actor(request), "view").select_related("host"), pk=pk)
    return render(request, "guests/_menu.html", menu_of(request, guest))


def menu_of(request: HttpRequest, guest: Guest) -> dict[str, Any]:
    """The context of a guest's menu: what this user may do with it in this state."""
    user = actor(request)
    mine = Guest.objects.filter(pk=guest.pk)

    def allowed(action: str) -> bool:
        return bool(mine.permitted(user, action).exists())

    can_operate = allowed("operate")
    return {
        "guest": guest,
        "verbs": verbs.offered(guest) if can_operate else [],
        "can_operate": can_operate,
        "can_open_console": guest.is_on and allowed("console"),
        "can_configure": not guest.is_missing and guest.state != Guest.State.CREATING and allowed("configure"),
        "can_delete": not guest.is_missing and guest.state != Guest.State.CREATING and allowed("delete"),
        "can_forget": guest.is_missing and allowed("administer"),
    }
