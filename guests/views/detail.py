"""A guest's own pages: overview, hardware, jobs, XML."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.rest import actor
from guests.agents.advice import advice
from guests.agents.models import AgentReport
from guests.models import Disk, Guest, Nic
from guests.rows import Row, whole_row
from jobs.models import Job
from virt.domain_summary import parse_domain
from virt.errors import Invalid
from virt.types import DomainSummary

from .listing import menu_of

RECENT_JOBS, MOST_JOBS = 5, 100


@require_GET
def guest_detail(request: HttpRequest, pk: int) -> HttpResponse:
    row = row_or_404(request, pk)
    context = frame(request, row, "overview")
    context["disks"], context["nics"] = _devices(row.guest)
    context["recent_jobs"] = _jobs_of(row.guest, actor(request))[:RECENT_JOBS]
    context["agent"] = AgentReport.objects.filter(guest=row.guest).first()
    context["agent_advice"] = advice(row.guest, context["agent"])
    return render(request, "guests/detail.html", context)


@require_GET
def guest_hardware(request: HttpRequest, pk: int) -> HttpResponse:
    row = row_or_404(request, pk)
    context = frame(request, row, "hardware")
    context["disks"], context["nics"] = _devices(row.guest)
    context["summary"] = _summary(row.guest)
    return render(request, "guests/hardware.html", context)


@require_GET
def guest_jobs(request: HttpRequest, pk: int) -> HttpResponse:
    row = row_or_404(request, pk)
    context = frame(request, row, "jobs")
    context["jobs"] = _jobs_of(row.guest, actor(request))[:MOST_JOBS]
    return render(request, "guests/jobs.html", context)


@require_GET
def guest_xml(request: HttpRequest, pk: int) -> HttpResponse:
    row = row_or_404(request, pk)
    context = frame(request, row, "xml")
    context["xml"] = row.guest.xml
    return render(request, "guests/xml.html", context)


def row_or_404(request: HttpRequest, pk: int) -> Row:
    guests = Guest.objects.permitted(actor(request), "view").select_related("host").defer("digest")
    return whole_row(get_object_or_404(guests, pk=pk), actor(request))


def frame(request: HttpRequest, row: Row, tab: str) -> dict[str, Any]:
    """What every page of a guest shows around its content."""
    guest = row.guest
    menu = menu_of(request, guest)
    beside = [verb for verb in menu["verbs"] if not verb.loses][:2]
    return {
        **menu,
        "row": row,
        "tab": tab,
        "title_verbs": beside,
        "title_actions": len(beside),
        "device_count": Disk.objects.filter(guest=guest).count() + Nic.objects.filter(guest=guest).count(),
    }


def _devices(guest: Guest) -> tuple[Any, Any]:
    disks = Disk.objects.filter(guest=guest).select_related("volume__pool")
    return disks, Nic.objects.filter(guest=guest).select_related("network", "bridge")


def _jobs_of(guest: Guest, user: User) -> Any:
    jobs = Job.objects.permitted(user, "view").filter(objects_of__kind="guest", objects_of__object_id=guest.pk)
    return jobs.select_related("created_by").distinct()


def _summary(guest: Guest) -> DomainSummary | None:
    """What only the definition says; a guest that is just being created has none."""
    try:
        return parse_domain(guest.xml)
    except Invalid:
        return None
