"""The same for many guests: one job with a child per guest."""

import time
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from guests.models import Guest
from jobs.models import Job
from jobs.runner import Cancelled, RunningJob
from jobs.tasks import job_task
from virt.errors import UserError

from . import power

POLL_S = 0.2
NAMED_AT_MOST = 5


class SomeFailed(UserError):
    """Not all of the children did what was asked."""

    code, status = "some_failed", 409


@job_task(soft_time_limit=6 * 3600)
def power_guests(job: RunningJob, *, verb: str, guest_ids: list[int]) -> dict[str, Any]:
    """Do one of `power.TASKS` with many guests. A guest that is busy is left alone, and named at the end."""
    guests = Guest.objects.filter(pk__in=guest_ids).select_related("host").defer("xml").order_by("name")
    children: list[Job] = []
    refused: list[str] = []
    try:
        for guest in guests:
            job.check_cancelled()
            try:
                children.append(power.start(verb, guest, by=job.row.created_by, parent=job.row))
            except UserError as error:
                refused.append(guest.name)
                job.log(str(error))
        _see_through(job, verb, [child.pk for child in children], total=len(guest_ids))
    except Cancelled:
        _cancel(job, children)
        raise
    failed = Job.objects.filter(pk__in=[child.pk for child in children]).exclude(status=Job.Status.SUCCEEDED)
    refused += [subject.name for child in failed for subject in child.objects_of.filter(kind="guest")]
    if refused:
        raise _some_failed(refused, len(guest_ids))
    return {"guests": len(children)}


def _see_through(job: RunningJob, verb: str, pks: list[int], *, total: int) -> None:
    """Wait for the children. Those that no other worker has taken yet are done here, so one worker is enough."""
    task, _title = power.TASKS[verb]
    children = Job.objects.filter(pk__in=pks)
    while unfinished := children.active().count():
        job.progress(total - unfinished, total)
        waiting = children.filter(status=Job.Status.QUEUED).order_by("pk").first()
        if waiting:
            task.run_here(waiting)
        else:
            time.sleep(POLL_S)
    job.progress(total, total)


def _cancel(job: RunningJob, children: list[Job]) -> None:
    by = job.row.created_by
    for child in Job.objects.filter(pk__in=[child.pk for child in children]).active():
        if by:
            child.request_cancel(by)


def _some_failed(names: list[str], total: int) -> SomeFailed:
    shown = ", ".join(names[:NAMED_AT_MOST])
    if more := len(names) - NAMED_AT_MOST:
        shown = _("%(names)s and %(more)d more") % {"names": shown, "more": more} if more > 0 else shown
    sentence = ngettext(
        "It did not work for %(failed)d of %(total)d guests: %(names)s. Their own jobs say why.",
        "It did not work for %(failed)d of %(total)d guests: %(names)s. Their own jobs say why.",
        len(names),
    )
    return SomeFailed(sentence % {"failed": len(names), "total": total, "names": shown})
