"""Give a guest's disk to another guest."""

from django.utils.translation import gettext as _

from accounts.models import User
from guests.models import Disk, Guest
from hosts.services import require_enabled
from jobs.models import Job, Ref
from virt.errors import GuestNotFound, Invalid

from . import tasks


def reassign_disk(guest: Guest, target: str, to: Guest, *, by: User) -> Job:
    """Take the disk `target` out of a guest and put it into another one of the same host; both may run.

    Raises Invalid (field "target" or "guest"), GuestNotFound or Busy.
    """
    require_enabled(guest.host)
    disk = disk_of(guest, target)
    for each in (guest, to):
        if each.is_missing:
            words = {"name": each.name, "host": each.host.name}
            raise GuestNotFound(_("%(name)s is not on %(host)s any more.") % words)
    if to.pk == guest.pk:
        raise Invalid(_("%(name)s has this disk already.") % {"name": to.name}, field="guest")
    if to.host_id != guest.host_id:
        sentence = _("%(name)s is on another host. A disk goes to a guest of the same host.")
        raise Invalid(sentence % {"name": to.name}, field="guest")
    refs = [Ref("guest", each.pk, each.name, exclusive=True) for each in (guest, to)]
    if disk.volume:
        refs.append(Ref("volume", disk.volume.pk, disk.volume.name, exclusive=True))
    return Job.start(
        tasks.reassign_disk,
        title=_("Give disk %(target)s of %(name)s to %(other)s")
        % {"target": target, "name": guest.name, "other": to.name},
        by=by,
        objects=[*refs, Ref("host", guest.host_id, guest.host.name)],
        guest_id=guest.pk,
        target=target,
        to_id=to.pk,
    )


def disk_of(guest: Guest, target: str) -> Disk:
    """The disk, which has an image. Raises Invalid."""
    found = guest.disks.filter(target=target, device="disk").exclude(source="").select_related("volume")
    disk = found.first()
    if disk is None:
        words = {"name": guest.name, "target": target}
        raise Invalid(_("%(name)s has no disk %(target)s that could be given away.") % words, field="target")
    return disk
