"""What nobody came back for: abandoned parts, orphans, and uploads whose last step died with its process."""

import time
from collections import Counter
from datetime import timedelta

import structlog
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from storage.helper.parts import PartError
from storage.models import Pool, Upload
from virt.errors import UserError

from .lifecycle import ACTIVE, DIRECTORY_POOLS, GRACE, LIFETIME, complete, complete_if_whole, discard, fail, open_part
from .part import helper

log = structlog.get_logger(__name__)


def sweep_uploads() -> dict[str, int]:
    """Bring the rows and the part files of all local pools back in step; how often each thing was done.

    Parts without a byte in 24 hours are removed and their uploads fail; so do uploads whose part is gone. Parts that
    belong to no active upload are removed. What is whole gets its name. A pool without its directory is left alone.
    """
    done: Counter[str] = Counter()
    pools = Pool.objects.filter(type__in=DIRECTORY_POOLS, is_active=True).exclude(target_path="").select_related("host")
    for pool in pools.filter(Q(missing_since=None) | Q(uploads__state__in=ACTIVE)).distinct():
        if not pool.host.is_local:
            continue
        try:
            _sweep_pool(pool, done)
        except PartError as error:
            if error.code not in ("not_served", "no_directory"):
                log.warning("cannot sweep a pool", pool=pool.name, error=str(error))
    _sweep_streamed(done)
    if done:
        log.info("swept uploads", **done)
    return dict(done)


def _sweep_streamed(done: Counter[str]) -> None:
    """Those that go through libvirt: what nobody came back for is deleted, what is whole is finished."""
    under_way = Upload.objects.filter(state__in=ACTIVE, streamed_bytes__isnull=False).select_related("pool__host")
    for upload in under_way:
        try:
            if timezone.now() - upload.touched_at > LIFETIME:
                discard(upload)
                fail(upload, _("Nothing arrived for %(name)s for a day, so it was removed.") % {"name": upload.name})
                done["abandoned"] += 1
            elif upload.state == Upload.State.FINISHING and timezone.now() - upload.touched_at > GRACE:
                done["finished"] += complete(upload).state == Upload.State.DONE
        except UserError as error:
            log.warning("cannot settle an upload", upload=str(upload.pk), name=upload.name, error=str(error))
    done += Counter()


def _sweep_pool(pool: Pool, done: Counter[str]) -> None:
    abandoned = set(helper().sweep(pool.target_path, older_than_s=int(LIFETIME / timedelta(seconds=1))))
    parts = {part["id"] for part in helper().list_parts(pool.target_path)}  # before the rows: a row is there first
    uploads = {str(u.pk): u for u in _in_parts(pool)}
    for upload_id, upload in uploads.items():
        if upload_id in abandoned:
            fail(upload, _("Nothing arrived for %(name)s for a day, so it was removed.") % {"name": upload.name})
            done["abandoned"] += 1
        else:
            done[_settle(upload)] += 1
    for upload_id in parts - uploads.keys():
        done["orphans"] += helper().discard(pool.target_path, upload_id)
    del done[""]


def _in_parts(pool: Pool) -> "QuerySet[Upload]":
    return Upload.objects.filter(pool=pool, state__in=ACTIVE, streamed_bytes=None).select_related("pool__host")


def _settle(upload: Upload) -> str:
    """Finish what is whole, fail what is lost, leave alone what was touched a moment ago; what was done in a word."""
    if timezone.now() - upload.touched_at < GRACE:
        return ""
    try:
        part = open_part(upload)
        if part is None:
            return "finished"
        with part:
            if time.time() - part.changed_at > GRACE.total_seconds():
                upload = complete_if_whole(upload, part)
    except UserError as error:
        log.warning("cannot settle an upload", upload=str(upload.pk), name=upload.name, error=str(error))
    except Exception:  # whatever one file does to us, the others are settled
        log.exception("cannot settle an upload", upload=str(upload.pk), name=upload.name)
    return {Upload.State.DONE: "finished", Upload.State.FAILED: "lost"}.get(Upload.State(upload.state), "")
