"""Tabs of a host: what the machine is, and its devices."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from hosts.tabs import host_or_404, page_of, render_tab, report_of

from . import listing, shown

DEVICES_PER_PAGE = 50


@require_GET
def host_facts(request: HttpRequest, pk: int) -> HttpResponse:
    host = host_or_404(request, pk)
    return render_tab(request, host, "facts", {"machine": shown.machine(host, report_of(host))})


@require_GET
def host_devices(request: HttpRequest, pk: int) -> HttpResponse:
    """Those of one kind, or all; a search in words."""
    host = host_or_404(request, pk)
    kind, q = request.GET.get("kind", ""), request.GET.get("q", "").strip()
    devices = listing.devices_of(host, kind=kind, search=q)
    page = page_of(request, devices, per_page=DEVICES_PER_PAGE)
    context = {
        "page": page,
        "rows": listing.shown_rows(host, page.object_list),
        "q": q,
        "kind": kind,
        "kinds": listing.kinds_of(host),
        "report_at": report_of(host).devices_at,
    }
    return render_tab(request, host, "devices", context)
