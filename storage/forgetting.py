"""Rows of what is over: finished uploads, and volumes that are gone for long."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from jobs.live import publish

from .models import Upload, Volume

UPLOADS_KEPT_FOR = timedelta(days=7)
VOLUMES_KEPT_FOR = timedelta(days=30)
AT_ONCE = 500
_OVER = (Upload.State.DONE, Upload.State.FAILED, Upload.State.CANCELLED)


def forget_old_rows() -> dict[str, int]:
    """Delete the rows of uploads that ended a week ago, and of volumes that vanished 30 days ago; how many of each.

    A volume that some guest has as a disk or in a drive stays: its row says what is missing there. With the row of an
    image goes what was known of it.
    """
    now = timezone.now()
    ended = now - UPLOADS_KEPT_FOR
    old = Q(completed_at__lt=ended) | Q(completed_at=None, touched_at__lt=ended)
    uploads, _by_model = Upload.objects.filter(old, state__in=_OVER).delete()
    gone = Volume.objects.filter(missing_since__lt=now - VOLUMES_KEPT_FOR, used_by=None).order_by("pk")
    volumes = 0
    while batch := list(gone.values_list("pk", flat=True)[:AT_ONCE]):
        # Asked again: a volume that came back meanwhile keeps its row.
        _all, by_model = gone.filter(pk__in=batch).delete()
        volumes += by_model.get(Volume._meta.label, 0)
    if volumes:
        publish("volumes", "isos")
    return {"uploads": uploads, "volumes": volumes}
