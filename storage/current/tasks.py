"""Asking vendors by itself, and the job that removes an image that a newer one has taken the place of."""

import time
from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.live import publish
from jobs.models import Busy, Job, Ref
from jobs.tasks import RunningJob, job_task
from storage import catalogue, media
from storage.content import Progress
from storage.images import refs
from storage.inventory import refresh_pool
from storage.models import Iso, Pool, Volume
from storage.tasks import delete_volume
from virt.connection import Connection
from virt.errors import UserError, VolumeInUse, VolumeNotFound, WrongState

from . import keeping
from .formers import removable
from .models import FormerImage, KeptImage, next_day

log = structlog.get_logger(__name__)
REMOVED_AT_ONCE = 20
ASKING_S = 120.0  # then the rest waits for the next time: where no vendor answers, each takes half a minute
CLAIM = timedelta(hours=1)  # whoever dies in the middle leaves it to the next one after that
DAY_S = 24 * 3600


@shared_task(name="storage.current.tasks.look", ignore_result=True, soft_time_limit=600)
def look() -> None:
    """Ask the vendors whose turn it is, start the jobs that follow from that, and remove what nothing uses any more."""
    due = KeptImage.objects.filter(ask_at__lte=timezone.now()).order_by("ask_at").values_list("entry", flat=True)
    end = time.monotonic() + ASKING_S
    for key in dict.fromkeys(due):
        if time.monotonic() < end:
            _ask(key)
    for former in removable().filter(try_at__lte=timezone.now())[:REMOVED_AT_ONCE]:
        _start_removal(former)


def _ask(key: str) -> None:
    """Read the vendor's list once for all pools that keep the entry current."""
    rows = KeptImage.objects.filter(entry=key)
    if not rows.filter(ask_at__lte=timezone.now()).update(ask_at=timezone.now() + CLAIM):
        return  # another worker is at it
    try:
        entry = catalogue.find(key)
        found = catalogue.current(entry)
    except UserError as error:
        log.warning("vendor not asked", entry=key, error=str(error), details=error.details)
        for kept in rows:
            _note(kept, str(error))
        return
    for kept in rows.select_related("iso__volume", "pool__host", "created_by"):
        try:
            _follow(kept, entry, found)
        except Busy:  # somebody fetches it by hand
            _note(kept, kept.problem)
        except UserError as error:
            _note(kept, str(error))


def _follow(kept: KeptImage, entry: catalogue.Entry, found: catalogue.Current) -> None:
    """Start the job where there is something newer. Raises UserError where that cannot be."""
    from .services import fetch_newer  # the services start these tasks

    _check(kept)
    if keeping.is_newer(kept, entry, found):
        fetch_newer(kept, by=kept.created_by)
    else:
        KeptImage.objects.filter(pk=kept.pk).update(job=None)  # one that failed is of no interest any more
    _note(kept, "")


def _check(kept: KeptImage) -> None:
    host = kept.pool.host
    if host.state != Host.State.CONNECTED:
        raise WrongState(_("There is no contact with %(host)s now.") % {"host": host.name})
    if kept.iso.volume.missing_since:
        raise WrongState(_("The file is not in its pool any more. “Ask now” fetches it again."))
    by = kept.created_by
    if by is None or not Pool.objects.permitted(by, "create").filter(pk=kept.pool_id).exists():
        sentence = _("Whoever wanted it may not put files into the pool any more. Somebody who may can choose it anew.")
        raise WrongState(sentence)


def _note(kept: KeptImage, problem: str) -> None:
    """What came of the question. The next one is in a day, whatever it was."""
    KeptImage.objects.filter(pk=kept.pk).update(problem=problem, asked_at=timezone.now(), ask_at=next_day())
    publish(f"iso-{kept.iso_id}")


def _start_removal(former: FormerImage) -> None:
    if not FormerImage.objects.filter(pk=former.pk, try_at=former.try_at).update(try_at=next_day()):
        return  # another worker is at it
    by = former.kept.created_by
    iso = Iso.objects.select_related("volume__pool__host").get(pk=former.iso_id)
    if by is None or not Iso.objects.permitted(by, "delete").filter(pk=iso.pk).exists():
        return
    pool = iso.volume.pool
    try:
        Job.start(
            remove_former,
            title=_("Remove %(name)s, which a newer image has replaced") % {"name": iso.name},
            by=by,
            objects=[*refs(iso), Ref("pool", pool.pk, pool.name), Ref("host", pool.host_id, pool.host.name)],
            former_id=former.pk,
        )
    except Busy:  # somebody uses it in this moment
        return
    publish("isos")


@job_task(soft_time_limit=DAY_S)
def remove_former(job: RunningJob, *, former_id: int) -> dict[str, Any]:
    """Delete an image that a newer one has taken the place of, if nothing uses it and it is still what was fetched.

    What is in use stays, and is looked at again the next day; what was changed stays for good.
    """
    former = FormerImage.objects.select_related("iso__volume__pool__host").filter(pk=former_id).first()
    if former is None:
        return {"removed": False}
    volume, pool = former.iso.volume, former.iso.volume.pool
    with pool.host.connect() as conn:
        job.step(_("Looking who uses %(name)s") % {"name": volume.name})
        refresh_pool(pool.host, conn, pool.name, rescan=True)
        if not _may_go(job, former):
            return {"removed": False}
        job.step(_("Looking whether %(name)s is still as it was fetched") % {"name": volume.name})
        found = _content(job, conn, volume)
    if found not in (former.sha256, None):
        former.delete()
        job.log(_("It was changed since it was fetched, so it stays."))
        return {"removed": False}
    try:
        if not _may_go(job, former):  # it took a while
            return {"removed": False}
        delete_volume.function(job, volume_id=volume.pk)
    except VolumeInUse as error:
        job.log(str(error))
        return {"removed": False}
    return {"removed": True}


def _content(job: RunningJob, conn: Connection, volume: Volume) -> str | None:
    """The SHA-256 of the file; None: it is gone, as after a removal whose worker was killed."""
    try:
        with media.open_image(conn, volume) as image:
            job.progress(0, image.size)
            return media.sha256(image, Progress(job, image.size))
    except VolumeNotFound:
        return None


def _may_go(job: RunningJob, former: FormerImage) -> bool:
    if removable(but=job.pk).filter(pk=former.pk).exists():
        return True
    job.log(_("Something uses it, so it stays for now."))
    return False
