"""REST of the definitions that guests had."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from guests.models import Guest
from jobs.models import Job
from jobs.rest import JobOut, accepted

from . import history, services
from .models import DefinitionVersion

router = Router(tags=["guests"])


class VersionOut(Schema):
    """A definition that a guest had."""

    number: int
    digest: str = Field(description="SHA-256 of its XML.")
    seen_at: datetime = Field(description="When it was read from the host.")
    earliest_at: datetime | None = Field(description="It was made between then and seen_at; null: not known.")
    origin: str = Field(description="first, kvmweb, outside or upgrade (of libvirt)")
    actor: str = Field(description="Who started the job that made it; empty where kvmweb did not make it.")
    job_id: int | None
    job_title: str
    libvirt_version: str
    is_drift: bool = Field(description="Nobody in kvmweb made it, and nobody has acknowledged it yet.")
    acknowledged_at: datetime | None
    acknowledged_by: str
    is_current: bool


class VersionDetailOut(VersionOut):
    xml: str = Field(description="Without passwords: they are not kept.")


class ChangeOut(Schema):
    kind: str = Field(description="added, removed or changed")
    text: str = Field(description="In words: Memory: 1024 MiB → 2048 MiB")
    before: str | None
    after: str | None


class DiffOut(Schema):
    """What differs between two definitions."""

    number: int
    other: int
    changes: list[ChangeOut]
    diff: str = Field(description="The two XML texts as a unified diff.")
    problem: str = Field(description="Why they could not be compared; empty where they could.")


class RestoreIn(Schema):
    current: str = Field(
        "",
        max_length=64,
        description="Digest of the definition that you take for the present one: with another one it is refused.",
    )


class AcknowledgedOut(Schema):
    acknowledged: int


@router.get("/{int:guest_id}/definitions", response={200: list[VersionOut], ERRORS: Problem})
def list_definitions(request: HttpRequest, guest_id: int) -> Any:
    """The definitions that are kept of a guest, newest first."""
    return history.versions_of(_guest(request, guest_id, "view"))


@router.post("/{int:guest_id}/definitions/acknowledge", response={200: AcknowledgedOut, ERRORS: Problem})
def acknowledge(request: HttpRequest, guest_id: int) -> dict[str, int]:
    """Note that the changes of this guest that were made outside kvmweb have been seen."""
    guest = _guest(request, guest_id, "operate")
    versions = DefinitionVersion.objects.filter(guest=guest)
    return {"acknowledged": services.acknowledge(versions, by=actor(request))}


@router.get("/{int:guest_id}/definitions/{int:number}", response={200: VersionDetailOut, ERRORS: Problem})
def get_definition(request: HttpRequest, guest_id: int, number: int) -> dict[str, Any]:
    """One definition with its XML."""
    version, xml = history.find_version(_guest(request, guest_id, "view"), number)
    return {**vars(version), "xml": xml}


@router.get("/{int:guest_id}/definitions/{int:number}/diff", response={200: DiffOut, ERRORS: Problem})
def diff(request: HttpRequest, guest_id: int, number: int, other: int | None = None) -> dict[str, Any]:
    """What this definition changed of the one before it, or of `other`."""
    guest = _guest(request, guest_id, "view")
    than = number - 1 if other is None else other
    found = history.comparison(guest, number, than)
    signs = {"add": "+", "del": "-", "ctx": " ", "hunk": ""}
    text = "\n".join(signs[kind] + line for kind, line in found.lines)
    return {"number": number, "other": than, "changes": found.changes, "diff": text, "problem": found.problem}


@router.post("/{int:guest_id}/definitions/{int:number}/restore", response={202: JobOut, ERRORS: Problem})
def restore(
    request: HttpRequest, guest_id: int, number: int, response: HttpResponse, body: RestoreIn | None = None
) -> Status[Job]:
    """Put an older definition back; a running guest has it at its next start. 409 definition_changed, disk_missing …"""
    guest = _guest(request, guest_id, "configure")
    shown = body.current if body else ""
    return accepted(response, services.restore(guest, number, by=actor(request), shown=shown))


def _guest(request: HttpRequest, guest_id: int, action: str) -> Guest:
    guests = Guest.objects.permitted(actor(request), action).select_related("host")
    guest: Guest = get_object_or_404(guests, pk=guest_id)
    return guest
