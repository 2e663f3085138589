"""Make a guest: its disk, its definition, its first start. What a step makes is in the journal before the step."""

from typing import Any

from django.utils.translation import gettext as _

from guests.inventory import refresh_guest
from guests.models import Guest
from jobs.runner import RunningJob
from jobs.tasks import job_task
from storage.making import make_volume
from storage.models import Pool, Volume
from storage.secrets import encrypted
from storage.secrets.inventory import sync_secrets
from virt import domains, image_check, power
from virt.connection import Connection
from virt.errors import GuestExists, VirtError
from virt.volume_xml import VolumeXML

from . import installing


@job_task(soft_time_limit=6 * 3600)
def create_guest(
    job: RunningJob,
    *,
    guest_id: int,
    uuid: str,
    name: str,
    xml: str,
    disk: dict[str, Any] | None,
    start: bool,
    wanted: dict[str, Any],
    tree: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the volume `disk` (pool, name, path, format, capacity_bytes, and luks where it is encrypted), define `xml`,
    and `start` it: where there is a `tree`, once with the kernel of that.

    However it fails, and also when the worker is killed, nothing of it stays on the host. `wanted` is what was asked
    for, so that the page can offer it again.
    """
    guest = Guest.objects.select_related("host").get(pk=guest_id)
    luks = disk.get("luks") if disk else None
    passphrase = encrypted.taken(luks)
    total = 1 + bool(disk) + bool(tree) + start
    with guest.host.connect() as conn:
        if domains.find_domain(conn, name):
            raise GuestExists(_("%(host)s has a guest named %(name)s already. Choose another name.") % _words(guest))
        if wanted.get("volume"):
            _look_at(conn, wanted["volume"])
        if disk:
            job.step(_("Making the disk %(disk)s") % {"disk": disk["name"]}, done=0, total=total)
            if luks:
                pool = Pool.objects.select_related("host").get(host=guest.host, name=disk["pool"])
                encrypted.secret_for_new(job, pool, conn, disk["name"], luks, passphrase)
            _make_disk(job, guest, conn, disk)
        boot = installing.put_files(job, guest.host, conn, tree) if tree else None
        job.step(_("Defining %(name)s") % {"name": name}, done=total - 1 - start, total=total)
        job.undo("guests.undefine", host_id=guest.host_id, uuid=uuid)
        domains.define(conn, xml)
        refresh_guest(guest.host, conn, uuid)
        if start:
            job.step(_("Starting %(name)s") % {"name": name}, done=total - 1, total=total)
            job.undo("guests.destroy", host_id=guest.host_id, uuid=uuid)
            if boot:
                installing.start(job, conn, xml, boot)
            else:
                power.start(conn, uuid)
            refresh_guest(guest.host, conn, uuid)
        job.progress(total, total)
    return {"guest_id": guest_id, "uuid": uuid}


def _look_at(conn: Connection, volume_id: int) -> None:
    """A volume that is there may be a stranger's image: one that refers to files of the host is refused."""
    volume = Volume.objects.select_related("pool").filter(pk=volume_id).first()
    if volume:
        image_check.check_image(conn, volume.pool.name, volume.name)


def _make_disk(job: RunningJob, guest: Guest, conn: Connection, disk: dict[str, Any]) -> None:
    luks = disk.get("luks")
    document = VolumeXML(
        name=disk["name"],
        capacity_bytes=disk["capacity_bytes"],
        format=disk["format"],
        luks_secret=luks["uuid"] if luks else "",
    )
    made, _row = make_volume(job, guest.host, conn, disk["pool"], document)
    if luks:
        sync_secrets(guest.host, conn)
    if made.path != disk["path"]:
        sentence = _("The pool %(pool)s put the disk at %(made)s, not at %(path)s. Choose another pool.")
        raise VirtError(sentence % {"pool": disk["pool"], "made": made.path, "path": disk["path"]})


def _words(guest: Guest) -> dict[str, str]:
    return {"host": guest.host.name, "name": guest.name}
