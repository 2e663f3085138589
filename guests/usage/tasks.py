"""Sums up what guests used, now and then, so that lists need not read a thousand histories."""

from collections.abc import Iterator
from itertools import islice

import structlog
from celery import shared_task
from django.utils import timezone

from guests.models import Guest
from history import store
from history.series import GUEST, HOST, POOL
from hosts.models import Host
from storage.models import Pool

from .measure import measure
from .models import Usage

log = structlog.get_logger(__name__)
BATCH = 300
_KEY = ("guest", "period")


@shared_task(ignore_result=True)
def measure_usage() -> None:
    """Measure every guest over every period. Costs a worker some milliseconds a guest."""
    now = timezone.now()
    guests = Guest.objects.filter(missing_since=None).select_related("host").only("vcpus", "memory_mib", "host__name")
    rows = (measure(guest, period, now) for guest in guests.iterator(BATCH) for period in Usage.Period)
    columns = [field.name for field in Usage._meta.concrete_fields if field.name not in ("id", *_KEY)]
    for batch in _batches(rows):
        there = set(Guest.objects.filter(pk__in={row.guest_id for row in batch}).values_list("pk", flat=True))
        Usage.objects.bulk_create(
            [row for row in batch if row.guest_id in there],
            update_conflicts=True,
            unique_fields=_KEY,
            update_fields=columns,
        )


@shared_task(ignore_result=True)
def sweep_history() -> None:
    """Delete the history of what has been gone for a month."""
    for kind, model in ((GUEST, Guest), (HOST, Host), (POOL, Pool)):
        there = model._default_manager.all() if kind is HOST else model._default_manager.filter(missing_since=None)
        if swept := store.sweep(kind, there.values_list("pk", flat=True)):
            log.info("history deleted", kind=kind.name, files=swept)


def _batches(rows: Iterator[Usage]) -> Iterator[list[Usage]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
