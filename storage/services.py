"""What can be done with pools, volumes and images. The caller has asked `permitted` for the objects that it passes."""

from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from hosts.maintenance import require_open
from jobs.live import publish
from jobs.models import Busy, Job, Ref
from jobs.tasks import JobTask
from virt import osinfo, validate
from virt.errors import Invalid, NotSupported, VolumeInUse, WrongState

from . import tasks
from .checks import PREALLOCATIONS, check_backing, check_format, check_present, host_ref, volume_ref
from .copying import copy_volume as copy_volume
from .copying import move_volume as move_volume
from .images import refs, start_check, tell
from .making import exists_already
from .models import Iso, Pool, Upload, Volume
from .names import valid_sha256
from .rules import (
    DELETING_POOLS,
    FILE_POOLS,
    FORMATS,
    RESIZING_POOLS,
    WIPING_POOLS,
    check_active,
    check_makes,
    check_room,
    check_unused,
    gib,
    overlays_of,
)
from .secrets.encrypted import check_encryptable, check_plain, luks_arguments


# --- pools ------------------------------------------------------------------------------------------------------------
def start_pool(pool: Pool, *, by: User) -> Job:
    """Make the pool's volumes usable. Started already is not an error. Raises Busy."""
    return _pool_job(tasks.start_pool, pool, _("Start the pool %(pool)s"), by)


def stop_pool(pool: Pool, *, by: User) -> Job:
    """Take the pool out of use; its files stay, guests that run go on. Stopped already is not an error. Raises Busy."""
    return _pool_job(tasks.stop_pool, pool, _("Stop the pool %(pool)s"), by)


def refresh_pool(pool: Pool, *, by: User) -> Job:
    """Look at the pool's files again. Raises Busy, or WrongState when it is stopped."""
    check_active(pool)
    return _pool_job(tasks.refresh_pool, pool, _("Look at the files in the pool %(pool)s"), by)


def set_pool_autostart(pool: Pool, autostart: bool, *, by: User) -> Job:
    """Start the pool with its host, or no longer. Raises Busy."""
    on, off = _("Start the pool %(pool)s with its host"), _("Do not start the pool %(pool)s with its host")
    return _pool_job(tasks.set_pool_autostart, pool, on if autostart else off, by, autostart=autostart)


def _pool_job(task: JobTask, pool: Pool, title: str, by: User, **arguments: Any) -> Job:
    if pool.missing_since:
        check_active(pool)
    held = [Ref("pool", pool.pk, pool.name, exclusive=True), host_ref(pool)]
    job = Job.start(task, title=title % {"pool": pool.name}, by=by, objects=held, pool_id=pool.pk, **arguments)
    publish("pools")  # the list does not follow each of its rows
    return job


# --- volumes ----------------------------------------------------------------------------------------------------------
def create_volume(
    pool: Pool,
    name: str,
    capacity_bytes: int,
    image_format: str = "qcow2",
    *,
    by: User,
    preallocation: str = "none",
    backing: Volume | None = None,
    encryption: str = "",
    passphrase: str = "",
    keep_passphrase: bool = True,
) -> Job:
    """Make a volume: empty, or an overlay that holds only what differs from `backing`.

    The format "luks" is a raw disk with the `encryption` "luks", which a qcow2 may have, too. The host gets the
    `passphrase`, and without `keep_passphrase` forgets it when its libvirt is restarted.

    In a pool of the type disk it is a partition, whose name the kernel chooses: `name` is empty then.

    `preallocation` "full" takes its space at once, "metadata" that of a qcow2's tables, "none" as it is written to.
    Raises Invalid (field "name", "capacity_bytes", "format", "preallocation", "backing", "encryption" or "passphrase"),
    VolumeExists, PoolFull, VolumeInUse or WrongState.
    """
    require_open(pool.host)
    check_makes(pool)
    name = _name_in(pool, name)
    capacity_bytes = validate.disk_bytes(capacity_bytes)
    if encryption not in ("", "luks"):
        raise Invalid(_("A volume is encrypted with luks, or not at all."), field="encryption")
    if image_format == "luks":
        image_format, encryption = "raw", "luks"
    check_format(pool, image_format)
    if encryption:
        check_encryptable(pool, passphrase, has_backing=backing is not None)
    if preallocation not in PREALLOCATIONS:
        choices = ", ".join(PREALLOCATIONS)
        raise Invalid(_("The preallocation must be one of: %(choices)s.") % {"choices": choices}, field="preallocation")
    check_active(pool)
    if backing:
        check_backing(backing, pool, capacity_bytes, image_format, preallocation)
    if pool.volumes.filter(name=name, missing_since=None).exists():
        raise exists_already(name, pool.name)
    check_room(pool, capacity_bytes, image_format=image_format, in_full=preallocation == "full")
    objects = [Ref("pool", pool.pk, pool.name), host_ref(pool)]
    title = _("Create the volume %(name)s") if name else _("Make a partition in the pool %(pool)s")
    title = title % {"name": name, "pool": pool.name}
    with transaction.atomic():
        return Job.start(
            tasks.create_volume,
            title=title,
            by=by,
            objects=[*objects, volume_ref(backing)] if backing else objects,
            pool_id=pool.pk,
            name=name,
            capacity_bytes=capacity_bytes,
            image_format=image_format,
            preallocation=preallocation,
            backing_id=backing.pk if backing else None,
            luks=luks_arguments(str(uuid4()), passphrase, keep=keep_passphrase) if encryption else None,
        )


def _name_in(pool: Pool, name: str) -> str:
    """The name of a new volume; "" for a partition. Raises Invalid."""
    if pool.type != "disk":
        return validate.volume_name(name)
    if name:
        sentence = _("The volumes of the pool %(pool)s are partitions, which the kernel names. Leave the name empty.")
        raise Invalid(sentence % {"pool": pool.name}, field="name")
    return ""


def resize_volume(volume: Volume, capacity_bytes: int, *, by: User, shrink: bool = False) -> Job:
    """Grow a volume; a running guest that has it sees the new size at once.

    With `shrink` it may become smaller, while no guest runs with it; the job then proves that nothing lies in the part
    that goes, and refuses otherwise. Raises Invalid (field "capacity_bytes"), VolumeInUse, PoolFull or WrongState.
    """
    capacity_bytes = validate.disk_bytes(capacity_bytes)
    check_resizable(volume)
    words = {"name": volume.name, "size": gib(volume.capacity_bytes)}
    if capacity_bytes == volume.capacity_bytes:
        raise Invalid(_("%(name)s has %(size)s already.") % words, field="capacity_bytes")
    if capacity_bytes < volume.capacity_bytes:
        if not shrink:
            sentence = _("%(name)s has %(size)s already. Allow it to be made smaller, or ask for more.")
            raise Invalid(sentence % words, field="capacity_bytes")
        check_shrinkable(volume)
    else:
        check_room(volume.pool, capacity_bytes, now_bytes=volume.capacity_bytes, image_format=volume.format)
    title = (
        _("Grow %(name)s to %(size)s") if capacity_bytes > volume.capacity_bytes else _("Shrink %(name)s to %(size)s")
    )
    return Job.start(
        tasks.resize_volume,
        title=title % {"name": volume.name, "size": gib(capacity_bytes)},
        by=by,
        objects=[volume_ref(volume), Ref("pool", volume.pool_id, volume.pool.name), host_ref(volume.pool)],
        volume_id=volume.pk,
        capacity_bytes=capacity_bytes,
        shrink=shrink,
    )


def check_resizable(volume: Volume) -> None:
    """Raise NotSupported, WrongState or VolumeInUse when the volume cannot be given another size now."""
    check_present(volume)
    if volume.pool.type not in RESIZING_POOLS:
        sentence = _(
            "%(name)s keeps its size: libvirt changes that of no volume in a pool of the type %(type)s. Change it on "
            "the storage itself, then refresh the pool."
        )
        raise NotSupported(sentence % {"name": volume.name, "type": volume.pool.type})
    if volume.format not in FORMATS and volume.pool.type in FILE_POOLS:
        sentence = _("%(name)s is not a disk that can grow: its format is %(format)s.")
        raise WrongState(sentence % {"name": volume.name, "format": volume.format or _("unknown")})
    if overlay := overlays_of(volume).first():
        sentence = _("%(name)s keeps its size: the volume %(overlay)s lies on it.")
        raise VolumeInUse(sentence % {"name": volume.name, "overlay": overlay.name})
    running = [disk.guest.name for disk in _disks(volume) if disk.guest.is_on]
    if len(running) > 1:
        sentence = _("%(name)s keeps its size: more than one running guest has it (%(guests)s and others).")
        raise VolumeInUse(sentence % {"name": volume.name, "guests": running[0]})


def _disks(volume: Volume) -> list[Any]:
    """Rows of the room above: the drives of guests that have the volume."""
    return list(volume.used_by.filter(guest__missing_since=None).select_related("guest").order_by("guest__name"))


def check_shrinkable(volume: Volume) -> None:
    """Raise VolumeInUse while a guest runs with it, NotSupported when nobody sees what lies in its end."""
    check_plain(volume, _("%(name)s is encrypted: whether its end is empty cannot be seen, so it only grows."))
    for disk in _disks(volume):
        if disk.guest.is_on:
            sentence = _("%(name)s was not made smaller. The running guest %(guest)s has it open. Shut it down first.")
            raise VolumeInUse(sentence % {"name": volume.name, "guest": disk.guest.name})


def wipe_volume(volume: Volume, *, by: User) -> Job:
    """Overwrite a volume with zeros; it stays where it is, empty. Raises VolumeInUse, WrongState or Busy."""
    check_wipeable(volume)
    return Job.start(
        tasks.wipe_volume,
        title=_("Wipe %(name)s") % {"name": volume.name},
        by=by,
        objects=[volume_ref(volume), Ref("pool", volume.pool_id, volume.pool.name), host_ref(volume.pool)],
        volume_id=volume.pk,
    )


def check_wipeable(volume: Volume) -> None:
    """Raise VolumeInUse, naming who needs what is on it, NotSupported, or WrongState when its pool is stopped."""
    check_present(volume)
    if volume.pool.type not in WIPING_POOLS:
        sentence = _("%(name)s was not wiped: libvirt does not do that in a pool of the type %(type)s.")
        raise NotSupported(sentence % {"name": volume.name, "type": volume.pool.type})
    check_unused(volume)


def delete_volume(volume: Volume, *, by: User) -> Job:
    """Delete the file and all that is in it; of a volume that is missing only the row. Raises VolumeInUse or Busy."""
    check_deletable(volume)
    iso = Iso.objects.filter(volume=volume).select_related("volume__pool__host").first()
    held = refs(iso) if iso else [volume_ref(volume)]
    job = Job.start(
        tasks.delete_volume,
        title=_("Delete %(name)s") % {"name": volume.name},
        by=by,
        objects=[*held, Ref("pool", volume.pool_id, volume.pool.name), host_ref(volume.pool)],
        volume_id=volume.pk,
    )
    publish("volumes", "isos")  # lists do not follow each of their rows
    return job


def check_deletable(volume: Volume) -> None:
    """Raise VolumeInUse, naming who uses it, NotSupported, or WrongState when its pool is stopped."""
    if volume.missing_since is None:
        if volume.pool.type not in DELETING_POOLS:
            sentence = _("%(name)s stays: the volumes of the pool %(pool)s are made and deleted by the storage itself.")
            raise NotSupported(sentence % {"name": volume.name, "pool": volume.pool.name})
        check_unused(volume)
        check_active(volume.pool)


# --- images -----------------------------------------------------------------------------------------------------------
def upload_finished(upload: Upload) -> Job:
    """The file of `upload` has its name: add its rows and start the job that checks it.

    Where a check of the same file is under way (the pool was looked at in this instant), it is that one.
    """
    with transaction.atomic():
        iso = _image_of(upload)
        try:
            with transaction.atomic():
                job = start_check(iso, by=upload.created_by)
        except Busy:
            mine = Job.objects.active().filter(kind="check_iso", objects_of__kind="iso", objects_of__object_id=iso.pk)
            if (found := mine.first()) is None:
                raise
            job = found
        Upload.objects.filter(pk=upload.pk).update(iso=iso, job=job)
    return job


def _image_of(upload: Upload) -> Iso:
    """The rows of a file that libvirt has not seen yet. What was known of an older file of that name is forgotten."""
    path = f"{upload.pool.target_path.rstrip('/')}/{upload.name}"
    volume, _made = Volume.objects.update_or_create(
        pool=upload.pool,
        name=upload.name,
        defaults={"path": path, "capacity_bytes": upload.size_bytes, "missing_since": None},
        create_defaults={"path": path, "capacity_bytes": upload.size_bytes, "allocation_bytes": upload.size_bytes},
    )
    expected = upload.sha256_expected.lower()
    fresh = {
        "sha256": "",
        "sha256_expected": expected,
        "file_bytes": upload.size_bytes,
        "inspected_at": None,
        "is_iso9660": None,
        "os_set_by_hand": False,
        "added_by": upload.created_by,
        "added_at": upload.completed_at or upload.touched_at,
    }
    iso, _made = Iso.objects.update_or_create(volume=volume, defaults=fresh)
    return iso


def inspect_iso(iso: Iso, *, by: User) -> Job:
    """Look at the image again and compute its SHA-256. Raises WrongState or Busy."""
    check_present(iso.volume)
    return start_check(iso, by=by)


def delete_iso(iso: Iso, *, by: User) -> Job:
    """Delete the image's file. Raises VolumeInUse, WrongState or Busy."""
    return delete_volume(iso.volume, by=by)


def set_os(iso: Iso, os_id: str, *, by: User) -> None:
    """Say which system is on the image; "" leaves it to the next look at the image. Raises Invalid (field "os_id")."""
    chosen = next((choice for choice in osinfo.list_os() if choice.id == os_id), None) if os_id else None
    if os_id and chosen is None:
        raise Invalid(_("There is no such system in the list. Choose one of GET /api/v1/isos/systems."), field="os_id")
    iso.os_id, iso.os_name = (chosen.id, chosen.name) if chosen else ("", "")
    iso.os_is_eol, iso.os_is_guess, iso.os_set_by_hand = bool(chosen and chosen.eol), False, chosen is not None
    iso.save(update_fields=["os_id", "os_name", "os_is_eol", "os_is_guess", "os_set_by_hand"])
    audit.record(by, "set_iso_os", kind="iso", object_id=iso.pk, name=iso.name, detail=os_id)
    tell(iso)


def set_sha256_expected(iso: Iso, sha256: str, *, by: User) -> None:
    """Say what the SHA-256 should be; "" when nobody knows. Raises Invalid (field "sha256_expected")."""
    wanted = valid_sha256(sha256, field="sha256_expected")
    iso.sha256_expected, iso.signed_by = wanted, ""  # somebody's word now, not the vendor's
    iso.save(update_fields=["sha256_expected", "signed_by"])
    audit.record(by, "set_iso_checksum", kind="iso", object_id=iso.pk, name=iso.name, detail=wanted)
    tell(iso)
