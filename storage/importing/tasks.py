"""The jobs that look into an appliance and make disks of it."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from storage import media
from storage.content import RESERVE_BYTES, Progress, check_fits, find_pool, write_volume
from storage.copy_tasks import reporter
from storage.fetching.unpack import packed_as, unpacked, with_head
from storage.inventory import refresh_pool
from storage.library import add_image
from storage.making import make_volume
from storage.models import Iso, Pool, Volume
from virt import appliance, disk_copy, foreign_disk, image_guard
from virt.connection import Connection
from virt.disk_copy import Image
from virt.errors import NotImportable
from virt.foreign_disk import ForeignDisk
from virt.volume_xml import VolumeXML

from . import hyperv

DAY_S = 24 * 3600


@job_task(soft_time_limit=600)
def inspect_appliance(job: RunningJob, *, iso_id: int) -> dict[str, Any]:
    """Look what is in it and keep that with the image. Fails, saying why, for what cannot be imported."""
    iso = Iso.objects.select_related("volume__pool__host").get(pk=iso_id)
    job.step(_("Looking into %(name)s") % {"name": iso.name})
    with iso.volume.pool.host.connect() as conn:
        found = _look(conn, iso).as_json()
    Iso.objects.filter(pk=iso_id).update(found=found)
    publish(f"iso-{iso_id}", "isos")
    return found


@job_task(soft_time_limit=DAY_S)
def unpack_image(job: RunningJob, *, iso_id: int, name: str) -> dict[str, Any]:
    """Unpack an image of the library (.gz, .bz2, .xz, .zst) into a new one beside it. On any failure nothing stays."""
    iso = Iso.objects.select_related("volume__pool__host").get(pk=iso_id)
    with iso.volume.pool.host.connect() as conn, iso.volume.pool.host.connect() as there:
        pool = find_pool(iso.volume.pool.host, there, iso.volume.pool.name)
        check_fits(pool, name, None)
        with media.open_image(conn, iso.volume) as image:
            kind = packed_as(image.read(0, 6))
            if not kind:
                raise NotImportable(_("%(name)s is not packed.") % {"name": iso.name})
            step = _("Unpacking %(name)s into %(new)s")
            job.step(step % {"name": iso.name, "new": name}, done=0, total=image.size)
            packed = _counted(image, Progress(job, image.size))
            chunks, head = with_head(
                unpacked(packed, kind, limit_bytes=max(pool.available_bytes - RESERVE_BYTES, 0)),
                image_guard.HEAD_BYTES,
            )
            image_guard.check_references(head, name)
            volume, sha256 = write_volume(job, there, pool, name, chunks, size=None, on_progress=lambda _done: None)
        new = add_image(there, volume, sha256, by=job.row.created_by)
    return {"iso_id": new.pk, "volume_id": volume.pk}


@job_task(soft_time_limit=DAY_S)
def import_disks(job: RunningJob, *, iso_id: int, pool_id: int, name: str, image_format: str) -> dict[str, Any]:
    """Convert every disk of an appliance into a new volume. If any of them fails, none stays."""
    iso = Iso.objects.select_related("volume__pool__host").get(pk=iso_id)
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    host, made = pool.host, []
    with host.connect() as conn:
        job.step(_("Looking into %(name)s") % {"name": iso.name})
        found = _look(conn, iso)  # once more: the file may be another one by now
        for number, disk in enumerate(found.disks, start=1):
            target = disk_name(name, number, len(found.disks), image_format)
            job.step(_("Opening %(disk)s") % {"disk": disk.name})
            source = ForeignDisk(
                path=iso.volume.path,
                format=disk.format,
                offset=disk.offset,
                length=disk.length if disk.offset else 0,
            )
            if disk.format == "vhdx":
                hyperv.convert(job, conn, iso.volume, source, pool, target, image_format)
                made.append(target)
                continue
            with foreign_disk.opened(conn, source) as (uuid, device, size):
                wanted = VolumeXML(name=target, capacity_bytes=size, format=image_format)
                info, _row = make_volume(job, host, conn, pool.name, wanted)
                step = _("Converting %(disk)s into %(name)s")
                job.step(step % {"disk": disk.name, "name": target}, done=0, total=size)
                to = Image(path=info.path, format=image_format, is_block=info.type == "block")
                disk_copy.copy_open_disk(conn, uuid, device, to, finish="stop", on_progress=reporter(job))
            made.append(target)
        refresh_pool(host, conn, pool.name, rescan=True)
    for sentence in found.warnings:
        job.log(sentence)
    rows = Volume.objects.filter(pool=pool, name__in=made).order_by("name")
    return {"volume_ids": [row.pk for row in rows], "volumes": made, "suggested_bus": found.suggested_bus}


def disk_name(name: str, number: int, disks: int, image_format: str) -> str:
    """The name of a volume that the import makes."""
    return f"{name}.{image_format}" if disks == 1 else f"{name}-disk{number}.{image_format}"


def _counted(image: media.Image, progress: Progress) -> Iterator[bytes]:
    done = 0
    for chunk in image.chunks():
        done += len(chunk)
        progress(done)
        yield bytes(chunk)


def _look(conn: Connection, iso: Iso) -> appliance.Appliance:
    with media.open_image(conn, iso.volume) as image:
        size = image.size if iso.volume.format in ("", "raw", "iso") else max(image.size, iso.volume.allocation_bytes)
        if isinstance(image, media.LocalImage):
            size = image.size
        return appliance.inspect(image.read, size, iso.name)
