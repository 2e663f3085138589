"""The console page: a screen or a serial port in a frame of its own."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.rest import actor
from guests import verbs
from guests.models import Guest
from jobs.models import Job
from virt.errors import UserError

from . import services

TOLD_FOR = timedelta(minutes=2)
_with_inline_styles = csp_update({"style-src": [SELF, UNSAFE_INLINE]})  # xterm writes its styles into the page


@require_GET
def console(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The page. `?serial=1` is the serial port, `?view_only=1` looks without touching."""
    guest = _guest(request, pk)
    default = "0" if guest.graphics == "vnc" or not guest.has_serial else "1"
    wants_serial = request.GET.get("serial", default) == "1"
    context = {
        **_state_of(request, guest),
        "kind": "serial" if wants_serial else "vnc",
        "view_only": request.GET.get("view_only") == "1",
        "function_keys": range(1, 13),
        "theme": "dark",  # whatever the reader chose: a guest's screen is looked at on near-black
    }

    def page(request: HttpRequest) -> HttpResponseBase:
        return render(request, "consoles/console.html", context)

    return _with_inline_styles(page)(request) if wants_serial else page(request)


@require_GET
def guest_state(request: HttpRequest, pk: int) -> HttpResponse:
    """The fragments of the page that follow the guest's state."""
    return render(request, "consoles/_fragments.html", _state_of(request, _guest(request, pk)))


@require_POST
def ticket(request: HttpRequest, pk: int) -> JsonResponse:
    """A ticket for the page's next connection, or the sentence that says why there is none."""
    guest = _guest(request, pk)
    try:
        entrance = services.issue_ticket(
            guest,
            by=actor(request),
            session_key=request.session.session_key,
            kind="serial" if request.POST.get("kind") == "serial" else "vnc",
            view_only=request.POST.get("view_only") == "1",
        )
    except UserError as error:
        problem = {"code": error.code, "message": str(error), "details": error.details, "field": error.field}
        return JsonResponse(problem, status=error.status)
    return JsonResponse(asdict(entrance), status=201)


def _state_of(request: HttpRequest, guest: Guest) -> dict[str, Any]:
    may_operate = Guest.objects.permitted(request.user, "operate").filter(pk=guest.pk).exists()
    offered = verbs.offered(guest) if may_operate else []
    return {
        "guest": guest,
        "verbs": offered,
        "start": next((verb for verb in offered if verb.name == "start"), None),
        "job": _job_to_tell_of(request, guest),
    }


def _job_to_tell_of(request: HttpRequest, guest: Guest) -> Job | None:
    """The guest's latest job while it is under way, and for a while after it failed."""
    about = Job.objects.permitted(request.user, "view").filter(objects_of__kind="guest", objects_of__object_id=guest.pk)
    job: Job | None = about.select_related("created_by").order_by("-pk").first()
    if job is None or job.is_active:
        return job
    failed_lately = job.status == Job.Status.FAILED and job.finished_at and timezone.now() - job.finished_at < TOLD_FOR
    return job if failed_lately else None


def _guest(request: HttpRequest, pk: int) -> Guest:
    guest: Guest = get_object_or_404(Guest.objects.permitted(request.user, "console").select_related("host"), pk=pk)
    return guest
