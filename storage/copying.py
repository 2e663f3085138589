"""Copying, converting and moving volumes: what is asked before the job starts. The jobs are in `copy_tasks`."""

import os.path
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.maintenance import require_open
from jobs.models import Job, Ref
from virt import validate
from virt.errors import Invalid, VolumeInUse, WrongState
from virt.secret_xml import check_passphrase

from . import copy_tasks
from .checks import PREALLOCATIONS, check_format, check_present, host_ref, volume_ref
from .making import exists_already
from .models import Pool, Volume
from .rules import FILE_POOLS, FORMATS, check_active, check_readable, check_room, check_writable, overlays_of
from .secrets import encrypted

READABLE = (*FORMATS, "iso", "")  # "": the pool's volumes are block devices


def copy_volume(
    volume: Volume,
    pool: Pool,
    name: str,
    *,
    by: User,
    image_format: str = "",
    preallocation: str = "none",
    passphrase: str = "",
    keep_passphrase: bool = True,
) -> Job:
    """Copy a volume into `pool`, which may be on another host, converting it where `image_format` is another one.

    A disk of a running guest is copied as it is at the copy's end. Nothing below it is needed by the copy.
    An encrypted one is copied byte for byte while nobody writes to it; its `passphrase` is tried on it first and given
    to the host of the copy, which without one waits for it.
    Raises Invalid (field "name", "format", "preallocation", "pool" or "passphrase"), VolumeExists, VolumeInUse,
    PoolFull, WrongState, HostInMaintenance or Busy.
    """
    require_open(pool.host)
    wanted = _wanted(volume, pool, name, image_format, preallocation, passphrase)
    if pool.host_id != volume.pool.host_id:
        _check_can_leave(volume, wanted["image_format"])
    with transaction.atomic():
        return Job.start(
            copy_tasks.copy_volume,
            title=_("Copy %(name)s to %(copy)s") % {"name": volume.name, "copy": wanted["name"]},
            by=by,
            objects=[
                volume_ref(volume),
                *_guest_refs(volume, held=bool(volume.encryption)),
                *_pool_refs(volume, pool),
            ],
            volume_id=volume.pk,
            pool_id=pool.pk,
            luks=_luks(volume, passphrase, keep_passphrase),
            **wanted,
        )


def move_volume(
    volume: Volume,
    pool: Pool,
    *,
    by: User,
    name: str = "",
    image_format: str = "",
    keep: bool = False,
    passphrase: str = "",
    keep_passphrase: bool = True,
) -> Job:
    """Move a volume to another pool of its host, or to another format, with the guest that has it, which may run.

    With `keep` the original stays, unused. An encrypted one that a guest has moves with its `passphrase`; while the
    guest runs it is encrypted anew at its new place, with any. Raises as `copy_volume`, and VolumeInUse when other
    volumes lie on it or several guests have it.
    """
    if pool.host_id != volume.pool.host_id:
        sentence = _("The pool %(pool)s is on %(host)s. A volume moves between the pools of one host; copy it instead.")
        raise Invalid(sentence % {"pool": pool.name, "host": pool.host.name}, field="pool")
    if hasattr(volume, "iso"):
        raise WrongState(_("%(name)s is in the ISO library. Copy it instead.") % {"name": volume.name})
    check_movable(volume)
    name = name or suggested_name(volume, pool, image_format)
    wanted = _wanted(volume, pool, name, image_format, "none", passphrase, may_run=True)
    anew = bool(volume.encryption and encrypted.writing_guest(volume))
    if anew:
        check_passphrase(passphrase)
    if volume.encryption and not passphrase and (disks := _disks(volume)):
        sentence = _("%(guest)s starts with %(name)s. Give the passphrase, so that it starts with it at its new place.")
        raise Invalid(sentence % {"guest": disks[0].guest.name, "name": volume.name}, field="passphrase")
    with transaction.atomic():
        return Job.start(
            copy_tasks.move_volume,
            title=_("Move %(name)s to the pool %(pool)s") % {"name": volume.name, "pool": pool.name},
            by=by,
            objects=[volume_ref(volume), *_guest_refs(volume, held=True), *_pool_refs(volume, pool)],
            volume_id=volume.pk,
            pool_id=pool.pk,
            keep=keep,
            luks=_luks(volume, passphrase, keep_passphrase, anew=anew),
            **wanted,
        )


def check_movable(volume: Volume) -> None:
    """Raise VolumeInUse when others would lose what they lie on, WrongState when it is not there."""
    check_present(volume)
    check_copyable(volume, may_run=True)
    if overlay := overlays_of(volume).first():
        sentence = _("%(name)s was not moved. The volume %(overlay)s lies on it and would not find it any more.")
        raise VolumeInUse(sentence % {"name": volume.name, "overlay": overlay.name})
    guests = sorted({disk.guest.name for disk in _disks(volume)})
    if len(guests) > 1:
        sentence = _("%(name)s was not moved. More than one guest has it: %(guests)s.")
        raise VolumeInUse(sentence % {"name": volume.name, "guests": ", ".join(guests)})


def check_copyable(volume: Volume, *, may_run: bool = False) -> None:
    """Raise NotSupported for what only a guest can read, VolumeInUse for an encrypted volume of a running guest unless
    that `may_run`.
    """
    check_readable(volume)
    encrypted.check_copyable(volume, may_run=may_run)


def suggested_name(volume: Volume, pool: Pool, image_format: str = "") -> str:
    """The volume's name, with the ending of its new format, that is free in `pool`."""
    wanted = image_format or volume.format
    stem, ending = os.path.splitext(volume.name)
    if ending.lstrip(".").lower() not in (*FORMATS, "luks"):
        stem, ending = volume.name, ""
    elif wanted in FORMATS and not volume.encryption:
        ending = f".{wanted}"
    name, number = f"{stem}{ending}", 1
    taken = set(pool.volumes.filter(missing_since=None, name__startswith=stem).values_list("name", flat=True))
    while name in taken:
        number += 1
        name = f"{stem}-{number}{ending}"
    return name


def format_in(pool: Pool, volume: Volume) -> str:
    """The format that a copy of the volume has in the pool unless another one is asked for."""
    if pool.type not in FILE_POOLS or volume.format not in FORMATS:
        return "raw"
    return volume.format


def _wanted(
    volume: Volume,
    pool: Pool,
    name: str,
    image_format: str,
    preallocation: str,
    passphrase: str,
    *,
    may_run: bool = False,
) -> dict[str, Any]:
    check_present(volume)
    check_copyable(volume, may_run=may_run)
    check_active(pool)
    check_writable(pool)
    if volume.format not in READABLE:
        sentence = _("%(name)s cannot be copied: kvmweb does not read the format %(format)s.")
        raise WrongState(sentence % {"name": volume.name, "format": volume.format})
    name = validate.volume_name(name)
    image_format = image_format or format_in(pool, volume)
    if volume.encryption:
        encrypted.check_copy(volume, pool, image_format, preallocation, passphrase)
    elif passphrase:
        raise Invalid(_("%(name)s is not encrypted.") % {"name": volume.name}, field="passphrase")
    check_format(pool, image_format)
    if preallocation not in PREALLOCATIONS:
        choices = ", ".join(PREALLOCATIONS)
        raise Invalid(_("The preallocation must be one of: %(choices)s.") % {"choices": choices}, field="preallocation")
    if pool.volumes.filter(name=name, missing_since=None).exists():
        raise exists_already(name, pool.name)
    # What a sparse copy takes is what the original holds, not what it promises.
    in_full = preallocation == "full" or pool.type not in FILE_POOLS
    room = volume.capacity_bytes if in_full else min(volume.allocation_bytes, volume.capacity_bytes)
    check_room(pool, room, image_format=image_format, in_full=True)
    return {"name": name, "image_format": image_format, "preallocation": preallocation}


def _luks(volume: Volume, passphrase: str, keep: bool, *, anew: bool = False) -> dict[str, Any] | None:
    """With `anew` the disk of a running guest gets that passphrase, which cannot be tried on the disk meanwhile."""
    if not volume.encryption:
        return None
    return {**encrypted.luks_arguments(str(uuid4()), passphrase, keep=keep), "anew": anew}


def _check_can_leave(volume: Volume, image_format: str) -> None:
    """To another host its bytes go as they are."""
    if volume.backing_path:
        sentence = _(
            "%(name)s lies on %(path)s, which the other host does not have. Copy it inside its own host first: that "
            "copy needs nothing below it."
        )
        raise WrongState(sentence % {"name": volume.name, "path": volume.backing_path})
    if image_format != (volume.format if volume.format in FORMATS else "raw"):
        sentence = _("On the way to another host a volume keeps its format. Copy it there, then convert it.")
        raise Invalid(sentence, field="format")
    for disk in _disks(volume):
        if disk.guest.is_on:
            sentence = _("The running guest %(guest)s writes to %(name)s. Copy it inside its host, then copy that.")
            raise VolumeInUse(sentence % {"guest": disk.guest.name, "name": volume.name})


def _disks(volume: Volume) -> list[Any]:
    """Rows of the room above: the drives of guests that have the volume."""
    return list(volume.used_by.filter(guest__missing_since=None).select_related("guest"))


def _guest_refs(volume: Volume, *, held: bool = False) -> list[Ref]:
    """The guests that have it; one that runs and writes to it must not be changed meanwhile, with `held` no one."""
    refs: dict[int, Ref] = {}
    for disk in _disks(volume):
        exclusive = held or (disk.guest.is_on and not disk.is_readonly)
        if exclusive or disk.guest_id not in refs:
            refs[disk.guest_id] = Ref("guest", disk.guest_id, disk.guest.name, exclusive=exclusive)
    return list(refs.values())


def _pool_refs(volume: Volume, pool: Pool) -> list[Ref]:
    pools = {volume.pool_id: volume.pool, pool.pk: pool}
    hosts = {each.host_id: host_ref(each) for each in pools.values()}
    return [*(Ref("pool", pk, each.name) for pk, each in pools.items()), *hosts.values()]
