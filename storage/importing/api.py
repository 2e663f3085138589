"""REST of the import."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from jobs.models import Job
from jobs.rest import JobOut, accepted
from storage.models import Iso, Pool
from storage.rest import MAX_BYTES

from . import services

router = Router(tags=["isos"])


class ImportIn(Schema):
    pool: int = Field(description="Row id of a pool on the same host.", ge=0, le=MAX_BYTES)
    name: str = Field(
        description="Of the new volumes; the format is added to it, and a number where there are several."
    )
    format: str = Field("qcow2", description="qcow2 or raw")


@router.post("/{int:iso_id}/look-inside", response={202: JobOut, ERRORS: Problem})
def inspect_appliance(request: HttpRequest, iso_id: int, response: HttpResponse) -> Status[Job]:
    """Look what is in an OVA, VMDK, VHD, VDI, qcow2 or raw file: the job's result has firmware, disks and warnings.

    The job fails with reference_refused for an image that leads to other files of the host.
    """
    return accepted(response, services.inspect_appliance(_iso(request, iso_id, "operate"), by=actor(request)))


@router.post("/{int:iso_id}/unpack", response={202: JobOut, ERRORS: Problem})
def unpack_image(request: HttpRequest, iso_id: int, response: HttpResponse) -> Status[Job]:
    """Unpack an image (.gz, .bz2, .xz, .zst) into a new one beside it: the job's result has its `iso_id`."""
    return accepted(response, services.unpack_image(_iso(request, iso_id, "create"), by=actor(request)))


@router.post("/{int:iso_id}/import", response={202: JobOut, ERRORS: Problem})
def import_disks(request: HttpRequest, iso_id: int, body: ImportIn, response: HttpResponse) -> Status[Job]:
    """Convert the disks into volumes that guests can be made with: the job's result has `volume_ids`."""
    pools = Pool.objects.permitted(actor(request), "create").select_related("host")
    pool: Pool = get_object_or_404(pools, pk=body.pool)
    job = services.import_disks(
        _iso(request, iso_id, "view"), pool, body.name, by=actor(request), image_format=body.format
    )
    return accepted(response, job)


def _iso(request: HttpRequest, pk: int, action: str) -> Iso:
    permitted = Iso.objects.permitted(actor(request), action).select_related("volume__pool__host")
    found: Iso = get_object_or_404(permitted, pk=pk)
    return found
