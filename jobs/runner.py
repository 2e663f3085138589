"""Running one job: claim, work, end; roll back on failure; and the same for jobs whose worker died.

What may happen at any instant is kill -9. So the row is claimed by one atomic update, a lease is renewed while the work
goes on, and each undo step is in the journal before its step is made.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import AuditEntry
from virt.errors import UserError

from .models import LEASE, Job, JobLogLine, JobUndo
from .undo import take_back

log = structlog.get_logger(__name__)
REDELIVERY = timedelta(minutes=5)
RETRY_UNDO_AT_MOST = timedelta(minutes=10)


class Cancelled(UserError):
    """Somebody asked the job to stop."""

    code, status = "cancelled", 409


class RunningJob:
    """What a task gets: the job's row, and the ways to report on it."""

    def __init__(self, row: Job) -> None:
        self.row = row
        self.pk = row.pk

    def step(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        """Say what happens now, in words and (where known) as `done` of `total`. Raises Cancelled if asked to stop."""
        self.check_cancelled()
        changed: dict[str, str | int] = {"message": message[:255]}
        if total is not None:
            changed |= {"done": done or 0, "total": total}
        Job.objects.filter(pk=self.pk).update(**changed)
        self.log(message)
        self.row.announce()

    def progress(self, done: int, total: int) -> None:
        """Move the bar without a line in the log. Raises Cancelled when asked to stop."""
        self.check_cancelled()
        Job.objects.filter(pk=self.pk).update(done=done, total=total)
        self.row.announce()

    def log(self, text: str) -> None:
        JobLogLine.objects.create(job_id=self.pk, text=text)

    def undo(self, verb: str, **arguments: Any) -> None:
        """Write into the journal how to take back the step that is about to be made."""
        JobUndo.objects.create(job_id=self.pk, verb=verb, arguments=arguments)

    def check_cancelled(self) -> None:
        """Raise Cancelled when somebody asked for it, or when this worker was taken for dead and rolled back."""
        now = Job.objects.filter(pk=self.pk).values("status", "cancel_requested_at").get()
        if now["cancel_requested_at"] or now["status"] != Job.Status.RUNNING:
            raise Cancelled(_("It was cancelled."))


class _Lease(threading.Thread):
    """Renews the lease of a running job until told to stop."""

    def __init__(self, job_id: int) -> None:
        super().__init__(daemon=True, name=f"lease-{job_id}")
        self.job_id, self.ended = job_id, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(LEASE.total_seconds() / 4):
            try:
                Job.objects.filter(pk=self.job_id).update(lease_until=timezone.now() + LEASE)
            except DatabaseError as error:
                log.warning("lease not renewed", job=self.job_id, error=str(error))
                close_old_connections()
        connection.close()


def run(job_id: int, function: Callable[..., dict[str, Any] | None]) -> None:
    """Claim the job and run `function`; a second delivery of the same job finds it claimed and does nothing."""
    now = timezone.now()
    claimed = Job.objects.filter(pk=job_id, status=Job.Status.QUEUED).update(
        status=Job.Status.RUNNING, started_at=now, lease_until=now + LEASE
    )
    if not claimed:
        return
    row = Job.objects.select_related("created_by").get(pk=job_id)
    row.announce()
    lease = _Lease(job_id)
    lease.start()
    try:
        result = function(RunningJob(row), **row.arguments)
    except Cancelled as error:
        _end(row, Job.Status.CANCELLED, error)
    except UserError as error:
        _end(row, Job.Status.FAILED, error)
    except SoftTimeLimitExceeded:
        _end(row, Job.Status.FAILED, UserError(_("It took too long and was stopped.")))
    except Exception as error:
        log.exception("job failed", job=job_id)
        _end(row, Job.Status.FAILED, error)
    else:
        row.journal.all().delete()  # it is all there: keep it
        _finish(row, Job.Status.SUCCEEDED, result=result or {})
    finally:
        lease.ended.set()


def _end(row: Job, status: str, error: Exception) -> None:
    """Take back what was done, then say how the job ended."""
    problems = _roll_back(row)
    if isinstance(error, UserError):
        sentence, code, details = str(error), error.code, error.details
    else:
        sentence = _("Something in kvmweb went wrong: %(kind)s. The log of the worker has the details.") % {
            "kind": type(error).__name__
        }
        code, details = "internal_error", str(error)
    if problems:
        sentence = f"{sentence} {problems}"
    _finish(row, status, error=sentence, error_code=code, error_details=details)


def _roll_back(row: Job) -> str:
    """Run what is due of the journal, newest first. Returns a sentence about what could not be taken back, or ""."""
    now = timezone.now()
    failed = []
    for entry in row.journal.filter(Q(retry_at=None) | Q(retry_at__lte=now)):
        try:
            take_back(entry.verb, entry.arguments)
        except Exception as error:
            log.warning("undo failed", job=row.pk, verb=entry.verb, error=str(error))
            if not entry.failures:
                row.log.create(
                    text=_("Could not be taken back: %(verb)s. %(error)s") % {"verb": entry.verb, "error": error}
                )
            entry.failures += 1
            entry.retry_at = now + min(RETRY_UNDO_AT_MOST, LEASE * 2**entry.failures)
            entry.save()
            failed.append(entry.verb)
        else:
            row.log.create(text=_("Taken back: %(verb)s") % {"verb": entry.verb})
            entry.delete()
    if not failed:
        return ""
    return _("These steps could not be taken back and will be tried again: %(steps)s.") % {"steps": ", ".join(failed)}


def _finish(row: Job, status: str, **fields: Any) -> None:
    with transaction.atomic():  # a job that ended and still holds its objects would hold them for ever
        ended = Job.objects.filter(pk=row.pk, status=Job.Status.RUNNING).update(
            status=status, finished_at=timezone.now(), lease_until=None, **fields
        )
        if not ended:  # this worker was taken for dead and another one ended the job
            return
        row.objects_of.update(held=False)
    row.refresh_from_db()
    subject = row.objects_of.order_by("pk").first()
    succeeded = status == Job.Status.SUCCEEDED
    audit.record(
        row.created_by,
        row.kind,
        AuditEntry.Result.SUCCEEDED if succeeded else AuditEntry.Result.FAILED,
        kind=subject.kind if subject else "",
        object_id=subject.object_id if subject else "",
        name=subject.name if subject else "",
        job_id=row.pk,
        detail=row.error,
    )
    row.announce()


def roll_back_dead_jobs() -> None:
    """Heal after a crash: roll back jobs whose lease ran out, retry failed undo steps, queue again what got lost."""
    now = timezone.now()
    for row in Job.objects.filter(status=Job.Status.RUNNING, lease_until__lt=now):
        # Whoever moves the lease first does the work; a second worker finds nothing to do.
        if not Job.objects.filter(pk=row.pk, lease_until=row.lease_until).update(lease_until=now + LEASE):
            continue
        stopped = UserError(_("The worker was stopped in the middle of it; what it had done was taken back."))
        _end(row, Job.Status.FAILED, stopped)
    for row in Job.objects.filter(~Q(status__in=Job.ACTIVE), journal__retry_at__lte=now).distinct():
        _roll_back(row)
    for row in Job.objects.filter(status=Job.Status.QUEUED, lease_until__lt=now):
        Job.objects.filter(pk=row.pk, status=Job.Status.QUEUED).update(lease_until=now + REDELIVERY)
        current_app.send_task(row.task, args=[row.pk])
