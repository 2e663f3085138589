"""Pages of what guests use: the biggest consumers, and sizes that do not fit."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.rest import actor
from hosts.models import Host

from . import lists, sizing
from .models import Usage

PER_PAGE = 25
UNITS = {"cpu": "busy_vcpus", "memory": "held_bytes", "disk": "disk_bytes_per_s", "network": "net_bytes_per_s"}


@require_GET
def top(request: HttpRequest) -> HttpResponse:
    """Who uses most: `?by=cpu&period=now&host=`."""
    user = actor(request)
    by, period = request.GET.get("by", ""), request.GET.get("period", "")
    by, period = by if by in lists.RESOURCES else "cpu", period if period in lists.PERIODS else "now"
    host = request.GET.get("host", "")
    host_id = int(host) if host.isdecimal() and len(host) < 12 else None
    page = Paginator(lists.consumers(user, by=by, period=period, host_id=host_id), PER_PAGE).get_page(
        request.GET.get("page")
    )
    rows = [lists.consumer(row) for row in page.object_list]
    context = {
        "tab": "top",
        "page": page,
        "rows": rows,
        "most": max((getattr(row, UNITS[by]) or 0 for row in rows), default=0),
        "by": by,
        "period": period,
        "host_id": host_id,
        "periods": lists.PERIODS.items(),
        "resources": lists.RESOURCES.items(),
        "hosts": Host.objects.permitted(user, "view").only("name"),
        "measured": None if period == "now" else Usage.objects.filter(period=period).order_by("-measured_at").first(),
    }
    return _render(request, "guests/usage/_top.html", context)


@require_GET
def sizes(request: HttpRequest) -> HttpResponse:
    """Guests whose size does not fit what they did in two weeks, with what would, and why."""
    page = Paginator(lists.misfits(actor(request)), PER_PAGE).get_page(request.GET.get("page"))
    lines = [(usage, sizing.hints(usage)) for usage in page.object_list]
    return _render(request, "guests/usage/_sizes.html", {"tab": "sizes", "page": page, "lines": lines})


def _render(request: HttpRequest, fragment: str, context: dict[str, object]) -> HttpResponse:
    template = fragment if request.headers.get("HX-Request") else "guests/usage/page.html"
    return render(request, template, {**context, "fragment": fragment})
