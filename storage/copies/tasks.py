"""The job that copies an image into another pool, and the look at which copies are behind."""

from collections.abc import Iterator
from typing import Any

import structlog
from celery import shared_task
from django.db.models import F
from django.utils.translation import gettext as _

from jobs.models import Busy
from jobs.tasks import RunningJob, job_task
from storage import media
from storage.content import Progress, check_fits, find_pool, write_volume
from storage.library import add_image
from storage.models import ImageCopy, Iso, Pool, Volume
from storage.rules import check_unused, in_use_by
from virt import volumes
from virt.connection import Connection
from virt.errors import UserError, VolumeExists

log = structlog.get_logger(__name__)
DAY_S = 24 * 3600


class CopyDiffers(UserError):
    """What arrived is not what was sent, or the original changed meanwhile."""

    code, status = "checksum_differs", 409


@job_task(soft_time_limit=DAY_S)
def copy_image(job: RunningJob, *, iso_id: int, pool_id: int) -> dict[str, Any]:
    """Copy an image into a pool of any host. There already with the same content: nothing to do.

    An older copy that kvmweb made is replaced when no guest has it; anything else of that name stays and the job fails.
    """
    iso = Iso.objects.select_related("volume__pool__host").get(pk=iso_id)
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    source = iso.volume
    with source.pool.host.connect() as conn, pool.host.connect() as there:
        pool = find_pool(pool.host, there, pool.name)
        copy = ImageCopy.objects.filter(iso=iso, pool=pool).first()
        old = pool.volumes.filter(name=source.name, missing_since=None).first()
        if old is not None:
            if _is_same(old, iso):
                job.log(_("%(name)s is in the pool %(pool)s already.") % {"name": source.name, "pool": pool.name})
                return _done(iso, pool, old)
            _remove_old(job, there, old, copy)
        with media.open_image(conn, source) as image:
            check_fits(pool, source.name, image.size)
            step = _("Copying %(name)s into the pool %(pool)s on %(host)s")
            words = {"name": source.name, "pool": pool.name, "host": pool.host.name}
            job.step(step % words, done=0, total=image.size)
            volume, sha256 = write_volume(
                job,
                there,
                pool,
                source.name,
                _as_bytes(image),
                size=image.size,
                on_progress=Progress(job, image.size),
            )
        if iso.sha256 and sha256 != iso.sha256:
            sentence = _("%(name)s arrived with another content than it had when it was checked. Check the original.")
            raise CopyDiffers(sentence % {"name": source.name}, details=f"original {iso.sha256}\ncopy     {sha256}")
        new = add_image(
            there, volume, sha256, expected=iso.sha256_expected, signed_by=iso.signed_by, by=job.row.created_by
        )
        if iso.os_set_by_hand:
            Iso.objects.filter(pk=new.pk).update(os_id=iso.os_id, os_name=iso.os_name, os_set_by_hand=True)
    return _done(iso, pool, volume)


@shared_task(name="storage.copies.tasks.keep_in_step", ignore_result=True)
def keep_in_step() -> None:
    """Start the job for every copy that is behind its original."""
    from .services import start_copy  # the services start these tasks

    behind = ImageCopy.objects.filter(keep_in_step=True, iso__volume__missing_since=None, pool__is_active=True)
    behind = behind.exclude(iso__sha256="").exclude(made_from=F("iso__sha256"))
    for copy in behind.select_related("iso__volume__pool__host", "pool__host", "created_by"):
        try:
            start_copy(copy.iso, copy.pool, by=copy.created_by)
        except Busy:  # it is on its way
            continue
        except UserError as error:
            log.warning("a copy cannot be kept in step", image=copy.iso.name, pool=copy.pool.name, error=str(error))


def _is_same(old: Volume, iso: Iso) -> bool:
    known = Iso.objects.filter(volume=old).first()
    return bool(known and known.sha256 and known.sha256 == iso.sha256)


def _remove_old(job: RunningJob, there: Connection, old: Volume, copy: ImageCopy | None) -> None:
    known = Iso.objects.filter(volume=old).first()
    if copy is None or not copy.made_from or not known or known.sha256 != copy.made_from:
        sentence = _("The pool %(pool)s has another file called %(name)s. Delete that one first, if it is not needed.")
        raise VolumeExists(sentence % {"pool": old.pool.name, "name": old.name})
    check_unused(old)
    if guests := volumes.guests_using(there, old.path):
        raise in_use_by(old.name, [guest.name for guest in guests])
    job.step(_("Removing the old copy of %(name)s") % {"name": old.name})
    volumes.delete_volume(there, old.pool.name, old.name)
    old.delete()


def _as_bytes(image: media.Image) -> Iterator[bytes]:
    for chunk in image.chunks():
        yield bytes(chunk)


def _done(iso: Iso, pool: Pool, volume: Volume) -> dict[str, Any]:
    made_from = Iso.objects.filter(volume=volume).values_list("sha256", flat=True).first() or ""
    ImageCopy.objects.filter(iso=iso, pool=pool).update(made_from=made_from)
    new = Iso.objects.filter(volume=volume).first()
    return {"iso_id": new.pk if new else None, "volume_id": volume.pk}
