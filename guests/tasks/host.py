"""Shut down all guests of a host, restart it, or start its guests in order after it was started."""

import time
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from guests.autostart.models import AutostartEntry
from guests.models import Guest
from hosts import commands
from hosts.models import Host
from hosts.reaching.address import Address
from jobs.models import Job
from jobs.runner import Cancelled, RunningJob
from jobs.tasks import job_task
from virt import domains as virt_domains
from virt.connection import Connection
from virt.errors import HostUnreachable, NotSupported, UserError

from . import power

POLL_S = 0.5
NAMED_AT_MOST = 5
HOST_VERBS: dict[str, str | Promise] = {
    "reboot": gettext_lazy("Restart the host %(host)s"),
    "poweroff": gettext_lazy("Power off the host %(host)s"),
}


class StillRunning(UserError):
    """Guests that were asked to shut down still run."""

    code, status = "still_running", 409


class NotStarted(UserError):
    """Guests that should have started with their host did not."""

    code, status = "not_started", 409


@dataclass
class _Emptying:
    """The guests of a host on their way down."""

    waiting: list[Guest]
    asked: dict[str, tuple[Guest, Job, float]] = field(default_factory=dict)  # by UUID
    left: list[str] = field(default_factory=list)


@job_task(soft_time_limit=12 * 3600)
def shut_down_guests(job: RunningJob, *, host_id: int, at_once: int, patience_s: int) -> dict[str, Any]:
    """Ask them, `at_once` at a time, and wait for each. Those that still run then are named in the job's error."""
    host = Host.objects.get(pk=host_id)
    total, left = _empty(job, host, at_once, patience_s)
    if left:
        raise _still_running(left)
    return {"guests": total}


@job_task(soft_time_limit=13 * 3600)
def power_host(
    job: RunningJob, *, host_id: int, verb: str, shut_down: bool, at_once: int, patience_s: int
) -> dict[str, Any]:
    """Restart the machine or power it off. With `shut_down` only when none of its guests runs any more."""
    host = Host.objects.get(pk=host_id)
    words = {"host": host.name}
    if not Address.parse(host.uri).is_ssh:  # somebody changed its connection since: never our own machine
        raise NotSupported(_("%(host)s is not reached over SSH any more.") % words)
    job.step(_("Asking systemd of %(host)s whether it is there") % words)
    commands.read(host, ["systemctl", "--version"])
    if shut_down:
        _total, left = _empty(job, host, at_once, patience_s)
        if left:
            raise _still_running(left)
    job.step(str(HOST_VERBS[verb]) % words)
    try:
        commands.read(host, ["systemctl", verb], as_root=True)
    except HostUnreachable as error:  # it went down before the answer came through
        job.log(f"{error} {error.details}".strip())
    job.log(_("systemd of %(host)s was asked. kvmweb connects again as soon as the host is back.") % words)
    return {"verb": verb}


@job_task(soft_time_limit=24 * 3600)
def autostart_guests(job: RunningJob, *, host_id: int) -> dict[str, Any]:
    """Start the guests of a host in their order, each after its delay. One that does not start holds up no other."""
    there = AutostartEntry.objects.filter(guest__host=host_id, guest__missing_since=None)
    entries = list(there.select_related("guest__host").defer("guest__xml").order_by("position"))
    failed: list[str] = []
    for done, entry in enumerate(entries):
        guest = entry.guest
        words = {"name": guest.name, "seconds": entry.delay_s}
        if entry.delay_s:
            job.step(_("Waiting %(seconds)d s before %(name)s is started") % words, done=done, total=len(entries))
            _wait(job, entry.delay_s)
        job.step(_("Starting %(name)s") % words, done=done, total=len(entries))
        try:
            child = power.start("start", guest, by=job.row.created_by, parent=job.row)
            _see_through("start", child)
        except Cancelled:
            raise
        except UserError as error:
            job.log(str(error))
            failed.append(guest.name)
            continue
        child.refresh_from_db()
        if child.status != Job.Status.SUCCEEDED:
            failed.append(guest.name)
    if failed:
        raise NotStarted(
            _("These guests did not start: %(names)s. Their own jobs say why.") % {"names": _names(failed)}
        )
    return {"guests": len(entries)}


def _empty(job: RunningJob, host: Host, at_once: int, patience_s: int) -> tuple[int, list[str]]:
    """Shut down what runs on the host. Returns how many guests ran, and the names of those that still do."""
    with host.connect() as conn:
        running = _running(conn)
        guests = list(Guest.objects.filter(host=host, uuid__in=running).select_related("host").defer("xml"))
        unknown = sorted(set(running) - {str(guest.uuid) for guest in guests})
        emptying = _Emptying(waiting=sorted(guests, key=lambda guest: guest.name, reverse=True))
        emptying.left += [running[uuid] for uuid in unknown]  # kvmweb has not seen them yet
        job.step(_("Shutting down the guests of %(host)s") % {"host": host.name}, done=0, total=len(running))
        while emptying.waiting or emptying.asked:
            job.check_cancelled()
            while emptying.waiting and len(emptying.asked) < at_once:
                _ask(job, emptying)
            _look(emptying, set(_running(conn)), patience_s)
            job.progress(len(running) - len(emptying.waiting) - len(emptying.asked), len(running))
            if emptying.asked:
                time.sleep(POLL_S)
    return len(running), emptying.left


def _running(conn: Connection) -> dict[str, str]:
    """Names by UUID."""
    return {each.uuid: each.name for each in virt_domains.domain_states(conn) if each.state.is_active}


def _ask(job: RunningJob, emptying: _Emptying) -> None:
    guest = emptying.waiting.pop()
    try:
        child = power.start("shutdown", guest, by=job.row.created_by, parent=job.row)
    except UserError as error:
        job.log(str(error))
        emptying.left.append(guest.name)
        return
    emptying.asked[str(guest.uuid)] = (guest, child, time.monotonic())
    task, _title = power.TASKS["shutdown"]
    task.run_here(child)  # unless a worker has taken it already


def _look(emptying: _Emptying, running: set[str], patience_s: int) -> None:
    for uuid, (guest, child, since) in list(emptying.asked.items()):
        if uuid not in running:
            del emptying.asked[uuid]
            continue
        child.refresh_from_db(fields=["status"])
        has_refused = child.status in (Job.Status.FAILED, Job.Status.CANCELLED)
        if has_refused or time.monotonic() - since > patience_s:
            del emptying.asked[uuid]
            emptying.left.append(guest.name)


def _see_through(verb: str, child: Job) -> None:
    """Until the child has ended, here or in another worker."""
    task, _title = power.TASKS[verb]
    task.run_here(child)
    while Job.objects.active().filter(pk=child.pk).exists():
        time.sleep(POLL_S)


def _wait(job: RunningJob, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        job.check_cancelled()
        time.sleep(min(left, POLL_S))


def _still_running(names: list[str]) -> StillRunning:
    sentence = _("These guests still run: %(names)s. Shut them down yourself or force them off, then try again.")
    return StillRunning(sentence % {"names": _names(names)})


def _names(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    return _("%(names)s and %(more)d more") % {"names": shown, "more": more} if more > 0 else shown
