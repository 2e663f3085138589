"""REST of a host's care: maintenance, the start order, restart and power-off."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from guests.autostart import services as autostart
from guests.autostart.services import LONGEST_DELAY_S, MOST_GUESTS, Turn
from guests.leftovers.rows import misfits
from guests.leftovers.services import look
from guests.models import AutostartEntry, Leftovers
from guests.rest import MAX_ID
from hosts import maintenance
from hosts.maintenance import LONGEST_REASON
from hosts.models import Host
from jobs.models import Job
from jobs.rest import JobOut, accepted
from virt.errors import Invalid

from . import services

router = Router(tags=["hosts"])


class MaintenanceOut(Schema):
    """Whether anything new may be placed on a host."""

    in_maintenance: bool
    since: datetime | None
    reason: str
    by: str
    job: JobOut | None = Field(None, description="It shuts down the guests, where that was asked for.")


class MaintenanceIn(Schema):
    reason: str = Field("", max_length=LONGEST_REASON)
    guests: str = Field(services.LEAVE, description="leave, or shutdown: shut down what runs on it")
    at_once: int = Field(services.USUAL_AT_ONCE, description="How many guests are on their way down at a time.")


class TurnOut(Schema):
    guest: int
    name: str
    delay_s: int
    libvirt_autostart: bool = Field(description="libvirt starts it too, at once: a change by somebody else.")


class OrderOut(Schema):
    guests: list[TurnOut]


class TurnIn(Schema):
    guest: int = Field(ge=1, le=MAX_ID)
    delay_s: int = Field(0, ge=0, le=LONGEST_DELAY_S, description="Seconds to wait before it is started.")


class OrderIn(Schema):
    guests: list[TurnIn] = Field(max_length=MOST_GUESTS)


class MisfitOut(Schema):
    kind: str = Field(
        description="disk_missing, disk_shared, network_missing, guest_twice, guest_missing or snapshot_broken"
    )
    title: str
    means: str
    guest_id: int | None


class LeftoverOut(Schema):
    kind: str = Field(description="nvram, tpm or snapshots")
    path: str
    size_bytes: int
    changed_at: datetime


class LeftoversOut(Schema):
    misfits: list[MisfitOut]
    files: list[LeftoverOut]
    problem: str = Field(description="What could not be looked at.")
    looked_at: datetime | None


class HostPowerIn(Schema):
    verb: str = Field(description="reboot or poweroff")
    confirm: str = Field(description="The name of the host, so that nobody restarts another one by a wrong number.")
    guests: str = Field(services.SHUT_DOWN, description="shutdown: shut them down first; leave: as the host does it")
    patience_s: int = Field(services.USUAL_PATIENCE_S, description="How long to wait for a guest.")


@router.get("/{int:host_id}/maintenance", response={200: MaintenanceOut, ERRORS: Problem})
def get_maintenance(request: HttpRequest, host_id: int) -> dict[str, Any]:
    """Whether the host is in maintenance: why, since when, by whom."""
    return _shown(_host(request, host_id, "view"))


@router.put("/{int:host_id}/maintenance", response={200: MaintenanceOut, ERRORS: Problem})
def enter_maintenance(request: HttpRequest, host_id: int, body: MaintenanceIn) -> dict[str, Any]:
    """Place nothing new on the host. In it already: the reason is changed."""
    host = _host(request, host_id, "administer")
    job = services.enter_maintenance(
        host, by=actor(request), reason=body.reason, guests=body.guests, at_once=body.at_once
    )
    return _shown(host, job)


@router.delete("/{int:host_id}/maintenance", response={200: MaintenanceOut, ERRORS: Problem})
def leave_maintenance(request: HttpRequest, host_id: int) -> dict[str, Any]:
    """Take the host back into use."""
    return _shown(maintenance.leave(_host(request, host_id, "administer"), by=actor(request)))


@router.get("/{int:host_id}/start-order", response={200: OrderOut, ERRORS: Problem})
def get_start_order(request: HttpRequest, host_id: int) -> dict[str, Any]:
    """The guests that kvmweb starts after the host was started, first to last."""
    return {"guests": [_turn(entry) for entry in autostart.order_of(_host(request, host_id, "view"))]}


@router.put("/{int:host_id}/start-order", response={202: JobOut, ERRORS: Problem})
def set_start_order(request: HttpRequest, host_id: int, body: OrderIn, response: HttpResponse) -> Status[Job]:
    """Start these guests, and no others, in this order. The job switches libvirt's own autostart of them off."""
    turns = [Turn(guest=turn.guest, delay_s=turn.delay_s) for turn in body.guests]
    job = autostart.set_order(_host(request, host_id, "configure"), turns, by=actor(request))
    return accepted(response, job)


@router.get("/{int:host_id}/leftovers", response={200: LeftoversOut, ERRORS: Problem})
def get_leftovers(request: HttpRequest, host_id: int) -> dict[str, Any]:
    """What does not fit together on the host, from what is known of it, and what was found in its directories."""
    host = _host(request, host_id, "view")
    found = Leftovers.objects.filter(host=host).first()
    return {
        "misfits": misfits(host, actor(request)),
        "files": found.found if found else [],
        "problem": found.problem if found else "",
        "looked_at": found.looked_at if found else None,
    }


@router.post("/{int:host_id}/leftovers", response={202: JobOut, ERRORS: Problem})
def look_for_leftovers(request: HttpRequest, host_id: int, response: HttpResponse) -> Status[Job]:
    """Look into the directories of the host for files of guests that are gone. Nothing is removed."""
    return accepted(response, look(_host(request, host_id, "operate"), by=actor(request)))


@router.post("/{int:host_id}/power", response={202: JobOut, ERRORS: Problem})
def power(request: HttpRequest, host_id: int, body: HostPowerIn, response: HttpResponse) -> Status[Job]:
    """Restart the machine or power it off, through its systemd. For administrators, and over SSH only."""
    host = _host(request, host_id, "administer")
    if body.confirm != host.name:
        raise Invalid(_("Give the name of the host, %(host)s, to go on.") % {"host": host.name}, field="confirm")
    job = services.power_host(host, body.verb, by=actor(request), guests=body.guests, patience_s=body.patience_s)
    return accepted(response, job)


def _shown(host: Host, job: Job | None = None) -> dict[str, Any]:
    return {
        "in_maintenance": host.is_in_maintenance,
        "since": host.maintenance_since,
        "reason": host.maintenance_reason,
        "by": host.maintenance_by,
        "job": job,
    }


def _turn(entry: AutostartEntry) -> dict[str, Any]:
    guest = entry.guest
    return {
        "guest": guest.pk,
        "name": guest.name,
        "delay_s": entry.delay_s,
        "libvirt_autostart": guest.autostart,
    }


def _host(request: HttpRequest, host_id: int, action: str) -> Host:
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), action), pk=host_id)
    return host
