"""The jobs of volumes and of the state of pools, and the sweeping up; Celery finds the others of this room here too."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from celery import shared_task
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from virt import disk_users, image_check, pools, shrinking, volumes
from virt.connection import Connection
from virt.errors import PoolNotFound, VolumeNotFound
from virt.volume_xml import VolumeXML
from virt.volumes import Preallocation

from . import inventory
from .copy_tasks import copy_volume as copy_volume  # Celery looks for tasks here
from .copy_tasks import move_volume as move_volume
from .image_tasks import check_iso as check_iso
from .making import make_partition, make_volume
from .models import Iso, Pool, Volume
from .pool_tasks import create_pool as create_pool
from .pool_tasks import delete_pool as delete_pool
from .pool_tasks import edit_pool as edit_pool
from .pool_tasks import find_sources as find_sources
from .pool_tasks import let_qemu_in as let_qemu_in
from .pool_tasks import look_at_the_way
from .rules import check_room, check_unused, in_use_by
from .secrets.encrypted import forget_passphrase, secret_for_new, taken
from .secrets.inventory import sync_secrets
from .secrets.models import PassingValue
from .secrets.tasks import create_secret as create_secret
from .secrets.tasks import delete_secret as delete_secret
from .secrets.tasks import give_passphrase as give_passphrase
from .secrets.tasks import set_secret_value as set_secret_value

DAY_S = 24 * 3600


# --- volumes ----------------------------------------------------------------------------------------------------------
@job_task(soft_time_limit=DAY_S)
def create_volume(
    job: RunningJob,
    *,
    pool_id: int,
    name: str,
    capacity_bytes: int,
    image_format: str,
    preallocation: Preallocation,
    backing_id: int | None = None,
    luks: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a volume: empty, an overlay on another one, or encrypted: `luks` has uuid, value and ephemeral."""
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    wanted = VolumeXML(name=name, capacity_bytes=capacity_bytes, format=image_format)
    passphrase = taken(luks)
    with pool.host.connect() as conn:
        if backing_id:
            path, below = _backing(job, conn, backing_id)
            wanted = replace(wanted, backing_path=path, backing_format=below)
        if luks:
            wanted = replace(wanted, luks_secret=luks["uuid"])
            secret_for_new(job, pool, conn, name, luks, passphrase)
        if pool.type == "disk":
            job.step(_("Making a partition in the pool %(pool)s") % {"pool": pool.name})
            made, row = make_partition(job, pool.host, conn, pool.name, capacity_bytes)
        else:
            job.step(_("Creating %(name)s in the pool %(pool)s") % {"name": name, "pool": pool.name})
            made, row = make_volume(job, pool.host, conn, pool.name, wanted, preallocation=preallocation)
        if luks:
            sync_secrets(pool.host, conn)
    return {"volume_id": row.pk, "path": made.path, "capacity_bytes": made.capacity_bytes}


def _backing(job: RunningJob, conn: Connection, backing_id: int) -> tuple[str, str]:
    """Path and format of the image below an overlay, which is looked at first."""
    backing = Volume.objects.select_related("pool").get(pk=backing_id)
    job.step(_("Looking at %(name)s") % {"name": backing.name})
    image_check.check_image(conn, backing.pool.name, backing.name)
    info = volumes.volume_info(conn, backing.pool.name, backing.name)
    if writers := [use.guest for use in disk_users.disk_uses(conn, info.path) if use.is_top and not use.is_readonly]:
        raise in_use_by(backing.name, writers)
    return info.path, info.format or "raw"


@job_task()
def resize_volume(job: RunningJob, *, volume_id: int, capacity_bytes: int, shrink: bool = False) -> dict[str, Any]:
    """Give a volume another size: larger also under a running guest, smaller only where nothing is lost."""
    volume = Volume.objects.select_related("pool__host").get(pk=volume_id)
    host, pool = volume.pool.host, volume.pool
    with host.connect() as conn:
        job.step(_("Looking at the room in the pool %(pool)s") % {"pool": pool.name})
        inventory.refresh_pool(host, conn, pool.name, rescan=True)
        volume = Volume.objects.select_related("pool").get(pk=volume_id)
        check_room(volume.pool, capacity_bytes, now_bytes=volume.capacity_bytes, image_format=volume.format)
        reached = _resize(job, conn, volume, capacity_bytes, shrink)
        inventory.refresh_pool(host, conn, pool.name)
    return {"volume_id": volume_id, "capacity_bytes": reached}


def _resize(job: RunningJob, conn: Connection, volume: Volume, capacity_bytes: int, shrink: bool) -> int:
    pool, name = volume.pool.name, volume.name
    writer = disk_users.only_writer(conn, volume.path, name)
    if writer and capacity_bytes > volume.capacity_bytes:
        job.step(_("Growing %(name)s while %(guest)s runs") % {"name": name, "guest": writer.guest})
        return volumes.grow_open_volume(
            conn, pool, name, capacity_bytes=capacity_bytes, uuid=writer.uuid, target=writer.target
        )
    image_check.check_image(conn, pool, name)  # qemu-img, which is root, would open what the image names
    if shrink and capacity_bytes < volume.capacity_bytes:
        job.step(_("Looking whether anything lies in the part of %(name)s that goes") % {"name": name})
        shrinking.check_shrink(conn, pool, name, capacity_bytes)
        job.step(_("Making %(name)s smaller") % {"name": name})
    else:
        job.step(_("Growing %(name)s") % {"name": name})
    return volumes.resize_volume(conn, pool, name, capacity_bytes=capacity_bytes, shrink=shrink)


@job_task(soft_time_limit=DAY_S)
def wipe_volume(job: RunningJob, *, volume_id: int) -> dict[str, Any]:
    """Overwrite a volume that nobody uses with zeros."""
    volume = Volume.objects.select_related("pool__host").get(pk=volume_id)
    host, pool = volume.pool.host, volume.pool
    with host.connect() as conn:
        job.step(_("Looking who uses %(name)s") % {"name": volume.name})
        inventory.refresh_pool(host, conn, pool.name)
        check_unused(volume)
        if guests := volumes.guests_using(conn, volume.path):
            raise in_use_by(volume.name, [guest.name for guest in guests])
        job.step(_("Overwriting %(name)s with zeros") % {"name": volume.name})
        volumes.wipe_volume(conn, pool.name, volume.name)
        if volume.encryption:
            _forget(job, conn, volume)
        inventory.refresh_pool(host, conn, pool.name, rescan=True)
    return {"volume_id": volume_id}


@job_task()
def delete_volume(job: RunningJob, *, volume_id: int) -> dict[str, Any] | None:
    """Delete a volume that nobody uses; gone already is not an error."""
    volume = Volume.objects.select_related("pool__host").get(pk=volume_id)
    host, pool = volume.pool.host, volume.pool
    with host.connect() as conn:
        job.step(_("Looking who uses %(name)s") % {"name": volume.name})
        if inventory.refresh_pool(host, conn, pool.name) is not None:
            check_unused(volume)
            _delete(job, conn, volume)
    is_image = Iso.objects.filter(volume=volume).exists()
    Volume.objects.filter(pk=volume_id).delete()
    publish("volumes", f"pool-{pool.pk}", "pools", *(["isos"] if is_image else []))
    return None


def _delete(job: RunningJob, conn: Connection, volume: Volume) -> None:
    pool = volume.pool
    # libvirt knows best: a guest may have taken the volume since our rows were written.
    if guests := volumes.guests_using(conn, volume.path):
        raise in_use_by(volume.name, [guest.name for guest in guests])
    job.step(_("Deleting %(name)s") % {"name": volume.name})
    try:
        volumes.delete_volume(conn, pool.name, volume.name)
    except (PoolNotFound, VolumeNotFound):
        return
    if volume.encryption:
        _forget(job, conn, volume)
    inventory.refresh_pool(pool.host, conn, pool.name)


def _forget(job: RunningJob, conn: Connection, volume: Volume) -> None:
    if said := forget_passphrase(volume.pool.host, conn, volume.path):
        job.log(said)


# --- pools ------------------------------------------------------------------------------------------------------------
@job_task(soft_time_limit=300)
def start_pool(job: RunningJob, *, pool_id: int) -> dict[str, Any]:
    """Make the pool's volumes usable."""
    return _with_pool(job, pool_id, _("Starting the pool %(pool)s"), pools.start_pool)


@job_task(soft_time_limit=300)
def stop_pool(job: RunningJob, *, pool_id: int) -> dict[str, Any]:
    """Take the pool out of use; its files stay."""
    return _with_pool(job, pool_id, _("Stopping the pool %(pool)s"), pools.stop_pool)


@job_task(soft_time_limit=900)
def refresh_pool(job: RunningJob, *, pool_id: int) -> dict[str, Any]:
    """Look at the pool's files again."""
    return _with_pool(job, pool_id, _("Looking at the files in the pool %(pool)s"), pools.refresh_pool)


@job_task(soft_time_limit=300)
def set_pool_autostart(job: RunningJob, *, pool_id: int, autostart: bool) -> dict[str, Any]:
    """Start the pool with its host, or no longer."""
    title = _("Setting the autostart of the pool %(pool)s")
    return _with_pool(job, pool_id, title, lambda conn, name: pools.set_pool_autostart(conn, name, autostart))


def _with_pool(job: RunningJob, pool_id: int, step: str, action: Callable[[Connection, str], object]) -> dict[str, Any]:
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    with pool.host.connect() as conn:
        job.step(step % {"pool": pool.name})
        if action(conn, pool.name) is False:
            job.log(_("There was nothing to do."))
        if action is pools.start_pool:
            look_at_the_way(job, conn, pool)
        inventory.refresh_pool(pool.host, conn, pool.name)
    if action is pools.refresh_pool:
        Pool.objects.filter(pk=pool_id).update(refreshed_at=timezone.now())
    return {"pool_id": pool_id}


@shared_task(name="storage.tasks.sweep", ignore_result=True)
def sweep() -> None:
    """Put away what abandoned uploads left behind, and forget what has been over for long."""
    from storage.forgetting import forget_old_rows
    from storage.uploads.sweeper import sweep_uploads

    PassingValue.put_away_old()
    sweep_uploads()
    forget_old_rows()
