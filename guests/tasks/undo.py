"""How the steps of guests' jobs are taken back. Each works when the step was never made, and when it is repeated."""

from contextlib import suppress
from typing import Any

from django.utils.translation import gettext as _

from guests.inventory import refresh_guest
from guests.models import Guest
from hosts.models import Host
from jobs.live import publish
from jobs.models import JobUndo
from jobs.undo import undo
from virt import domains, power
from virt.errors import GuestNotFound, UserError, VirtError

from .changing import apply_change


class NotYet(UserError):
    """Another step must be taken back first."""

    code, status = "not_yet", 409


@undo("guests.destroy")
def destroy(*, host_id: int, uuid: str) -> None:
    """Of a start."""
    with Host.objects.get(pk=host_id).connect() as conn, suppress(GuestNotFound):
        power.destroy(conn, uuid)


@undo("guests.undefine")
def undefine(*, host_id: int, uuid: str) -> None:
    """Of a definition, with the firmware variables that libvirt keeps beside it."""
    host = Host.objects.get(pk=host_id)
    with host.connect() as conn:
        domains.undefine(conn, uuid)
        with suppress(VirtError):
            refresh_guest(host, conn, uuid)


@undo("guests.remove_row")
def remove_row(*, guest_id: int, job_id: int) -> None:
    """Of the row of a guest that was to be created: the last thing to go, so that a guest that stays has a page."""
    if JobUndo.objects.filter(job_id=job_id).exclude(verb="guests.remove_row").exists():
        raise NotYet(_("What was made on the host is not gone yet."))
    Guest.objects.filter(pk=guest_id).delete()
    publish(f"guest-{guest_id}", "guests")


@undo("guests.change_back")
def change_back(*, host_id: int, uuid: str, changes: dict[str, Any]) -> None:
    """Of one change of a guest: the values that it had."""
    host = Host.objects.get(pk=host_id)
    with host.connect() as conn:
        with suppress(GuestNotFound):
            for name, value in changes.items():
                apply_change(conn, uuid, name, value, live=False)
        with suppress(VirtError):
            refresh_guest(host, conn, uuid)
