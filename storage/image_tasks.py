"""The job that looks at an image of the library: what it is, which system is on it, its SHA-256."""

import time
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from virt import pools, volumes
from virt.connection import Connection
from virt.errors import PoolBusy, UserError, VolumeNotFound

from . import inventory, library, media
from .content import Progress
from .images import check_next, tell
from .models import Iso, Volume

BUSY_POOL_S, BUSY_RETRY_S = 900.0, 1.0
DAY_S = 24 * 3600


class ChecksumDiffers(UserError):
    """The file is not the one that was meant."""

    code, status = "checksum_differs", 409


@job_task(soft_time_limit=DAY_S)
def check_iso(job: RunningJob, *, iso_id: int) -> dict[str, Any]:
    """Look at an image: what it is, which system is on it, its SHA-256. Fails when that is not the expected one."""
    volume = Iso.objects.select_related("volume__pool__host").get(pk=iso_id).volume
    host, pool = volume.pool.host, volume.pool
    try:
        with host.connect() as conn:
            job.step(_("Looking at the files in the pool %(pool)s") % {"pool": pool.name})
            _look_at_files(job, conn, pool.name)
            inventory.refresh_pool(host, conn, pool.name)
            _must_be_there(conn, volume)
            volume.refresh_from_db()
            Iso.objects.filter(pk=iso_id).update(checked_bytes=volume.capacity_bytes)
            with media.open_image(conn, volume) as image:
                job.step(_("Reading the header of %(name)s") % {"name": volume.name})
                _save_facts(iso_id, library.look(image, volume.name))
                job.step(_("Computing the SHA-256 of %(name)s") % {"name": volume.name}, done=0, total=image.size)
                digest = media.sha256(image, Progress(job, image.size))
        Iso.objects.filter(pk=iso_id).update(sha256=digest, file_bytes=image.size, inspected_at=timezone.now())
        iso = Iso.objects.select_related("volume").get(pk=iso_id)
        tell(iso)
        return _verdict(job, iso)
    finally:
        check_next(host, after=job.pk)


def _look_at_files(job: RunningJob, conn: Connection, pool: str) -> None:
    """Let libvirt see a file that is new in the pool. While it makes a volume there it cannot look: wait for that."""
    end = time.monotonic() + BUSY_POOL_S
    while True:
        try:
            pools.refresh_pool(conn, pool)
        except PoolBusy:
            if time.monotonic() > end:
                raise
            job.check_cancelled()
            time.sleep(BUSY_RETRY_S)
        else:
            return


def _must_be_there(conn: Connection, volume: Volume) -> None:
    """Raise VolumeNotFound when the file is gone; our row says so then. (A sync leaves alone what a job holds.)"""
    try:
        volumes.volume_info(conn, volume.pool.name, volume.name)
    except VolumeNotFound as error:
        Volume.objects.filter(pk=volume.pk).update(missing_since=timezone.now())
        publish(f"pool-{volume.pool_id}", "volumes", "isos")
        sentence = _("%(name)s is not in the pool %(pool)s any more. Upload it again.")
        raise VolumeNotFound(sentence % {"name": volume.name, "pool": volume.pool.name}) from error


def _save_facts(iso_id: int, found: dict[str, Any]) -> None:
    iso = Iso.objects.get(pk=iso_id)
    if iso.os_set_by_hand:
        found = {name: value for name, value in found.items() if name not in media.SYSTEM_COLUMNS}
    Iso.objects.filter(pk=iso_id).update(**found)
    tell(iso)


def _verdict(job: RunningJob, iso: Iso) -> dict[str, Any]:
    """Say what was found, as log lines and as the job's result."""
    if iso.is_iso9660 is False:
        job.log(
            _("%(name)s is kept as a file, but it is not an ISO image: nothing can be installed from it.")
            % {"name": iso}
        )
    elif iso.os_name:
        job.log(_("The system on it: %(os)s.") % {"os": iso.os_name})
    else:
        job.log(_("The system on it is not known. Choose it on the page of the image."))
    if iso.checksum == Iso.Checksum.DIFFERS:
        sentence = _(
            "%(name)s is not what it should be: its SHA-256 differs from the one that was given. It stays marked as not"
            " matching. Delete it and upload it again."
        )
        details = f"expected {iso.sha256_expected}\nfound    {iso.sha256}"
        raise ChecksumDiffers(sentence % {"name": iso}, details=details)
    return {
        "iso_id": iso.pk,
        "sha256": iso.sha256,
        "checksum": str(iso.checksum),
        "is_iso9660": iso.is_iso9660,
        "os_id": iso.os_id,
        "os_name": iso.os_name,
    }
