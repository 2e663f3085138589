"""REST of image files that lie in no pool."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from guests.models import StrayFiles
from hosts.models import Host
from jobs.models import Job
from jobs.rest import JobOut, accepted

from . import services

router = Router(tags=["hosts"])


class StrayOut(Schema):
    path: str
    format: str
    size_bytes: int = Field(description="As a guest would see it.")
    allocation_bytes: int
    changed_at: datetime | None
    used_by: list[str] = Field(description="Guests that have it as a disk or in a drive.")
    overlays: list[str] = Field(description="Volumes that lie on it.")


class StrayFilesOut(Schema):
    """Make a pool of a directory (POST /pools) and its files are volumes."""

    files: list[StrayOut]
    problem: str = Field(description="What could not be looked at.")
    looked_at: datetime | None


@router.get("/{int:host_id}/stray-files", response={200: StrayFilesOut, ERRORS: Problem})
def get_stray_files(request: HttpRequest, host_id: int) -> dict[str, Any]:
    """Image files beside the disks of guests and below the directories of pools that are in no pool, as found last."""
    host = _host(request, host_id)
    row = StrayFiles.objects.filter(host=host).first()
    return {
        "files": [file for place in services.places(host, row) for file in place.files],
        "problem": row.problem if row else "",
        "looked_at": row.looked_at if row else None,
    }


@router.post("/{int:host_id}/stray-files", response={202: JobOut, ERRORS: Problem})
def look_for_stray_files(request: HttpRequest, host_id: int, response: HttpResponse) -> Status[Job]:
    """Look for them, through the host's libvirt. Nothing is changed."""
    return accepted(response, services.look(_host(request, host_id), by=actor(request)))


def _host(request: HttpRequest, pk: int) -> Host:
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), "administer"), pk=pk)
    return host
