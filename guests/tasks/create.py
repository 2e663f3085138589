"""Make a guest: its disk, its definition, its first start. What a step makes is in the journal before the step."""

from typing import Any

from django.utils.translation import gettext as _

from guests.inventory import refresh_guest
from guests.models import Guest
from jobs.runner import RunningJob
from jobs.tasks import job_task
from storage.inventory import refresh_pool
from virt import domains, power, volumes
from virt.connection import Connection
from virt.errors import GuestExists, VirtError, VolumeExists, VolumeNotFound
from virt.volume_xml import VolumeXML


@job_task(soft_time_limit=6 * 3600)
def create_guest(
    job: RunningJob, *, guest_id: int, uuid: str, name: str, xml: str, disk: dict[str, Any] | None, start: bool
) -> dict[str, Any]:
    """Make the volume `disk` (pool, name, path, format, capacity_bytes), define `xml`, and `start` it.

    However it fails, and also when the worker is killed, nothing of it stays on the host.
    """
    guest = Guest.objects.select_related("host").get(pk=guest_id)
    total = 1 + bool(disk) + start
    with guest.host.connect() as conn:
        if domains.find_domain(conn, name):
            raise GuestExists(_("%(host)s has a guest named %(name)s already. Choose another name.") % _words(guest))
        if disk:
            job.step(_("Making the disk %(disk)s") % {"disk": disk["name"]}, done=0, total=total)
            _make_disk(job, guest, conn, disk)
        job.step(_("Defining %(name)s") % {"name": name}, done=int(bool(disk)), total=total)
        job.undo("guests.undefine", host_id=guest.host_id, uuid=uuid)
        domains.define(conn, xml)
        refresh_guest(guest.host, conn, uuid)
        if start:
            job.step(_("Starting %(name)s") % {"name": name}, done=total - 1, total=total)
            job.undo("guests.destroy", host_id=guest.host_id, uuid=uuid)
            power.start(conn, uuid)
            refresh_guest(guest.host, conn, uuid)
        job.progress(total, total)
    return {"guest_id": guest_id, "uuid": uuid}


def _make_disk(job: RunningJob, guest: Guest, conn: Connection, disk: dict[str, Any]) -> None:
    pool, name = disk["pool"], disk["name"]
    if _exists(conn, pool, name):
        raise _taken(pool, name)
    job.undo("storage.delete_volume", host_id=guest.host_id, pool=pool, name=name)
    document = VolumeXML(name=name, capacity_bytes=disk["capacity_bytes"], format=disk["format"])
    try:
        made = volumes.create_volume(conn, pool, document)
    except VolumeExists as error:
        # Somebody else's, made in this instant: it must not be taken back.
        job.row.journal.filter(verb="storage.delete_volume").delete()
        raise _taken(pool, name) from error
    if made.path != disk["path"]:
        sentence = _("The pool %(pool)s put the disk at %(made)s, not at %(path)s. Choose another pool.")
        raise VirtError(sentence % {"pool": pool, "made": made.path, "path": disk["path"]})
    refresh_pool(guest.host, conn, pool)


def _exists(conn: Connection, pool: str, name: str) -> bool:
    try:
        volumes.volume_info(conn, pool, name)
    except VolumeNotFound:
        return False
    return True


def _taken(pool: str, name: str) -> VolumeExists:
    sentence = _("The pool %(pool)s has a volume named %(name)s already. Choose another name for the guest.")
    return VolumeExists(sentence % {"pool": pool, "name": name}, field="name")


def _words(guest: Guest) -> dict[str, str]:
    return {"host": guest.host.name, "name": guest.name}
