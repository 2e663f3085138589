"""What can be done with the definitions of a guest. Whoever calls has asked `permitted` for the guest."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from accounts.permissions import NotAllowed
from guests import tasks
from guests.models import Guest
from hosts.services import require_enabled
from jobs.live import publish
from jobs.models import Job, Ref
from virt.errors import GuestNotFound, WrongState

from .history import find_version
from .models import DefinitionQuerySet, DefinitionVersion, digest_of
from .restore import changed_meanwhile, plan_restore


def restore(guest: Guest, number: int, *, by: User, shown: str = "") -> Job:
    """Make an older definition the one that the guest's next start uses.

    `shown` is the digest of the definition that whoever asks has seen as the present one ("": that of the row).
    Raises DefinitionNotFound, DefinitionChanged, DiskMissing, VolumeInUse (a disk of it is another guest's now),
    NotAllowed (it reaches more of the host than the present one, and `by` is no administrator), WrongState (it is the
    present one, or the guest has none), GuestNotFound, HostDisabled or Busy.
    """
    require_enabled(guest.host)
    words = {"name": guest.name, "host": guest.host.name, "number": number}
    if guest.is_missing:
        raise GuestNotFound(
            _("%(name)s is not on %(host)s any more. Its definitions can be put back only where it is.") % words
        )
    if not guest.persistent:
        raise WrongState(_("%(name)s is transient: it has no definition that could be changed.") % words)
    version, xml = find_version(guest, number)
    present = digest_of(guest.xml)
    if shown and shown != present:
        raise changed_meanwhile(guest.name)
    if version.digest == present:
        raise WrongState(_("%(name)s has definition %(number)d already.") % words)
    plan = plan_restore(guest, xml)
    if plan.problem:
        raise plan.problem
    if plan.reaches_more and not Guest.objects.filter(pk=guest.pk).permitted(by, "administer").exists():
        sentence = _(
            "Definition %(number)d of %(name)s uses files or devices of the host that the present one does not. Only "
            "an administrator may put it back."
        )
        raise NotAllowed(sentence % words)
    return Job.start(
        tasks.restore_definition,
        title=_("Put back definition %(number)d of %(name)s") % words,
        by=by,
        objects=[Ref("guest", guest.pk, guest.name, exclusive=True), Ref("host", guest.host_id, guest.host.name)],
        guest_id=guest.pk,
        number=number,
        shown=present,
        empty_drives=plan.empty_drives,
    )


def acknowledge(versions: DefinitionQuerySet, *, by: User) -> int:
    """Note that somebody has seen these changes made outside kvmweb. Returns how many had not been."""
    waiting = versions.drift().select_related("guest").defer("guest__xml")
    with transaction.atomic():
        found = list(waiting)
        DefinitionVersion.objects.filter(pk__in=[version.pk for version in found]).update(
            acknowledged_at=timezone.now(), acknowledged_by=by
        )
        for guest in {version.guest_id: version.guest for version in found}.values():
            audit.record(by, "acknowledge_change", kind="guest", object_id=guest.pk, name=guest.name)
            publish(f"guest-{guest.pk}")
        if found:
            publish("guests")
    return len(found)
