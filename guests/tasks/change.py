"""Change what a guest is, and what lies in its drives."""

from typing import Any

from django.utils.translation import gettext as _

from jobs.runner import RunningJob
from jobs.tasks import job_task
from virt import devices

from .changing import CHANGES, apply_change, current_values
from .common import on_host, say


@job_task(soft_time_limit=600)
def change_guest(job: RunningJob, *, guest_id: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Make all of `changes` (see CHANGES), or none. vCPUs and memory at once where the running guest can take them."""
    with on_host(guest_id) as (guest, conn):
        uuid = str(guest.uuid)
        before = current_values(conn, uuid, list(changes))
        wanted = {name: changes[name] for name in CHANGES if name in changes and changes[name] != before[name]}
        waiting = []
        for done, (name, value) in enumerate(wanted.items()):
            job.step(_("Changing %(what)s") % {"what": name}, done=done, total=len(wanted))
            job.undo("guests.change_back", host_id=guest.host_id, uuid=uuid, changes={name: before[name]})
            # A balloon takes memory away from a guest that uses it: less memory only counts from the next start on.
            live = name != "memory_mib" or value > before[name]
            if not apply_change(conn, uuid, name, value, live=live):
                waiting.append(name)
        if not wanted:
            say(job, _("%(name)s is so already.") % {"name": guest.name})
        elif waiting:
            say(job, _("It takes effect when %(name)s is next shut down and started.") % {"name": guest.name})
        return {"guest_id": guest_id, "changed": sorted(wanted), "at_next_start": waiting}


@job_task(soft_time_limit=180)
def change_media(job: RunningJob, *, guest_id: int, target: str, path: str | None) -> dict[str, Any]:
    """Put the image at `path` into the drive `target`, or take out what is in it."""
    with on_host(guest_id) as (guest, conn):
        words = {"target": target, "name": guest.name}
        if path is None:
            job.step(_("Ejecting the disc in %(target)s of %(name)s") % words)
        else:
            job.step(_("Inserting a disc into %(target)s of %(name)s") % words)
        devices.change_media(conn, guest.uuid, target, path)
        return {"guest_id": guest_id, "target": target}
