"""The jobs that make, change and delete pools."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from jobs.undo import undo
from virt import disk_users, partitions, pool_reach, pool_types, pools, volumes
from virt.connection import Connection
from virt.errors import PoolNotFound, VirtError, VolumeNotFound
from virt.pool_xml import PoolSpec, check_edited

from .inventory import refresh_pool
from .models import Pool
from .rules import in_use_by
from .secrets.encrypted import forget_passphrase


@job_task(soft_time_limit=2400)
def create_pool(
    job: RunningJob, *, host_id: int, spec: dict[str, str], build: str, start: bool, autostart: bool
) -> dict[str, Any]:
    """Define, build, start; if one of it fails, libvirt forgets the pool again."""
    host, wanted = Host.objects.get(pk=host_id), PoolSpec(**spec)
    with host.connect() as conn:
        job.step(_("Defining the pool %(pool)s") % {"pool": wanted.name})
        job.undo("storage.remove_pool", host_id=host.pk, uuid=wanted.uuid)
        pools.define_pool(conn, wanted.to_xml())
        if build != "none":
            job.step(_("Building what the pool %(pool)s lies on") % {"pool": wanted.name})
            pools.build_pool(conn, wanted.name, overwrite=build == "overwrite")
        if start:
            job.step(_("Starting the pool %(pool)s") % {"pool": wanted.name})
            pools.start_pool(conn, wanted.name)
        if autostart:
            pools.set_pool_autostart(conn, wanted.name, True)
        if wanted.type == "disk" and not partitions.deletes_from(wanted.device):
            sentence = _(
                "libvirt makes partitions on %(device)s but deletes none: only of disks whose kernel name ends in a "
                "letter, such as /dev/sdb."
            )
            job.log(sentence % {"device": wanted.device})
        row = refresh_pool(host, conn, wanted.uuid)
        if row and start:
            look_at_the_way(job, conn, row)
    return {"pool_id": row.pk if row else None}


@undo("storage.remove_pool")
def remove_pool(*, host_id: int, uuid: str) -> None:
    """Of a pool that was to be made. What was built on the host stays: it holds nothing, or what was there before."""
    host = Host.objects.filter(pk=host_id).first()
    if host is None:
        return
    with host.connect() as conn:
        name = next((info.name for info in pools.list_pools(conn) if info.uuid == uuid), None)
        if name:
            pools.delete_pool(conn, name)
        refresh_pool(host, conn, uuid)
    Pool.objects.filter(host=host, uuid=uuid).delete()


@job_task(soft_time_limit=300)
def find_sources(job: RunningJob, *, host_id: int, pool_type: str, server: str, initiator: str) -> dict[str, Any]:
    """Look for exports, targets, volume groups or adapters."""
    with Host.objects.get(pk=host_id).connect() as conn:
        job.step(_("Looking"))
        found = pool_types.find_sources(conn, pool_type, host=server, initiator=initiator)
    return {"sources": [asdict(each) for each in found]}


@job_task(soft_time_limit=300)
def edit_pool(job: RunningJob, *, pool_id: int, xml: str) -> dict[str, Any]:
    """Give the pool another definition; what it was is put back when libvirt or the start refuses."""
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    with pool.host.connect() as conn:
        job.step(_("Changing the definition of the pool %(pool)s") % {"pool": pool.name})
        pools.define_pool(conn, check_edited(xml, name=pool.name, uuid=str(pool.uuid)))
        refresh_pool(pool.host, conn, pool.name)
    if pool.is_active:
        job.log(_("It counts when the pool is next stopped and started."))
    return {"pool_id": pool_id}


@job_task(soft_time_limit=6 * 3600)
def delete_pool(job: RunningJob, *, pool_id: int, data: str) -> dict[str, Any] | None:
    """Stop and forget a pool, with `data` "volumes" after all that is in it. What is deleted is not brought back."""
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    with pool.host.connect() as conn:
        job.step(_("Looking who uses the pool %(pool)s") % {"pool": pool.name})
        if pool.missing_since is None and refresh_pool(pool.host, conn, pool.name, rescan=True) is not None:
            pool.refresh_from_db()
            if pool.is_active:
                _check_unused(conn, pool)
            if data == "volumes":
                _delete_volumes(job, conn, pool)
            job.step(_("Stopping and forgetting the pool %(pool)s") % {"pool": pool.name})
            pools.delete_pool(conn, pool.name, delete_files=data == "volumes" and pool.type == "dir")
    Pool.objects.filter(pk=pool_id).delete()
    publish("pools", "volumes", "isos", f"pool-{pool_id}")
    return None


@job_task(soft_time_limit=300)
def let_qemu_in(job: RunningJob, *, pool_id: int) -> dict[str, Any]:
    """Let QEMU's user enter the directories on the way to a pool."""
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    opened = []
    with pool.host.connect() as conn:
        job.step(_("Looking at the way to %(path)s") % {"path": pool.target_path})
        for closed in pool_reach.closed_on_the_way(conn, pool.target_path):
            words = {"path": closed.path, "mode": f"{closed.mode:03o}"}
            job.step(_("Letting everybody enter %(path)s, whose permissions were %(mode)s") % words)
            pool_reach.open_the_way(conn, closed)
            opened.append(closed.path)
        look_at_the_way(job, conn, pool)
        refresh_pool(pool.host, conn, pool.name)
    if not opened:
        job.log(_("There was nothing to do."))
    return {"pool_id": pool_id, "opened": opened}


def look_at_the_way(job: RunningJob, conn: Connection, pool: Pool) -> None:
    """Note which directory keeps QEMU from the pool's files, before a guest fails to start for it."""
    closed = []
    if pool.type in pool_reach.FILE_TYPES and pool.target_path:
        # On a connection of its own: an answer that is late closes it, and the pool has started all the same.
        with suppress(VirtError), conn.reopen() as looking:
            closed = pool_reach.closed_on_the_way(looking, pool.target_path)
    first = closed[0].path if closed else ""
    if first:
        sentence = _(
            "QEMU may not enter %(path)s: guests with disks in this pool cannot start. Its page can mend that."
        )
        job.log(sentence % {"path": first})
    Pool.objects.filter(pk=pool.pk).update(closed_to_qemu=first)
    publish(f"pool-{pool.pk}", "pools")


def _check_unused(conn: Connection, pool: Pool) -> None:
    """libvirt knows best: a guest may have taken a volume since our rows were written."""
    users = disk_users.paths_in_use(conn)
    for info in volumes.list_volumes(conn, pool.name):
        if guests := users.get(info.path):
            raise in_use_by(info.name, sorted(guests))


def _delete_volumes(job: RunningJob, conn: Connection, pool: Pool) -> None:
    found = volumes.list_volumes(conn, pool.name)
    below = {info.backing_path for info in found}
    # Overlays go before what they lie on.
    for number, info in enumerate(sorted(found, key=lambda each: each.path in below)):
        job.step(_("Deleting %(name)s") % {"name": info.name}, done=number, total=len(found))
        with suppress(VolumeNotFound, PoolNotFound):
            volumes.remove_volume(conn, pool.name, info.name)
            if info.encryption and (said := forget_passphrase(pool.host, conn, info.path)):
                job.log(said)
    refresh_pool(pool.host, conn, pool.name, rescan=True)
