"""What services ask before a job on a volume starts, and what such a job holds."""

from typing import get_args

from django.utils.translation import gettext as _

from jobs.models import Ref
from virt.errors import Invalid, WrongState
from virt.volumes import Preallocation

from .models import Pool, Volume
from .rules import FILE_POOLS, FORMATS, check_active

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


def check_present(volume: Volume) -> None:
    """Raise WrongState or PoolNotFound when nothing can be done with the volume now."""
    if volume.missing_since:
        raise WrongState(_("%(name)s is not in its pool any more.") % {"name": volume.name})
    check_active(volume.pool)


def volume_ref(volume: Volume) -> Ref:
    return Ref("volume", volume.pk, volume.name, exclusive=True)


def host_ref(pool: Pool) -> Ref:
    return Ref("host", pool.host_id, pool.host.name)
