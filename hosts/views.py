"""Pages of hosts: all of them, one of them in tabs, and what can be done with one."""

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.permissions import may
from accounts.rest import actor
from history.graphs import graphs
from history.series import HOST
from jobs.models import Job
from virt.errors import Invalid

from . import services
from .forms import RenameForm
from .models import Host, HostTag
from .tabs import SHOWN, host_or_404, page_of, render_part, render_tab

BRIDGES_SHOWN = 200
MOST_TAGS = 200
REMOVED = "removed"  # among the states to filter by
SORTS = {"name": "name", "state": "state", "guests": "guest_count", "cpu": "cpu_percent", "memory": "memory_used_mib"}


def with_guest_counts(hosts: "QuerySet[Host]") -> "QuerySet[Host]":
    """Each with `guest_count` and `running_count`."""
    there = Q(guests__missing_since=None)
    return hosts.annotate(
        guest_count=Count("guests", filter=there), running_count=Count("guests", filter=Q(guests__state="running"))
    )


@require_GET
def host_list(request: HttpRequest) -> HttpResponse:
    q, state, tag, sort = (request.GET.get(name, "").strip() for name in ("q", "state", "tag", "sort"))
    hosts = Host.objects.permitted(actor(request), "view").filter(removed_at__isnull=state != REMOVED)
    if q:
        hosts = hosts.filter(Q(name__icontains=q) | Q(uri__icontains=q))
    if state in Host.State.values:
        hosts = hosts.filter(state=state)
    if tag:
        hosts = hosts.filter(tags__name=tag)
    key = SORTS.get(sort.removeprefix("-"), "name")
    counted = with_guest_counts(hosts).prefetch_related("tags")
    counted = counted.select_related("report").defer("report__details", "report__readings")
    page = page_of(request, counted.order_by(f"-{key}" if sort.startswith("-") else key, "name"))
    context = {
        "page": page,
        "q": q,
        "state": state,
        "states": [*Host.State.choices, (REMOVED, _("Removed"))],
        "tag": tag,
        "tags": HostTag.objects.values_list("name", flat=True)[:MOST_TAGS],
        "filtered": bool(q or state or tag),
        "can_add": may(actor(request), "administer"),
    }
    return render_part(request, "hosts/_list.html", "hosts/list.html", context)


@require_GET
def host_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """What it is and how it does, with a few of each kind of object on it."""
    host = host_or_404(request, pk)
    jobs = Job.objects.permitted(actor(request), "view")
    jobs = jobs.filter(objects_of__kind="host", objects_of__object_id=pk).select_related("created_by")
    return render_tab(
        request, host, "overview", {"bridges": host.bridges.filter(missing_since=None)[:SHOWN], "jobs": jobs[:5]}
    )


@require_GET
def host_guests(request: HttpRequest, pk: int) -> HttpResponse:
    return render_tab(request, host_or_404(request, pk), "guests", {})


@require_GET
def host_graphs(request: HttpRequest, pk: int) -> HttpResponse:
    host = host_or_404(request, pk)
    address = reverse("api:host_history", args=[host.pk])
    return render_tab(request, host, "graphs", {"graphs": graphs(HOST, host.pk, request.GET.get("range", ""), address)})


@require_GET
def host_storage(request: HttpRequest, pk: int) -> HttpResponse:
    host = host_or_404(request, pk)
    return render_tab(request, host, "storage", {"page": page_of(request, host.pools.order_by("name"))})


@require_GET
def host_networks(request: HttpRequest, pk: int) -> HttpResponse:
    host = host_or_404(request, pk)
    networks = host.networks.listed().defer("xml").order_by("name")
    bridges = host.bridges.listed().order_by("name")
    return render_tab(
        request, host, "networks", {"page": page_of(request, networks), "bridges": bridges[:BRIDGES_SHOWN]}
    )


@require_GET
def host_checks(request: HttpRequest, pk: int) -> HttpResponse:
    return render_tab(request, host_or_404(request, pk), "checks", {})


@require_POST
def host_check(request: HttpRequest, pk: int) -> HttpResponse:
    host = services.check_again(host_or_404(request, pk, "operate"), by=actor(request))
    return redirect("hosts:checks" if request.POST.get("next") == "checks" else "hosts:detail", host.pk)


@require_POST
def host_probe(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(services.probe_kvm(host_or_404(request, pk, "operate"), by=actor(request)))


@require_POST
def host_prepare(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(services.prepare_host(host_or_404(request, pk, "configure"), by=actor(request)))


@require_http_methods(["GET", "POST"])
def host_rename(request: HttpRequest, pk: int) -> HttpResponse:
    host = host_or_404(request, pk, "administer")
    form = RenameForm(request.POST or None, initial={"name": host.name})
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(services.rename_host(host, form.cleaned_data["name"], by=actor(request)))
        except Invalid as error:
            form.add_error("name", str(error))
    return render(request, "hosts/rename.html", {"host": host, "form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def host_disable(request: HttpRequest, pk: int) -> HttpResponse:
    host = host_or_404(request, pk, "administer")
    if request.method == "POST":
        return redirect(services.set_enabled(host, False, by=actor(request)))
    context = {
        "confirm_title": _("Disable %(host)s") % {"host": host.name},
        "confirm_button": _("Disable %(host)s") % {"host": host.name},
        "confirm_harmless": True,
        "cancel_url": host.get_absolute_url(),
        "effects": [
            _("kvmweb disconnects from it and asks nothing of it any more."),
            _("Its guests go on running; here they stay as they were last seen."),
            _("Enabling it again brings everything up to date."),
        ],
    }
    return render(request, "confirm.html", context)


@require_POST
def host_enable(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(services.set_enabled(host_or_404(request, pk, "administer"), True, by=actor(request)))
