"""Copying images to other hosts: what pages and REST call.

The caller has asked `permitted` for the image ("view") and for the pools ("create").
"""

from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from jobs.models import Job, Ref
from storage.models import ImageCopy, Iso, Pool
from storage.rules import check_active, check_readable, check_writable
from virt.errors import Invalid, WrongState

from . import tasks

MAX_POOLS = 100


def copy_image(iso: Iso, pools: Iterable[Pool], *, by: User, keep_in_step: bool = False) -> list[Job]:
    """Copy an image into pools of any hosts, a job for each. With `keep_in_step` it is copied again when it changes.

    Raises Invalid (field "pools"), WrongState or Busy; then no job was started.
    """
    wanted = list(pools)
    if not wanted or len(wanted) > MAX_POOLS:
        raise Invalid(_("Choose from 1 to %(number)d pools.") % {"number": MAX_POOLS}, field="pools")
    if any(pool.pk == iso.volume.pool_id for pool in wanted):
        sentence = _("%(name)s is in the pool %(pool)s already: choose others.")
        raise Invalid(sentence % {"name": iso.name, "pool": iso.volume.pool.name}, field="pools")
    with transaction.atomic():
        for pool in wanted:
            ImageCopy.objects.update_or_create(
                iso=iso, pool=pool, defaults={"keep_in_step": keep_in_step, "created_by": by}
            )
        return [start_copy(iso, pool, by=by) for pool in wanted]


def start_copy(iso: Iso, pool: Pool, *, by: User | None) -> Job:
    """Start the job for one pool. Raises Busy, or WrongState when either side is not there now."""
    if iso.volume.missing_since:
        raise WrongState(_("%(name)s is not in its pool any more.") % {"name": iso.name})
    check_active(iso.volume.pool)
    check_active(pool)
    check_writable(pool)
    check_readable(iso.volume)
    copy = ImageCopy.objects.get(iso=iso, pool=pool)
    return Job.start(
        tasks.copy_image,
        title=_("Copy %(name)s to %(host)s") % {"name": iso.name, "host": pool.host.name},
        by=by,
        objects=[
            Ref("iso", iso.pk, iso.name),
            Ref("copy", copy.pk, iso.name, exclusive=True),
            Ref("pool", pool.pk, pool.name),
            Ref("host", pool.host_id, pool.host.name),
        ],
        iso_id=iso.pk,
        pool_id=pool.pk,
    )


def let_go(copy: ImageCopy) -> None:
    """Keep a copy in step no longer; its file stays."""
    copy.keep_in_step = False
    copy.save(update_fields=["keep_in_step"])
