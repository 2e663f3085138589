"""What the tabs of a host have in common."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from accounts.models import User
from accounts.rest import actor

from . import checks
from .hardware.models import HostReport
from .models import Host

PER_PAGE = 25
SHOWN = 8  # objects of a kind in a card of the first tab


def host_or_404(request: HttpRequest, pk: int, action: str = "view") -> Host:
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), action), pk=pk)
    return host


def page_of(request: HttpRequest, rows: "QuerySet[Any]", *, per_page: int = PER_PAGE) -> Page[Any]:
    return Paginator(rows, per_page).get_page(request.GET.get("page"))


def report_of(host: Host) -> HostReport:
    """What was read of the host in detail; an empty report before the first time."""
    return HostReport.objects.filter(host=host).first() or HostReport(host=host)


def render_tab(request: HttpRequest, host: Host, tab: str, context: dict[str, Any]) -> HttpResponse:
    """A tab with what is around it. Whoever may see a host may see all that is on it: a grant on it reaches there."""
    user = actor(request)
    guests = host.guests.permitted(user, "view").listed().defer("xml").order_by("trouble", "name", "pk")
    pools = list(host.pools.filter(missing_since=None))
    networks = list(host.networks.filter(missing_since=None).defer("xml"))
    report = report_of(host)
    active = [network.name for network in networks if network.is_active]
    seen = checks.seen(host, pools=pools, networks=active, report=report)
    found = checks.of(seen)
    context |= guests.aggregate(guest_count=Count("pk"), running_count=Count("pk", filter=Q(state="running")))
    if tab == "overview":
        context |= {"guests": guests[:SHOWN], "pools": pools[:SHOWN], "networks": networks[:SHOWN]}
    elif tab == "guests":
        context["page"] = page_of(request, guests)
    elif tab == "checks":
        context |= {
            "features": checks.features_of(seen, found),
            "checks_text": checks.as_text(host, found),
            "validate_lines": "\n".join(seen.readings.all("validate")),
        }
    context |= {
        "host": host,
        "report": report,
        "tab": tab,
        "pool_count": len(pools),
        "network_count": len(networks),
        "device_count": host.devices.count(),
        "checks": found,
        "counts": checks.counted(found),
        "can_operate": _may(user, host, "operate"),
        "can_configure": _may(user, host, "configure"),
        "can_administer_host": _may(user, host, "administer"),
    }
    return render_part(request, "hosts/_tab.html", "hosts/detail.html", context)


def render_part(request: HttpRequest, fragment: str, page: str, context: dict[str, Any]) -> HttpResponse:
    """The fragment alone where a page that is open asks for it."""
    return render(request, fragment if request.headers.get("HX-Request") else page, context)


def _may(user: User, host: Host, action: str) -> bool:
    return Host.objects.permitted(user, action).filter(pk=host.pk).exists()
