"""REST of guests. Their consoles are in consoles.api."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from ninja.pagination import paginate

from accounts.rest import ERRORS, Problem, actor
from history.rest import HistoryOut, Range, SeriesNames, history
from history.series import GUEST
from jobs.models import Job
from jobs.rest import JobOut, accepted
from storage.models import Iso
from storage.trees.pages import origin
from virt.errors import Invalid

from . import services
from .agents.models import AgentReport
from .agents.rest import AgentOut
from .disks.api import router as disks_router
from .listing import SORTS, ordered
from .lists_api import chosen
from .lists_rest import GuestFilters
from .models import Guest, GuestQuerySet
from .rest import GuestDetailOut, GuestIn, GuestOut, GuestPatch, MediaIn, PlanOut, PowerIn, XmlOut
from .search import search as find
from .verbs import VERBS

router = Router(tags=["guests"])
router.add_router("", disks_router)

Accepted = Status[Job]
_JOB: Any = {202: JobOut, ERRORS: Problem}
NOT_SENT = ("xml", "description", "digest", "changes_at_restart", "host__facts")


@router.get("", response={200: list[GuestOut], ERRORS: Problem})
@paginate
def list_guests(
    request: HttpRequest,
    wanted: Query[GuestFilters],
    sort: Annotated[str, Query(description=f"One of: {', '.join(SORTS)}. A minus before it sorts downwards.")] = "name",
    ordering: Annotated[str, Query(description="The same as sort.")] = "",
) -> GuestQuerySet:
    """Guests of all hosts. Those that vanished are among them (state missing), those that were deleted are not."""
    order = ordering or sort
    if order.removeprefix("-") not in SORTS:
        raise Invalid(_("Guests can be sorted by: %(names)s.") % {"names": ", ".join(SORTS)}, field="sort")
    permitted: GuestQuerySet = Guest.objects.permitted(actor(request), "view")
    found = find(permitted, wanted.query())
    if found.problem:
        raise Invalid(found.problem, field="search")
    guests = found.guests.filter(host=wanted.host) if wanted.host else found.guests
    return ordered(guests, order).select_related("host", "folder").prefetch_related("tags").defer(*NOT_SENT)


@router.post("", response=_JOB)
def create_guest(request: HttpRequest, body: GuestIn, response: HttpResponse) -> Accepted:
    """Make a guest. The guest is among the job's objects at once, and appears in the list in the state creating."""
    plan = services.plan_guest(body.wanted(origin(request)), by=actor(request))
    secret, keep = body.passphrase.get_secret_value(), body.keep_passphrase
    job = services.create_guest(plan, by=actor(request), start=body.start, passphrase=secret, keep_passphrase=keep)
    return accepted(response, job)


@router.post("/plan", response={200: PlanOut, ERRORS: Problem})
def plan_guest(request: HttpRequest, body: GuestIn) -> PlanOut:
    """What POST /guests would make with this body: checked, with its XML, and nothing is made."""
    return PlanOut.of(services.plan_guest(body.wanted(origin(request)), by=actor(request)))


@router.post("/power", response=_JOB)
def power_guests(request: HttpRequest, body: PowerIn, response: HttpResponse) -> Accepted:
    """Switch many guests: one job, with a child for each. Guests that are not there or not yours are left out."""
    if body.verb not in VERBS:
        raise Invalid(_("The verb must be one of: %(names)s.") % {"names": ", ".join(VERBS)}, field="verb")
    return accepted(response, services.power_many(chosen(request, body, "operate"), body.verb, by=actor(request)))


@router.get("/{int:guest_id}", response={200: GuestDetailOut, ERRORS: Problem})
def get_guest(request: HttpRequest, guest_id: int) -> Guest:
    """One guest with its disks and network cards."""
    return _guest(request, guest_id, "view")


@router.get("/{int:guest_id}/xml", response={200: XmlOut, ERRORS: Problem})
def get_xml(request: HttpRequest, guest_id: int) -> dict[str, str]:
    """The definition that the guest's next start uses, as last seen."""
    return {"xml": _guest(request, guest_id, "view").xml}


@router.get("/{int:guest_id}/history", response={200: HistoryOut, ERRORS: Problem}, url_name="guest_history")
def get_history(
    request: HttpRequest,
    guest_id: int,
    range: Range = "hour",  # noqa: A002 - the word of the address
    series: SeriesNames = "",
) -> HistoryOut:
    """What the guest used: processor, memory, disks and network, for an hour or up to a year."""
    return history(GUEST, _guest(request, guest_id, "view").pk, range, series)


@router.get("/{int:guest_id}/agent", response={200: AgentOut, ERRORS: Problem})
def get_agent(request: HttpRequest, guest_id: int) -> AgentReport:
    """What the agent inside a guest said last: system, users, filesystems with their fill level, interfaces."""
    guest = _guest(request, guest_id, "view")
    not_asked_yet = AgentReport(guest=guest, state="", state_since=None)  # type: ignore[misc]
    return AgentReport.objects.filter(guest=guest).first() or not_asked_yet


@router.patch("/{int:guest_id}", response=_JOB)
def change_guest(request: HttpRequest, guest_id: int, body: GuestPatch, response: HttpResponse) -> Accepted:
    """Change what is given. vCPUs and memory count at once where the running guest can, else from its next start on."""
    guest = _guest(request, guest_id, "configure")
    return accepted(response, services.change_guest(guest, body.dict(exclude_none=True), by=actor(request)))


@router.delete("/{int:guest_id}", response=_JOB)
def delete_guest(
    request: HttpRequest,
    guest_id: int,
    response: HttpResponse,
    disks: Annotated[str, Query(description="Disks to delete with it, by their targets: vda,vdb")] = "",
    force: Annotated[bool, Query(description="Pull the plug of a running guest first.")] = False,
) -> Accepted:
    """Delete a guest, and of its disks those that are named. 409 wrong_state while it runs, unless forced."""
    guest = _guest(request, guest_id, "delete")
    chosen = [target.strip() for target in disks.split(",") if target.strip()]
    return accepted(response, services.delete_guest(guest, by=actor(request), disks=chosen, force=force))


@router.post("/{int:guest_id}/forget", response={204: None, ERRORS: Problem})
def forget_guest(request: HttpRequest, guest_id: int) -> Status[None]:
    """Remove what is kept of a guest that is missing. For administrators."""
    services.forget_guest(_guest(request, guest_id, "administer"), by=actor(request))
    return Status(204, None)


@router.post("/{int:guest_id}/media", response=_JOB)
def change_media(request: HttpRequest, guest_id: int, body: MediaIn, response: HttpResponse) -> Accepted:
    """Put an ISO into a CD-ROM drive, or take out what is in it."""
    guest = _guest(request, guest_id, "configure")
    iso = None
    if body.iso is not None:
        isos = Iso.objects.permitted(actor(request), "view").select_related("volume__pool")
        iso = isos.filter(pk=body.iso).first()
        if iso is None:
            raise Invalid(_("There is no such ISO."), field="iso")
    return accepted(response, services.change_media(guest, body.target, iso, by=actor(request)))


@router.post("/{int:guest_id}/start", response=_JOB)
def start(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Power a guest on. Running already is not an error: the job says so and succeeds, as with the verbs below."""
    return _power(request, guest_id, response, "start")


@router.post("/{int:guest_id}/shutdown", response=_JOB)
def shutdown(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Ask the system in the guest to power off. The job is done when it was asked; the guest's state tells the rest."""
    return _power(request, guest_id, response, "shutdown")


@router.post("/{int:guest_id}/reboot", response=_JOB)
def reboot(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Ask the system in the guest to restart."""
    return _power(request, guest_id, response, "reboot")


@router.post("/{int:guest_id}/reset", response=_JOB)
def reset(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Press the reset button: the guest is not asked."""
    return _power(request, guest_id, response, "reset")


@router.post("/{int:guest_id}/destroy", response=_JOB)
def destroy(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Pull the plug. The guest and its disks stay."""
    return _power(request, guest_id, response, "destroy")


@router.post("/{int:guest_id}/suspend", response=_JOB)
def suspend(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Stop the guest's processors, keeping its memory."""
    return _power(request, guest_id, response, "suspend")


@router.post("/{int:guest_id}/resume", response=_JOB)
def resume(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Let a paused guest go on."""
    return _power(request, guest_id, response, "resume")


@router.post("/{int:guest_id}/save", response=_JOB)
def save(request: HttpRequest, guest_id: int, response: HttpResponse) -> Accepted:
    """Write the guest's memory to its host's disk and stop it. The next start goes on from there."""
    return _power(request, guest_id, response, "save")


def _power(request: HttpRequest, guest_id: int, response: HttpResponse, verb: str) -> Accepted:
    return accepted(response, services.power(_guest(request, guest_id, "operate"), verb, by=actor(request)))


def _guest(request: HttpRequest, guest_id: int, action: str) -> Guest:
    guests = Guest.objects.permitted(actor(request), action).select_related("host")
    guest: Guest = get_object_or_404(guests, pk=guest_id)
    return guest
