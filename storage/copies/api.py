"""REST of copies."""

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from jobs.models import Job
from jobs.rest import JobOut
from storage.models import Iso, Pool
from storage.rest import MAX_BYTES
from virt.errors import Invalid

from . import services

router = Router(tags=["isos"])


class CopyIn(Schema):
    pools: list[int] = Field(description="Row ids of pools on any host.", max_length=services.MAX_POOLS)
    keep_in_step: bool = Field(False, description="Copy it again when the image here is replaced.")


@router.post("/{int:iso_id}/copy", response={202: list[JobOut], ERRORS: Problem})
def copy_image(request: HttpRequest, iso_id: int, body: CopyIn) -> Status[list[Job]]:
    """Copy an image into pools of any hosts: a job for each pool. There already with the same content is no error."""
    user = actor(request)
    permitted = Iso.objects.permitted(user, "view").select_related("volume__pool__host")
    iso: Iso = get_object_or_404(permitted, pk=iso_id)
    wanted = {number for number in body.pools if 0 <= number <= MAX_BYTES}
    pools = list(Pool.objects.permitted(user, "create").filter(pk__in=wanted).select_related("host"))
    if len(pools) != len(set(body.pools)):
        raise Invalid("One of these pools is not there, or you may not put files into it.", field="pools")
    return Status(202, services.copy_image(iso, pools, by=user, keep_in_step=body.keep_in_step))
