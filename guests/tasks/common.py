"""What the jobs of guests share."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from guests.inventory import refresh_guest
from guests.models import Guest
from jobs.runner import Cancelled, RunningJob
from virt.connection import Connection
from virt.errors import VirtError


@contextmanager
def on_host(guest_id: int) -> Iterator[tuple[Guest, Connection]]:
    """The guest's row and a connection to its host. However it ends, the row then shows what the host has."""
    guest = Guest.objects.select_related("host").get(pk=guest_id)
    with guest.host.connect() as conn:
        try:
            yield guest, conn
        finally:
            with suppress(VirtError):  # the watcher does it when it can reach the host again
                refresh_guest(guest.host, conn, guest.uuid)


def say(job: RunningJob, text: str, *, done: int | None = None, total: int | None = None) -> None:
    """A step after which there is no stopping any more: somebody who asks to cancel now is too late."""
    with suppress(Cancelled):
        job.step(text, done=done, total=total)
        return
    job.log(text)
