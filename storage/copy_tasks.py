"""The jobs that copy, convert and move volumes. QEMU copies (`virt.disk_copy`): watched, and stopped at any moment."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from jobs.undo import undo
from virt import disk_copy, disk_users, domains, image_check, transfer, volumes
from virt.connection import Connection
from virt.disk_copy import Image
from virt.domain_xml import DomainXML
from virt.errors import NotSupported, PoolNotFound, VirtError, VolumeInUse, VolumeNotFound, WrongState
from virt.types import VolumeInfo
from virt.volume_xml import VolumeXML
from virt.volumes import Preallocation

from .followers import guest_changed
from .inventory import refresh_pool
from .making import UNDO, make_volume, take_back_volume
from .models import Pool, Volume
from .rules import FORMATS, gone, in_use_by
from .secrets import encrypted

DAY_S = 24 * 3600
REPORT_EVERY_S = 0.5


@job_task(soft_time_limit=DAY_S)
def copy_volume(
    job: RunningJob,
    *,
    volume_id: int,
    pool_id: int,
    name: str,
    image_format: str,
    preallocation: Preallocation,
    luks: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Copy a volume; whatever stops it, the half copy is deleted again. An encrypted one has `luks`, as
    `encrypted.luks_arguments` gives it.
    """
    volume, pool = _rows(volume_id, pool_id)
    passphrase = encrypted.taken(luks)
    with volume.pool.host.connect() as conn:
        info = _look(job, conn, volume)
        if luks:
            info, image_format = _as_bytes(job, conn, volume, info, passphrase), "raw"
        wanted = VolumeXML(name=name, capacity_bytes=info.capacity_bytes, format=image_format)
        if pool.host_id != volume.pool.host_id:
            made = _copy_to_host(job, conn, info, pool, wanted, preallocation, luks, passphrase)
        else:
            writer = disk_users.only_writer(conn, info.path, info.name, may_share=True)
            made, _row = _make(job, conn, pool, wanted, preallocation)
            if writer and luks:  # started in this instant: its QEMU would copy what is in the disk, unencrypted
                raise encrypted.open_in(info.name, writer.guest)
            if writer:
                job.step(_("Copying while %(guest)s runs") % {"guest": writer.guest}, done=0, total=info.capacity_bytes)
                job.undo("storage.stop_copy", host_id=pool.host_id, uuid=writer.uuid, target=writer.target)
                frozen = disk_copy.copy_open_disk(
                    conn, writer.uuid, writer.target, _image(made), finish="stop", on_progress=reporter(job)
                )
                job.log(_frozen(frozen))
            else:
                _copy_at_rest(job, pool.host, conn, info, made)
            if luks:
                encrypted.secret_for_copy(job, pool, conn, made, luks, passphrase)
            refresh_pool(pool.host, conn, pool.name, rescan=True)
    row = Volume.objects.get(pool=pool, name=name)
    return {"volume_id": row.pk, "path": made.path}


@job_task(soft_time_limit=DAY_S)
def move_volume(
    job: RunningJob,
    *,
    volume_id: int,
    pool_id: int,
    name: str,
    image_format: str,
    preallocation: Preallocation,
    keep: bool,
    luks: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Move a volume with the guest that has it, running or not; whatever stops it, the guest has the disk it had."""
    volume, pool = _rows(volume_id, pool_id)
    host = pool.host
    passphrase = encrypted.taken(luks)
    with host.connect() as conn:
        info = _look(job, conn, volume)
        uses = disk_users.disk_uses(conn, info.path)
        if len({use.uuid for use in uses}) > 1 or any(not use.is_top for use in uses):
            sentence = _("%(name)s was not moved. These guests have it or lie on it: %(guests)s.")
            guests = ", ".join(sorted({use.guest for use in uses}))
            raise VolumeInUse(sentence % {"name": volume.name, "guests": guests})
        writer = disk_users.only_writer(conn, info.path, info.name)
        anew = bool(writer and luks and luks["anew"])
        if luks and not anew:
            info, image_format = _as_bytes(job, conn, volume, info, passphrase), "raw"
        wanted = VolumeXML(name=name, capacity_bytes=info.capacity_bytes, format=image_format)
        if luks and anew:
            encrypted.secret_for_new(job, pool, conn, name, luks, passphrase)
            wanted = replace(wanted, luks_secret=luks["uuid"])
        made, _row = _make(job, conn, pool, wanted, preallocation)
        image = replace(_image(made), format=volume.format, is_encrypted=True) if luks else _image(made)
        job.undo(
            "storage.settle_move",
            host_id=host.pk,
            uuid=uses[0].uuid if uses else "",
            target=uses[0].target if uses else "",
            new=[pool.name, name, made.path],
            old=[volume.pool.name, volume.name],
            keep=keep,
            secret=luks["uuid"] if luks else "",
        )
        job.row.journal.filter(verb=UNDO).delete()  # settling the move decides about the copy, too
        if luks and anew:
            job.row.journal.filter(verb=encrypted.UNDO, arguments__uuid=luks["uuid"]).delete()  # and about its secret
        if writer:
            job.step(_("Copying while %(guest)s runs") % {"guest": writer.guest}, done=0, total=info.capacity_bytes)
            disk_copy.copy_open_disk(conn, writer.uuid, writer.target, image, finish="pivot", on_progress=reporter(job))
            job.log(_("%(guest)s goes on with the copy.") % {"guest": writer.guest})
        else:
            _copy_at_rest(job, pool.host, conn, info, made)
            job.check_cancelled()
            if started := disk_users.only_writer(conn, info.path, info.name):  # beside kvmweb, in the last instant
                raise in_use_by(volume.name, [started.guest])
            if luks:
                encrypted.secret_for_copy(job, pool, conn, made, luks, passphrase)
                job.row.journal.filter(verb=encrypted.UNDO, arguments__uuid=luks["uuid"]).delete()
            for use in uses:
                _point_at(conn, use.uuid, use.target, image)
        for use in uses:
            guest_changed(host, conn, use.uuid)
        _put_away(job, conn, volume, keep)
        refresh_pool(host, conn, pool.name, rescan=True)
        publish("volumes", "pools")
        new = Volume.objects.get(pool=pool, name=name)
        for use in uses:
            guest_changed(host, conn, use.uuid)
    return {"volume_id": new.pk, "path": made.path}


@undo("storage.stop_copy")
def stop_copy(*, host_id: int, uuid: str, target: str) -> None:
    """Of a copy of a running guest's disk that is under way: the guest goes on as it was."""
    with Host.objects.get(pk=host_id).connect() as conn:
        disk_copy.stop_copy(conn, uuid, target)


@undo("storage.settle_move")
def settle_move(
    *, host_id: int, uuid: str, target: str, new: list[str], old: list[str], keep: bool, secret: str = ""
) -> None:
    """Of a move that stopped half way: a guest that has the copy already keeps it, else the copy goes.

    Unless the original is gone already: the copy is then all there is, and never taken back. `secret` is that of an
    encrypted copy.
    """
    host = Host.objects.get(pk=host_id)
    with host.connect() as conn:
        if uuid:
            disk_copy.stop_copy(conn, uuid, target)
        moved = bool(disk_users.disk_uses(conn, new[2])) or not _is_there(conn, *old)
        if moved and not keep:
            with suppress(VolumeNotFound, PoolNotFound):
                path = volumes.volume_info(conn, *old).path
                if not disk_users.disk_uses(conn, path):
                    volumes.delete_volume(conn, *old)
                    if secret:
                        encrypted.forget_passphrase(host, conn, path)
                    refresh_pool(host, conn, old[0])
        if uuid:
            guest_changed(host, conn, uuid)
    if not moved:
        if secret:
            encrypted.delete_secret(host_id=host_id, uuid=secret)
        take_back_volume(host_id=host_id, pool=new[0], name=new[1])


def _is_there(conn: Connection, pool: str, name: str) -> bool:
    try:
        volumes.volume_info(conn, pool, name)
    except (VolumeNotFound, PoolNotFound):
        return False
    return True


def reporter(job: RunningJob) -> Callable[[int, int], None]:
    """Moves the bar, and learns of a wish to stop, now and then: each time costs a few queries."""
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_EVERY_S:
            last = now
            job.progress(done, total)

    return report


def _rows(volume_id: int, pool_id: int) -> tuple[Volume, Pool]:
    volume = Volume.objects.select_related("pool__host").get(pk=volume_id)
    return volume, Pool.objects.select_related("host").get(pk=pool_id)


def _look(job: RunningJob, conn: Connection, volume: Volume) -> VolumeInfo:
    """The volume as it is now."""
    job.step(_("Looking at %(name)s") % {"name": volume.name})
    if refresh_pool(volume.pool.host, conn, volume.pool.name, rescan=True) is None:
        raise gone(volume.pool.name, volume.pool.host.name)
    info = volumes.volume_info(conn, volume.pool.name, volume.name)
    image_check.check_image(conn, volume.pool.name, volume.name)
    if info.encryption and not volume.encryption:
        raise WrongState(_("%(name)s is encrypted, which was not known yet. Try again.") % {"name": volume.name})
    return info


def _as_bytes(job: RunningJob, conn: Connection, volume: Volume, info: VolumeInfo, passphrase: bytes) -> VolumeInfo:
    """An encrypted volume as it is copied: the bytes of its file. A passphrase that was given opens it."""
    found = encrypted.as_bytes(conn, info)
    if passphrase:
        encrypted.try_passphrase(job, conn, volume, passphrase)
    return found


def _make(
    job: RunningJob, conn: Connection, pool: Pool, wanted: VolumeXML, preallocation: Preallocation
) -> tuple[VolumeInfo, Volume]:
    job.step(_("Making %(name)s in the pool %(pool)s") % {"name": wanted.name, "pool": pool.name})
    return make_volume(job, pool.host, conn, pool.name, wanted, preallocation=preallocation)


def _image(info: VolumeInfo) -> Image:
    return Image(path=info.path, format=_format(info), is_block=info.type == "block")


def _format(info: VolumeInfo) -> str:
    return info.format if info.format in FORMATS else "raw"


def _copy_at_rest(job: RunningJob, host: Host, conn: Connection, info: VolumeInfo, made: VolumeInfo) -> None:
    job.step(_("Copying %(name)s") % {"name": info.name}, done=0, total=info.capacity_bytes)
    if {info.type, made.type} <= {"file", "block"}:
        with disk_copy.at_rest(conn, _image(info)) as (uuid, target):
            disk_copy.copy_open_disk(conn, uuid, target, _image(made), finish="stop", on_progress=reporter(job))
        return
    if _format(info) != _format(made):
        sentence = _(
            "%(name)s keeps its format where its pool is reached over the network. Copy it without converting."
        )
        raise NotSupported(sentence % {"name": info.name})
    with host.connect() as other:
        _send_bytes(job, conn, info, other, made)


def _send_bytes(job: RunningJob, conn: Connection, info: VolumeInfo, there: Connection, made: VolumeInfo) -> None:
    """The bytes pass through this process, a piece at a time."""
    report = reporter(job)
    total = max(info.allocation_bytes, 1) if _format(info) == "qcow2" else info.capacity_bytes
    pieces = transfer.download(conn, info.pool, info.name)
    is_new_file = made.type == "file" and _format(made) == "raw"  # of zeros all through
    transfer.upload(
        there,
        made.pool,
        made.name,
        transfer.without_zeros(pieces) if is_new_file else pieces,
        length=0,
        has_holes=is_new_file,
        on_progress=lambda done: report(min(done, total), total),
    )


def _copy_to_host(
    job: RunningJob,
    conn: Connection,
    info: VolumeInfo,
    pool: Pool,
    wanted: VolumeXML,
    preallocation: Preallocation,
    luks: dict[str, Any] | None,
    passphrase: bytes,
) -> VolumeInfo:
    with pool.host.connect() as there:
        made, _row = _make(job, there, pool, wanted, preallocation)
        job.step(_("Sending %(name)s to %(host)s") % {"name": info.name, "host": pool.host.name})
        _send_bytes(job, conn, info, there, made)
        if luks:
            encrypted.check_unwritten(conn, info)  # nor since, by a guest that somebody started beside kvmweb
            encrypted.secret_for_copy(job, pool, there, made, luks, passphrase)
        refresh_pool(pool.host, there, pool.name, rescan=True)
    return made


def _point_at(conn: Connection, uuid: str, target: str, image: Image) -> None:
    """Have a guest that is off start with that image from now on."""
    document = DomainXML(domains.domain_xml(conn, uuid, secure=True))
    document.set_disk_image(
        target, image.path, image_format=image.format, is_block=image.is_block, is_encrypted=image.is_encrypted
    )
    domains.define(conn, document.to_xml())


def _put_away(job: RunningJob, conn: Connection, volume: Volume, keep: bool) -> None:
    """The original, which nobody uses any more."""
    if keep:
        job.log(_("%(name)s stays in the pool %(pool)s, unused.") % {"name": volume.name, "pool": volume.pool.name})
        return
    try:
        if uses := disk_users.disk_uses(conn, volume.path):  # another guest took it meanwhile, or a definition kept it
            raise in_use_by(volume.name, sorted({use.guest for use in uses}))
        volumes.delete_volume(conn, volume.pool.name, volume.name)
        if volume.encryption and (said := encrypted.forget_passphrase(volume.pool.host, conn, volume.path)):
            job.log(said)
    except VirtError as error:
        job.log(_("%(name)s was moved, but the original could not be deleted: %(error)s") % _words(volume, error))
    else:
        Volume.objects.filter(pk=volume.pk).delete()
        job.log(_("The original was deleted."))
    refresh_pool(volume.pool.host, conn, volume.pool.name)


def _words(volume: Volume, error: VirtError) -> dict[str, str]:
    return {"name": volume.name, "error": str(error)}


def _frozen(frozen: bool) -> str:
    if frozen:
        return _("The guest's file systems were held still for it by its agent.")
    return _("The copy is as after a power cut: the guest has no agent that could write its file systems out.")
