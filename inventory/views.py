"""The first page: what there is, what needs somebody, what goes on."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.permissions import may
from accounts.rest import actor
from guests.models import Guest
from jobs.models import Job

from . import attention
from . import overview as summary

CLOSED_COOKIE = "kvmweb_first_steps"
ONE_YEAR_S = 365 * 24 * 3600
BUSIEST, RECENT_JOBS = 5, 6


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The page; with `part`, which a live fragment asks for, that part alone."""
    user = actor(request)
    parts = {"main": _main, "attention": _attention, "jobs": _jobs}
    part = request.GET.get("part", "")
    if part in parts and request.headers.get("HX-Request"):
        return render(request, f"inventory/_{part}.html", parts[part](request, user))
    context: dict[str, Any] = {"can_create": may(user, "create")}
    for make in parts.values():
        context |= make(request, user)
    return render(request, "inventory/overview.html", context)


@require_POST
def close_first_steps(request: HttpRequest) -> HttpResponse:
    """Do not show the first steps again in this browser."""
    response = redirect("overview")
    response.set_cookie(
        CLOSED_COOKIE, "closed", max_age=ONE_YEAR_S, httponly=True, samesite="Lax", secure=request.is_secure()
    )
    return response


def _main(request: HttpRequest, user: User) -> dict[str, Any]:
    hosts = summary.hosts_of(user)
    on = Guest.objects.permitted(user, "view").filter(state=Guest.State.RUNNING, cpu_percent__gt=0)
    steps = []
    if may(user, "create") and request.COOKIES.get(CLOSED_COOKIE) != "closed":
        steps = summary.first_steps(user, hosts)
    return {
        "hosts": hosts[: summary.MOST_TILES],
        "host_count": len(hosts),
        "totals": summary.totals(user, hosts),
        "busiest": on.select_related("host").defer("xml").order_by("-cpu_percent", "name")[:BUSIEST],
        "steps": steps if not all(step.is_done for step in steps) else [],
        "steps_done": sum(step.is_done for step in steps),
    }


def _attention(request: HttpRequest, user: User) -> dict[str, Any]:
    return {"lines": attention.lines(user, summary.hosts_of(user))}


def _jobs(request: HttpRequest, user: User) -> dict[str, Any]:
    jobs = Job.objects.permitted(user, "view").filter(parent=None).select_related("created_by")
    return {"jobs": jobs[:RECENT_JOBS]}
