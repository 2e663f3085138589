"""Delete a guest, and those of its disks that were chosen.

There is no way back from deleting a disk. So everything that could stand in the way is looked at first, and once the
first disk is gone a killed worker's job is finished by whoever finds it, not taken back.
"""

from contextlib import suppress
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from guests.inventory import refresh_guest
from guests.models import DELETED, Guest
from hosts.models import Host
from jobs.live import publish
from jobs.models import JobLogLine
from jobs.runner import RunningJob
from jobs.tasks import job_task
from jobs.undo import undo
from storage.inventory import refresh_pool
from storage.models import Volume
from storage.secrets.encrypted import forget_passphrase
from virt import domains, power, volumes
from virt.connection import Connection
from virt.domain_summary import parse_domain
from virt.errors import GuestNotFound, Invalid, UserError, VirtError, VolumeInUse, WrongState
from virt.types import DomainInfo, VolumeInfo

_FINISH = "guests.finish_delete"


@job_task(soft_time_limit=3600)
def delete_guest(job: RunningJob, *, guest_id: int, disks: list[str], force: bool) -> dict[str, Any]:
    """Undefine the guest with its NVRAM, saved memory and snapshot metadata, and delete the disks with these targets.

    A running guest is refused, unless `force` says to pull its plug first.
    """
    guest = Guest.objects.select_related("host").get(pk=guest_id)
    uuid = str(guest.uuid)
    with guest.host.connect() as conn:
        job.step(_("Looking at the disks of %(name)s") % {"name": guest.name})
        try:
            info = domains.domain_info(conn, uuid)
        except GuestNotFound:
            _mark_deleted(guest)
            return {"guest_id": guest_id, "disks": []}
        if info.is_active and not force:
            raise WrongState(
                _("%(name)s runs. Shut it down first, or force it off with the deletion.") % {"name": guest.name}
            )
        chosen = [_deletable(conn, info, target) for target in disks]
        if info.is_active:
            job.step(_("Forcing %(name)s off") % {"name": guest.name})
            power.destroy(conn, uuid)
        job.check_cancelled()
        found = [
            {"pool": volume.pool, "name": volume.name, "path": volume.path if volume.encryption else ""}
            for volume in chosen
        ]
        job.undo(_FINISH, host_id=guest.host_id, uuid=uuid, found=found, job_id=job.pk)
        try:
            _delete(guest.host, conn, uuid, found, job.pk)
        except BaseException as error:
            if isinstance(error, Exception):  # it said why: somebody reads that and decides, nobody goes on alone
                job.row.journal.filter(verb=_FINISH).delete()
            raise
    return {"guest_id": guest_id, "disks": disks}


@undo(_FINISH)
def finish_delete(*, host_id: int, uuid: str, found: list[dict[str, str]], job_id: int) -> None:
    """Of a deletion whose worker was killed: go on to the end. Tried once: later somebody may want the guest again."""
    host = Host.objects.get(pk=host_id)
    try:
        with host.connect() as conn:
            with suppress(GuestNotFound):
                if domains.domain_info(conn, uuid).is_active:
                    raise WrongState(_("The guest was started again."))
            _delete(host, conn, uuid, found, job_id)
    except UserError as error:
        text = _("The deletion was not finished: %(error)s Delete the guest again.") % {"error": error}
    else:
        text = _("The deletion was finished.")
    JobLogLine.objects.create(job_id=job_id, text=text)


def _delete(host: Host, conn: Connection, uuid: str, found: list[dict[str, str]], job_id: int) -> None:
    for volume in found:
        JobLogLine.objects.create(job_id=job_id, text=_("Deleting the disk %(pool)s/%(name)s") % volume)
        volumes.delete_volume(conn, volume["pool"], volume["name"])
        Volume.objects.filter(pool__host=host, pool__name=volume["pool"], name=volume["name"]).delete()
        publish("volumes")
    domains.undefine(conn, uuid)
    for path in filter(None, (volume.get("path") for volume in found)):  # of the encrypted ones
        if said := forget_passphrase(host, conn, path):
            JobLogLine.objects.create(job_id=job_id, text=said)
    with suppress(VirtError):
        refresh_guest(host, conn, uuid)
        for pool in {volume["pool"] for volume in found}:
            refresh_pool(host, conn, pool)
    for guest in Guest.objects.filter(host=host, uuid=uuid):
        _mark_deleted(guest)


def _deletable(conn: Connection, info: DomainInfo, target: str) -> VolumeInfo:
    """The volume that is the disk `target`. Raises Invalid or VolumeInUse when it cannot go with this guest."""
    words = {"target": target, "name": info.name}
    disk = next((disk for disk in parse_domain(info.xml).disks if disk.target == target), None)
    if disk is None or disk.device != "disk" or not disk.source:
        raise Invalid(_("%(name)s has no disk %(target)s that could be deleted.") % words, field="disks")
    if disk.pool and disk.volume:
        volume: VolumeInfo | None = volumes.volume_info(conn, disk.pool, disk.volume)
    else:
        volume = volumes.volume_by_path(conn, disk.source)
    if volume is None:
        sentence = _("Disk %(target)s of %(name)s lies in no pool. Leave it out, and remove its file by hand.")
        raise Invalid(sentence % words, details=disk.source, field="disks")
    if others := [other.name for other in volumes.guests_using(conn, volume.path) if other.uuid != info.uuid]:
        sentence = _("Disk %(target)s of %(name)s was not deleted: the guest %(other)s has it too.")
        raise VolumeInUse(sentence % {**words, "other": ", ".join(others)}, field="disks")
    overlay = next(
        (other for other in volumes.list_volumes(conn, volume.pool) if other.backing_path == volume.path), None
    )
    if overlay:
        sentence = _("Disk %(target)s of %(name)s was not deleted: the volume %(other)s lies on it and would be lost.")
        raise VolumeInUse(sentence % {**words, "other": overlay.name}, field="disks")
    return volume


def _mark_deleted(guest: Guest) -> None:
    """Its page stays, for its jobs and the audit log; lists leave it out."""
    now = timezone.now()
    with transaction.atomic():
        Guest.objects.filter(pk=guest.pk).update(
            state=Guest.State.MISSING, state_reason=DELETED, state_since=now, missing_since=now, needs_restart=False
        )
        guest.disks.all().delete()
        guest.nics.all().delete()
        publish(f"guest-{guest.pk}", "guests")
