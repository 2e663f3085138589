"""Jobs about the way to a host."""

from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.tasks import RunningJob, job_task

from . import access, keys, saving
from .journey import travel
from .models import Attempt, Credentials
from .trip import Stop


@job_task(soft_time_limit=240)
def try_host(job: RunningJob, *, attempt_id: int, host_key: str = "") -> dict[str, Any]:
    """Go through the steps of an attempt; when all went well and it is to be saved, add or change the host.

    `host_key` is the fingerprint of a key that whoever asks knows to be right: it needs no second question.
    """
    attempt = Attempt.objects.select_related("host").get(pk=attempt_id)

    def report(title: str, done: int, total: int) -> None:
        job.step(title, done=done, total=total)

    try:
        trip = travel(attempt, report)
    except Stop as stop:
        matching = [key for key in attempt.offered_keys.splitlines() if keys.fingerprint(key) == host_key]
        if not stop.asks or stop.code not in ("host_key_unconfirmed", "host_key_changed") or not matching:
            _tell(job, attempt)
            raise
        attempt.host_keys = matching[0]
        attempt.save(update_fields=["host_keys"])
        trip = travel(attempt, report)
    _tell(job, attempt)
    result: dict[str, Any] = {"steps": attempt.steps, "host_id": attempt.host_id}
    if attempt.saves and trip.facts is not None:
        job.step(_("Saving"))
        host = saving.save_host(attempt, trip.facts, by=job.row.created_by)
        result |= {"host_id": host.pk, "host": host.name}
    return result


@job_task(soft_time_limit=60)
def remove_host(job: RunningJob, *, host_id: int) -> dict[str, Any]:
    """End the connection to a host that was removed, and forget its login."""
    host = Host.objects.get(pk=host_id)
    if host.removed_at is None:  # added again meanwhile
        return {}
    job.step(_("Ending the connection"))
    access.forget(host)
    Credentials.objects.filter(host=host).delete()
    job.log(_("Its guests, pools and networks stay in kvmweb as they were last seen; the machine was not touched."))
    return {}


def _tell(job: RunningJob, attempt: Attempt) -> None:
    """What each step found, into the job's log."""
    for step in attempt.steps:
        if step.get("found"):
            job.log(f"{step['title']}: {step['found']} {step.get('todo', '')}".strip())
