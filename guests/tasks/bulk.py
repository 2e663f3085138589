"""The same for many guests: one job with a child per guest."""

import time
from collections import deque
from typing import Any

from django.conf import settings
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
    """Do one of `power.TASKS` with many guests, BULK_PER_HOST at a time on each host.

    A guest that is busy is left alone, and named at the end.
    """
    guests = Guest.objects.filter(pk__in=guest_ids).select_related("host").defer("xml").order_by("name")
    waiting: dict[int, deque[Guest]] = {}
    for guest in guests:
        waiting.setdefault(guest.host_id, deque()).append(guest)
    work = _Work(job, verb, waiting, total=len(guest_ids))
    try:
        work.see_through()
    except Cancelled:
        _cancel(job, work.children)
        raise
    failed = Job.objects.filter(pk__in=work.children).exclude(status=Job.Status.SUCCEEDED)
    refused = work.refused + [subject.name for child in failed for subject in child.objects_of.filter(kind="guest")]
    if refused:
        raise _some_failed(refused, len(guest_ids))
    return {"guests": len(work.children)}


class _Work:
    """The guests that wait, by host, and the children that were started. No host gets all of them at once."""

    def __init__(self, job: RunningJob, verb: str, waiting: dict[int, deque[Guest]], *, total: int) -> None:
        self.job, self.verb, self.waiting, self.total = job, verb, waiting, total
        self.children: list[int] = []
        self.refused: list[str] = []
        self.running: dict[int, int] = {}  # child → its host

    def see_through(self) -> None:
        """Until all are done. Children that no other worker has taken yet are done here, so one worker is enough."""
        task, _title = power.TASKS[self.verb]
        while self.running or any(self.waiting.values()):
            self.job.progress(len(self.children) - len(self.running) + len(self.refused), self.total)
            self._start_some()
            unfinished = dict(Job.objects.filter(pk__in=self.running).active().values_list("pk", "status"))
            self.running = {pk: host for pk, host in self.running.items() if pk in unfinished}
            queued = min((pk for pk, status in unfinished.items() if status == Job.Status.QUEUED), default=None)
            if queued:
                task.run_here(Job.objects.get(pk=queued))
            elif unfinished:
                time.sleep(POLL_S)
        self.job.progress(self.total, self.total)

    def _start_some(self) -> None:
        """Fill the free places of each host. A guest that another job holds takes none."""
        for host_id, guests in self.waiting.items():
            places = settings.BULK_PER_HOST - sum(host == host_id for host in self.running.values())
            while guests and places > 0:
                self.job.check_cancelled()
                guest = guests.popleft()
                try:
                    child = power.start(self.verb, guest, by=self.job.row.created_by, parent=self.job.row)
                except UserError as error:
                    self.refused.append(guest.name)
                    self.job.log(str(error))
                    continue
                self.children.append(child.pk)
                self.running[child.pk] = host_id
                places -= 1


def _cancel(job: RunningJob, children: list[int]) -> None:
    by = job.row.created_by
    for child in Job.objects.filter(pk__in=children).active():
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
