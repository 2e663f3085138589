"""REST of disks that change hands, and of what lies about."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from guests.models import Guest
from jobs.models import Job
from jobs.rest import JobOut, accepted
from virt.errors import Invalid

from . import leftovers, services

router = Router()
_JOB: Any = {202: JobOut, ERRORS: Problem}
MAX_ID = 2**63 - 1


class ReassignIn(Schema):
    guest: int = Field(ge=0, le=MAX_ID, description="Row id of the guest that gets the disk, on the same host.")


class LeftVolumeOut(Schema):
    id: int = Field(validation_alias="pk")
    name: str
    pool: str = Field(validation_alias="pool.name")
    host: str = Field(validation_alias="pool.host.name")
    path: str
    allocation_bytes: int
    backing_path: str


class LeftDiskOut(Schema):
    guest_id: int
    guest: str = Field(validation_alias="guest.name")
    host: str = Field(validation_alias="guest.host.name")
    target: str
    source: str


class TwiceOut(Schema):
    host: str = Field(validation_alias="host_name")
    path: str = Field(validation_alias="target_path")
    pools: int


class DiskLeftoversOut(Schema):
    """At most 50 of each kind; the counts are of all."""

    unused: list[LeftVolumeOut] = Field(description="No guest has them, nothing lies on them, and they are no ISO.")
    unused_count: int
    unused_bytes: int
    in_no_pool: list[LeftDiskOut] = Field(description="Disks whose image lies in no pool.")
    in_no_pool_count: int
    gone: list[LeftDiskOut] = Field(description="Disks whose volume vanished.")
    gone_count: int
    broken: list[LeftVolumeOut] = Field(description="They lie on an image that is in no pool, or is gone.")
    broken_count: int
    twice: list[TwiceOut] = Field(description="Directories that more than one pool shows.")


@router.get("/leftovers", response={200: DiskLeftoversOut, ERRORS: Problem})
def get_leftovers(request: HttpRequest) -> leftovers.Leftovers:
    """Volumes that nobody has, disks in no pool, images that are gone, chains that broke."""
    return leftovers.find(actor(request))


@router.post("/{int:guest_id}/disks/{target}/reassign", response=_JOB)
def reassign_disk(
    request: HttpRequest, guest_id: int, target: str, body: ReassignIn, response: HttpResponse
) -> Status[Job]:
    """Give a disk to another guest of the host; both may run. The job's result has its new `target`."""
    guests = Guest.objects.permitted(actor(request), "configure").select_related("host")
    to = guests.filter(pk=body.guest).first()
    guest: Guest = get_object_or_404(guests, pk=guest_id)
    if to is None:
        raise Invalid(_("There is no such guest."), field="guest")
    return accepted(response, services.reassign_disk(guest, target, to, by=actor(request)))
