"""Importing disks and machines of other hypervisors: what pages and REST call.

The caller has asked `permitted` for the image ("view") and for the pool ("create").
"""

from django.utils.translation import gettext as _

from accounts.models import User
from jobs.models import Job, Ref
from storage.checks import check_format
from storage.fetching.unpack import name_from
from storage.making import exists_already
from storage.models import Iso, Pool
from storage.rules import check_active, check_room, check_writable
from virt import validate
from virt.errors import Invalid, WrongState

from . import tasks


def inspect_appliance(iso: Iso, *, by: User) -> Job:
    """Look what is in it: firmware, buses, sizes, missing drivers. Raises WrongState or Busy."""
    _check_there(iso)
    return Job.start(
        tasks.inspect_appliance,
        title=_("Look into %(name)s") % {"name": iso.name},
        by=by,
        objects=[Ref("iso", iso.pk, iso.name, exclusive=True)],
        iso_id=iso.pk,
    )


def unpack_image(iso: Iso, *, by: User) -> Job:
    """Unpack a packed image (.gz, .bz2, .xz, .zst) into a new one beside it. Raises Invalid, VolumeExists or Busy."""
    _check_there(iso)
    pool, name = iso.volume.pool, name_from(iso.name)
    if name == iso.name:
        raise Invalid(_("%(name)s is not packed: its name ends in none of .gz, .bz2, .xz, .zst.") % {"name": iso.name})
    if pool.volumes.filter(name=name, missing_since=None).exists():
        raise exists_already(name, pool.name)
    return Job.start(
        tasks.unpack_image,
        title=_("Unpack %(name)s") % {"name": iso.name},
        by=by,
        objects=[Ref("iso", iso.pk, iso.name, exclusive=True), Ref("pool", pool.pk, pool.name)],
        iso_id=iso.pk,
        name=validate.volume_name(name),
    )


def import_disks(iso: Iso, pool: Pool, name: str, *, by: User, image_format: str = "qcow2") -> Job:
    """Convert the disks of an inspected appliance into volumes of `pool`, which is on the same host.

    Raises Invalid (field "name", "format" or "pool"), VolumeExists, PoolFull, WrongState or Busy.
    """
    _check_there(iso)
    if pool.host_id != iso.volume.pool.host_id:
        sentence = _("%(name)s is on %(host)s, and so must be the pool. Copy the file to the other host first.")
        raise Invalid(sentence % {"name": iso.name, "host": iso.volume.pool.host.name}, field="pool")
    check_active(pool)
    check_writable(pool)
    check_format(pool, image_format)
    disks = iso.found.get("disks", [])
    if not disks:
        raise WrongState(_("Nobody has looked into %(name)s yet. Do that first.") % {"name": iso.name})
    targets = [tasks.disk_name(validate.volume_name(name), n + 1, len(disks), image_format) for n in range(len(disks))]
    for target in targets:
        if pool.volumes.filter(name=validate.volume_name(target), missing_since=None).exists():
            raise exists_already(target, pool.name)
    for disk in disks:
        if disk["capacity_bytes"]:
            check_room(pool, disk["capacity_bytes"], image_format=image_format)
    return Job.start(
        tasks.import_disks,
        title=_("Import %(name)s") % {"name": iso.name},
        by=by,
        objects=[
            Ref("iso", iso.pk, iso.name, exclusive=True),
            Ref("volume", iso.volume_id, iso.name, exclusive=True),
            Ref("pool", pool.pk, pool.name),
            Ref("host", pool.host_id, pool.host.name),
        ],
        iso_id=iso.pk,
        pool_id=pool.pk,
        name=name,
        image_format=image_format,
    )


def _check_there(iso: Iso) -> None:
    if iso.volume.missing_since:
        raise WrongState(_("%(name)s is not in its pool any more.") % {"name": iso.name})
    check_active(iso.volume.pool)
    if iso.is_iso9660:
        raise WrongState(_("%(name)s is an install disc, not a disk: make a guest that boots it.") % {"name": iso.name})
