"""What services ask before a job on a volume starts, and what such a job holds."""

from typing import get_args

from django.utils.translation import gettext as _

from jobs.models import Ref
from virt.errors import Invalid, VolumeInUse, WrongState
from virt.volumes import Preallocation

from .models import Pool, Volume
from .rules import FILE_POOLS, FORMATS, check_active, gib

PREALLOCATIONS: tuple[str, ...] = get_args(Preallocation)


def check_format(pool: Pool, image_format: str) -> None:
    """Raise Invalid unless volumes of `image_format` can be made in the pool."""
    if image_format not in FORMATS:
        raise Invalid(_("The format must be one of: %(formats)s.") % {"formats": ", ".join(FORMATS)}, field="format")
    if pool.type not in FILE_POOLS and image_format != "raw":
        sentence = _(
            "Volumes of the pool %(pool)s are block devices, which hold raw disks only. Choose the format raw."
        )
        raise Invalid(sentence % {"pool": pool.name}, field="format")


def check_backing(
    backing: Volume, pool: Pool, capacity_bytes: int, image_format: str, preallocation: str = "none"
) -> None:
    """Raise Invalid (field "backing"), VolumeInUse or WrongState unless an overlay in `pool` may lie on the volume.

    Whatever writes to it afterwards destroys the overlay: no guest may have it as its own disk.
    """
    check_present(backing)
    words = {"name": backing.name, "host": pool.host.name, "size": gib(backing.capacity_bytes)}
    if backing.encryption:
        sentence = _("%(name)s is encrypted. What lies on it would have to be, too, and is not made here.")
        raise Invalid(sentence % words, field="backing")
    if image_format != "qcow2":
        raise Invalid(_("Only a qcow2 can lie on another image."), field="format")
    if preallocation == "full":
        raise Invalid(_("An overlay takes its space as it is written to."), field="preallocation")
    if backing.pool.host_id != pool.host_id:
        raise Invalid(_("%(name)s is not on %(host)s.") % words, field="backing")
    if backing.pool.type not in FILE_POOLS | {"logical"} or backing.format not in (*FORMATS, ""):
        sentence = _("No overlay can lie on %(name)s: only on disks that are files or logical volumes.")
        raise Invalid(sentence % words, field="backing")
    if capacity_bytes < backing.capacity_bytes:
        sentence = _("%(name)s has %(size)s. What lies on it must be at least as large.")
        raise Invalid(sentence % words, field="capacity_bytes")
    if disk := backing.used_by.filter(guest__missing_since=None, is_readonly=False).select_related("guest").first():
        sentence = _("The guest %(guest)s writes to %(name)s, which would destroy what lies on it. Copy it first.")
        raise VolumeInUse(sentence % {**words, "guest": disk.guest.name})


def check_present(volume: Volume) -> None:
    """Raise WrongState or PoolNotFound when nothing can be done with the volume now."""
    if volume.missing_since:
        raise WrongState(_("%(name)s is not in its pool any more.") % {"name": volume.name})
    check_active(volume.pool)


def volume_ref(volume: Volume) -> Ref:
    return Ref("volume", volume.pk, volume.name, exclusive=True)


def host_ref(pool: Pool) -> Ref:
    return Ref("host", pool.host_id, pool.host.name)
