"""What can be done with a job."""

from django.utils.translation import gettext as _

from accounts.models import User
from virt.errors import UserError

from .models import Job
from .retrying import way_for


class AlreadyOver(UserError):
    """The job ended before it could be cancelled."""

    code, status = "already_over", 409


class NotRetriable(UserError):
    """The job succeeded, still runs, or does something that is not safe to do again unseen."""

    code, status = "not_retriable", 409


def cancel_job(job: Job, *, by: User) -> Job:
    """Ask a job to stop. One that waits is cancelled at once, one that runs stops at its next step and is rolled back.

    Raises AlreadyOver when it has ended.
    """
    if not job.is_active:
        raise AlreadyOver(_("“%(title)s” has ended already, there is nothing to cancel.") % {"title": job.title})
    job.request_cancel(by)
    return job


def retry_job(job: Job, *, by: User) -> Job:
    """Start the same task with the same arguments as a new job. Of a job over many guests: for those that are left.

    Raises NotRetriable, and what the service that starts such a job raises: NotAllowed, Busy, Invalid …
    """
    again = way_for(job.task)
    if again is None or not job.can_retry:
        sentence = _("“%(title)s” cannot be started again from here. Do it once more where you did it first.")
        raise NotRetriable(sentence % {"title": job.title})
    return again(job, by)
