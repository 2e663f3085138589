"""Start guests and stop them. A guest that is in the wanted state already is no error: the job says so and succeeds."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from guests.models import Guest
from jobs.models import Job, Ref
from jobs.runner import RunningJob
from jobs.tasks import JobTask, job_task
from virt import power

from .common import on_host, say

Result = dict[str, Any]


@job_task(soft_time_limit=180)
def start_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Power it on, from its saved memory where it has one."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Starting %(name)s") % {"name": guest.name})
        changed = power.start(conn, guest.uuid)
        return _ended(job, guest, changed, _("%(name)s runs already."))


@job_task(soft_time_limit=180)
def shutdown_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Ask it to power off. Whether and when it does is up to the system in it."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Asking %(name)s to shut down") % {"name": guest.name})
        changed = power.shutdown(conn, guest.uuid)
        asked = _("%(name)s was asked to shut down. The system in it decides when; its state shows it.")
        return _ended(job, guest, changed, _("%(name)s is off already."), asked)


@job_task(soft_time_limit=180)
def reboot_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Ask it to restart."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Asking %(name)s to restart") % {"name": guest.name})
        power.reboot(conn, guest.uuid)
        asked = _("%(name)s was asked to restart. The system in it decides when.")
        return _ended(job, guest, True, "", asked)


@job_task(soft_time_limit=120)
def reset_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Press its reset button."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Resetting %(name)s") % {"name": guest.name})
        power.reset(conn, guest.uuid)
        return _ended(job, guest, True, "")


@job_task(soft_time_limit=120)
def destroy_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Pull its plug."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Forcing %(name)s off") % {"name": guest.name})
        changed = power.destroy(conn, guest.uuid)
        return _ended(job, guest, changed, _("%(name)s is off already."))


@job_task(soft_time_limit=120)
def suspend_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Stop its processors; its memory stays."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Pausing %(name)s") % {"name": guest.name})
        changed = power.suspend(conn, guest.uuid)
        return _ended(job, guest, changed, _("%(name)s is paused already."))


@job_task(soft_time_limit=120)
def resume_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Let it go on."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Resuming %(name)s") % {"name": guest.name})
        changed = power.resume(conn, guest.uuid)
        return _ended(job, guest, changed, _("%(name)s runs already."))


@job_task(soft_time_limit=3900)
def save_guest(job: RunningJob, *, guest_id: int) -> Result:
    """Write its memory to the host's disk and stop it; the next start goes on from there."""
    with on_host(guest_id) as (guest, conn):
        job.step(_("Writing the memory of %(name)s to the host's disk") % {"name": guest.name})
        changed = power.managed_save(conn, guest.uuid)
        return _ended(job, guest, changed, _("%(name)s is off already: there is no memory to save."))


def _ended(job: RunningJob, guest: Guest, changed: bool, otherwise: str, asked: str = "") -> Result:
    text = asked if changed else otherwise
    if text:
        say(job, text % {"name": guest.name})
    return {"guest_id": guest.pk, "changed": changed}


TASKS: dict[str, tuple[JobTask, str | Promise]] = {
    "start": (start_guest, gettext_lazy("Start %(name)s")),
    "shutdown": (shutdown_guest, gettext_lazy("Shut down %(name)s")),
    "reboot": (reboot_guest, gettext_lazy("Restart %(name)s")),
    "reset": (reset_guest, gettext_lazy("Reset %(name)s")),
    "destroy": (destroy_guest, gettext_lazy("Force off %(name)s")),
    "suspend": (suspend_guest, gettext_lazy("Pause %(name)s")),
    "resume": (resume_guest, gettext_lazy("Resume %(name)s")),
    "save": (save_guest, gettext_lazy("Save %(name)s")),
}


def start(verb: str, guest: Guest, *, by: User | None, parent: Job | None = None) -> Job:
    """Queue one of TASKS for a guest. Raises Busy when another job is changing it."""
    task, title = TASKS[verb]
    return Job.start(
        task,
        title=str(title) % {"name": guest.name},
        by=by,
        objects=[Ref("guest", guest.pk, guest.name, exclusive=True), Ref("host", guest.host_id, guest.host.name)],
        parent=parent,
        guest_id=guest.pk,
    )
