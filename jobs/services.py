"""What can be done with a job."""

from django.utils.translation import gettext as _

from accounts.models import User
from virt.errors import UserError

from .models import Job


class AlreadyOver(UserError):
    """The job ended before it could be cancelled."""

    code, status = "already_over", 409


def cancel_job(job: Job, *, by: User) -> Job:
    """Ask a job to stop. One that waits is cancelled at once, one that runs stops at its next step and is rolled back.

    Raises AlreadyOver when it has ended.
    """
    if not job.is_active:
        raise AlreadyOver(_("“%(title)s” has ended already, there is nothing to cancel.") % {"title": job.title})
    job.request_cancel(by)
    return job
