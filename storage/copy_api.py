"""REST of what changes a volume as a whole: its size, its place, its format, what is on it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Router, Schema, Status
from pydantic import SecretStr

from accounts.rest import ERRORS, Problem, actor
from jobs.models import Job
from jobs.rest import JobOut, accepted
from virt.errors import Invalid

from . import copying, services
from .models import Pool, Volume
from .rest import MAX_BYTES

router = Router()
_JOB: Any = {202: JobOut, ERRORS: Problem}
Accepted = Status[Job]


class ResizeIn(Schema):
    capacity_bytes: int = Field(ge=-MAX_BYTES, le=MAX_BYTES)
    shrink: bool = Field(False, description="It may become smaller, where the job can prove that nothing is lost.")


class VolumePassphraseIn(Schema):
    passphrase: SecretStr = Field(
        SecretStr(""), description="Of an encrypted one, tried on it first. Empty: the copy waits for it."
    )
    keep_passphrase: bool = Field(True, description="The host keeps it when its libvirt is restarted.")


class VolumeCopyIn(VolumePassphraseIn):
    pool: int | None = Field(None, ge=0, le=MAX_BYTES, description="Row id, also on another host; null: its own pool.")
    name: str = Field("", description="Empty: one like the original's that is free.")
    format: str = Field("", description="qcow2 or raw; empty: as it is.")
    preallocation: str = Field("none", description="none, metadata or full")


class VolumeMoveIn(VolumePassphraseIn):
    pool: int | None = Field(None, ge=0, le=MAX_BYTES, description="Row id of a pool of its host; null: its own pool.")
    name: str = Field("", description="Empty: as it is called now.")
    format: str = Field("", description="qcow2 or raw; empty: as it is.")
    keep: bool = Field(False, description="The original stays, unused.")


@router.post("/{int:volume_id}/resize", response=_JOB)
def resize_volume(request: HttpRequest, volume_id: int, body: ResizeIn, response: HttpResponse) -> Accepted:
    """Give a volume another size. A running guest that has it sees a larger disk at once."""
    volume = _volume(request, volume_id, "configure")
    job = services.resize_volume(volume, body.capacity_bytes, by=actor(request), shrink=body.shrink)
    return accepted(response, job)


@router.post("/{int:volume_id}/copy", response=_JOB)
def copy_volume(request: HttpRequest, volume_id: int, body: VolumeCopyIn, response: HttpResponse) -> Accepted:
    """Copy a volume, also one that a running guest writes to, converting it on the way where asked. An encrypted one
    is copied byte for byte, while nobody writes to it.

    The job's result has the copy's `volume_id`. Cancelling the job removes the half copy.
    """
    volume = _volume(request, volume_id, "configure")
    pool = _pool(request, body.pool, volume)
    name = body.name or copying.suggested_name(volume, pool, body.format)
    job = services.copy_volume(
        volume,
        pool,
        name,
        by=actor(request),
        image_format=body.format,
        preallocation=body.preallocation,
        passphrase=body.passphrase.get_secret_value(),
        keep_passphrase=body.keep_passphrase,
    )
    return accepted(response, job)


@router.post("/{int:volume_id}/move", response=_JOB)
def move_volume(request: HttpRequest, volume_id: int, body: VolumeMoveIn, response: HttpResponse) -> Accepted:
    """Move a volume to another pool or another format, with the guest that has it, which goes on running. An encrypted
    one that a guest has moves with its passphrase; while the guest runs it is encrypted anew, with any.

    The job's result has the new `volume_id`. Cancelled before its end, the guest has the disk it had.
    """
    volume = _volume(request, volume_id, "configure")
    pool = _pool(request, body.pool, volume)
    job = services.move_volume(
        volume,
        pool,
        by=actor(request),
        name=body.name,
        image_format=body.format,
        keep=body.keep,
        passphrase=body.passphrase.get_secret_value(),
        keep_passphrase=body.keep_passphrase,
    )
    return accepted(response, job)


@router.post("/{int:volume_id}/wipe", response=_JOB)
def wipe_volume(request: HttpRequest, volume_id: int, response: HttpResponse) -> Accepted:
    """Overwrite a volume that nobody uses with zeros."""
    return accepted(response, services.wipe_volume(_volume(request, volume_id, "delete"), by=actor(request)))


def _volume(request: HttpRequest, pk: int, action: str) -> Volume:
    permitted = Volume.objects.permitted(actor(request), action).select_related("pool__host", "iso")
    found: Volume = get_object_or_404(permitted, pk=pk)
    return found


def _pool(request: HttpRequest, pk: int | None, volume: Volume) -> Pool:
    pools = Pool.objects.permitted(actor(request), "create").select_related("host")
    pool: Pool | None = pools.filter(pk=volume.pool_id if pk is None else pk).first()
    if pool is None:
        raise Invalid(_("There is no such pool."), field="pool")
    return pool
