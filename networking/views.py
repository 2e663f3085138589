"""Pages of virtual networks and host bridges."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.rest import actor
from hosts.models import Host
from jobs.models import Job

from . import services
from .models import Bridge, Network

PER_PAGE = 25
SORTS = {"name": "name", "host": "host__name", "state": "is_active", "guests": "guest_count"}


@require_GET
def network_list(request: HttpRequest) -> HttpResponse:
    networks = Network.objects.permitted(actor(request), "view").listed().select_related("host")
    context = _listed(request, networks.defer("xml"))
    return _render(request, "networking/_networks.html", "networking/networks.html", context)


@require_GET
def bridge_list(request: HttpRequest) -> HttpResponse:
    bridges = Bridge.objects.permitted(actor(request), "view").listed().select_related("host")
    context = _listed(request, bridges)
    return _render(request, "networking/_bridges.html", "networking/bridges.html", context)


@require_GET
def network_detail(request: HttpRequest, pk: int) -> HttpResponse:
    user, network = actor(request), _network(request, pk)
    cards = network.nics.filter(guest__in=network.host.guests.permitted(user, "view").listed()).select_related("guest")
    jobs = Job.objects.permitted(user, "view").filter(objects_of__kind="network", objects_of__object_id=pk)
    reach = Network.objects.filter(pk=pk)
    context = {
        "network": network,
        "page": Paginator(cards.order_by("guest__name", "position"), PER_PAGE).get_page(request.GET.get("page")),
        "jobs": jobs.select_related("created_by")[:5],
        "can_operate": reach.permitted(user, "operate").exists(),
        "can_configure": reach.permitted(user, "configure").exists(),
        "one_host": Host.objects.count() < 2,
    }
    return _render(request, "networking/_network.html", "networking/network.html", context)


@require_POST
def network_start(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(services.start_network(_network(request, pk, "operate"), by=actor(request)))


@require_http_methods(["GET", "POST"])
def network_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first, naming who would be cut off; whoever confirms has seen it, unless more came since."""
    network = _network(request, pk, "operate")
    guests = services.running_guests_on(network)
    if request.method == "POST":
        seen = request.POST.getlist("seen")
        return redirect(services.stop_network(network, by=actor(request), force=set(guests) <= set(seen)))
    effects = []
    if guests:
        effects.append(
            ngettext(
                "%(count)d running guest loses its connection: %(names)s.",
                "%(count)d running guests lose their connection: %(names)s.",
                len(guests),
            )
            % {"count": len(guests), "names": ", ".join(guests)}
        )
        effects.append(_("Starting the network again does not plug them in: they have to be restarted."))
    else:
        effects.append(_("No running guest uses it."))
    if not network.persistent:
        effects.append(_("The network is transient: once it is stopped it is gone."))
    context = {
        "network": network,
        "guests": guests,
        "confirm_title": _("Stop network %(name)s") % {"name": network.name},
        "confirm_button": _("Stop network %(name)s") % {"name": network.name},
        "confirm_stay": True,
        "cancel_url": network.get_absolute_url(),
        "effects": effects,
        "commands": [
            ("virsh", f"virsh net-destroy {network.name}"),
            ("REST", f"POST /api/v1/networks/{pk}/stop" + ("?force=true" if guests else "")),
        ],
    }
    return render(request, "networking/stop.html", context)


@require_POST
def network_autostart(request: HttpRequest, pk: int) -> HttpResponse:
    network = _network(request, pk, "configure")
    return redirect(services.set_autostart(network, request.POST.get("on") == "1", by=actor(request)))


def _network(request: HttpRequest, pk: int, action: str = "view") -> Network:
    networks = Network.objects.permitted(actor(request), action).with_guest_count().select_related("host")
    network: Network = get_object_or_404(networks, pk=pk)
    return network


def _listed(request: HttpRequest, rows: "QuerySet[Any]") -> dict[str, Any]:
    q, host, sort = (request.GET.get(name, "").strip() for name in ("q", "host", "sort"))
    hosts = list(Host.objects.permitted(actor(request), "view").values_list("pk", "name")[:500])
    if q:
        rows = rows.filter(name__icontains=q)
    if host.isascii() and host.isdigit() and len(host) < 19:
        rows = rows.filter(host=int(host))
    key = SORTS.get(sort.removeprefix("-"), "name")
    rows = rows.order_by(f"-{key}" if sort.startswith("-") else key, "name", "pk")
    page: Page[Any] = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return {"page": page, "q": q, "host": host, "hosts": hosts, "one_host": len(hosts) < 2, "filtered": bool(q or host)}


def _render(request: HttpRequest, fragment: str, page: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, fragment if request.headers.get("HX-Request") else page, context)
