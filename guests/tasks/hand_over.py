"""Take the start of guests with their host over from libvirt, which knows no order."""

from typing import Any

from django.utils.translation import gettext as _

from guests.autostart.boots import read_boot_id
from guests.inventory import refresh_guest
from guests.models import Guest, HostBoot
from hosts.models import Host
from jobs.runner import RunningJob
from jobs.tasks import job_task
from virt import domains


@job_task(soft_time_limit=1800)
def hand_over_autostart(job: RunningJob, *, host_id: int, guest_ids: list[int]) -> dict[str, Any]:
    """Switch off libvirt's autostart of these guests, and note which boot the host is in: the next one is theirs."""
    host = Host.objects.get(pk=host_id)
    HostBoot.objects.update_or_create(host=host, defaults={"boot_id": read_boot_id(host)})
    guests = list(Guest.objects.filter(pk__in=guest_ids).defer("xml").order_by("autostart_entry__position"))
    changed = 0
    with host.connect() as conn:
        for done, guest in enumerate(guests):
            job.progress(done, len(guests))
            info = domains.domain_info(conn, guest.uuid)
            if not info.autostart:
                continue
            job.step(_("Taking over the start of %(name)s") % {"name": guest.name}, done=done, total=len(guests))
            job.undo("guests.change_back", host_id=host_id, uuid=str(guest.uuid), changes={"autostart": True})
            domains.set_autostart(conn, guest.uuid, False)
            refresh_guest(host, conn, guest.uuid)
            changed += 1
    return {"guests": len(guests), "changed": changed}
