"""What can be done with guests. Whoever calls has asked `permitted` for the guest; making one asks here."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.models import Grant, User
from hosts.services import require_enabled
from jobs.live import publish
from jobs.models import Job, JobObject, JobUndo, Ref
from storage.models import Iso
from storage.secrets.encrypted import luks_arguments
from virt import validate
from virt.errors import GuestExists, GuestNotFound, Invalid, WrongState
from virt.secret_xml import check_passphrase

from . import tasks
from .models import Disk, Guest, GuestQuerySet
from .plan import GuestPlan, NewGuest, checked_text, plan_guest
from .sheets import most_vcpus
from .tasks import power as power_tasks
from .tasks.changing import CHANGES

__all__ = [
    "GuestPlan",
    "NewGuest",
    "change_guest",
    "change_media",
    "create_guest",
    "delete_guest",
    "forget_guest",
    "plan_guest",
    "power",
    "power_many",
]
MOST_AT_ONCE = 10_000


def create_guest(
    plan: GuestPlan, *, by: User, start: bool = True, passphrase: str = "", keep_passphrase: bool = True
) -> Job:
    """Make the guest of a plan: a row at once, so that pages can follow it, and a job for the host. That gets the
    `passphrase` of a new encrypted disk, and without `keep_passphrase` forgets it when its libvirt is restarted.

    Raises GuestExists when the name was taken since the plan was made, Busy when its existing disk is being changed,
    Invalid (field "passphrase").
    """
    disk = plan.disk.as_argument() if plan.disk else None
    is_encrypted = bool(plan.disk and plan.disk.encryption)
    if is_encrypted:
        check_passphrase(passphrase)
    elif passphrase:
        raise Invalid(_("The new disk is not to be encrypted, so it has no passphrase."), field="passphrase")
    try:
        with transaction.atomic():
            guest = Guest.objects.create(
                host=plan.host,
                uuid=plan.uuid,
                name=plan.name,
                title=plan.title,
                description=plan.description,
                state=Guest.State.CREATING,
                vcpus=plan.vcpus,
                memory_mib=plan.memory_mib,
                firmware=plan.firmware,
                is_emulated=plan.is_emulated,
                os_id=plan.os.id if plan.os.name else "",
                os_name=plan.os.name,
                graphics="vnc",
            )
            refs = [Ref("guest", guest.pk, guest.name, exclusive=True), Ref("host", plan.host.pk, plan.host.name)]
            if plan.iso:
                refs.append(Ref("iso", plan.iso.pk, plan.iso.name))
            if plan.tree and plan.tree.iso:
                refs.append(Ref("iso", plan.tree.iso.pk, plan.tree.iso.name))
            if plan.volume:
                refs.append(Ref("volume", plan.volume.pk, plan.volume.name, exclusive=True))
            if disk and is_encrypted:
                disk["luks"] = luks_arguments(str(uuid4()), passphrase, keep=keep_passphrase)
            job = Job.start(
                tasks.create_guest,
                title=_("Create %(name)s") % {"name": guest.name},
                by=by,
                objects=refs,
                guest_id=guest.pk,
                uuid=str(plan.uuid),
                name=plan.name,
                xml=plan.xml,
                disk=disk,
                tree=plan.tree.as_argument() if plan.tree else None,
                start=start,
                wanted=plan.wanted.as_json(),
            )
            # Due at once: a job that is cancelled while it waits never runs, and its row has to go all the same.
            JobUndo.objects.create(
                job=job,
                verb="guests.remove_row",
                arguments={"guest_id": guest.pk, "job_id": job.pk},
                retry_at=timezone.now(),
            )
            publish(f"guest-{guest.pk}", "guests")
    except IntegrityError as error:
        raise GuestExists(
            _("%(host)s has a guest named %(name)s already. Choose another name.")
            % {"host": plan.host.name, "name": plan.name},
            field="name",
        ) from error
    return job


def power(guest: Guest, verb: str, *, by: User) -> Job:
    """Switch a guest by one of the verbs of `tasks.power.TASKS`. Raises GuestNotFound (it is missing) or Busy."""
    _check_there(guest)
    return power_tasks.start(verb, guest, by=by)


def power_many(guests: GuestQuerySet, verb: str, *, by: User) -> Job:
    """The same for many guests: one job, with a child for each. Guests that are busy are left out and named at its end.

    Raises Invalid when there are none, or an unreasonable number.
    """
    found = list(guests.filter(missing_since=None).exclude(state=Guest.State.CREATING).values_list("pk", "name"))
    if not found or len(found) > MOST_AT_ONCE:
        raise Invalid(_("Choose from 1 to %(most)d guests.") % {"most": MOST_AT_ONCE}, field="id")
    _task, title = power_tasks.TASKS[verb]
    words = ngettext("%(number)d guest", "%(number)d guests", len(found)) % {"number": len(found)}
    return Job.start(
        tasks.power_guests,
        title=str(title) % {"name": found[0][1] if len(found) == 1 else words},
        by=by,
        verb=verb,
        guest_ids=[pk for pk, _name in found],
    )


def change_guest(guest: Guest, changes: dict[str, Any], *, by: User) -> Job:
    """Change some of name, title, description, autostart, vcpus and memory_mib: all of them, or none.

    Raises Invalid, GuestExists, WrongState (a name while it is on, autostart without definition), GuestNotFound, Busy.
    """
    _check_there(guest)
    wanted = {name: _checked(guest, name, changes[name]) for name in CHANGES if changes.get(name) is not None}
    if not wanted:
        raise Invalid(_("There is nothing to change. Give at least one of: %(names)s.") % {"names": ", ".join(CHANGES)})
    return Job.start(
        tasks.change_guest,
        title=_("Change %(name)s") % {"name": guest.name},
        by=by,
        objects=_about(guest),
        guest_id=guest.pk,
        changes=wanted,
    )


def change_media(guest: Guest, target: str, iso: Iso | None, *, by: User) -> Job:
    """Put an ISO into a CD-ROM drive, or (None) take out what is in it. Raises Invalid, GuestNotFound or Busy."""
    _check_there(guest)
    drive = guest.disks.filter(target=target, device__in=("cdrom", "floppy")).first()
    if drive is None:
        sentence = _("%(name)s has no drive %(target)s.")
        raise Invalid(sentence % {"name": guest.name, "target": target}, field="target")
    if iso and (iso.volume.pool.host_id != guest.host_id or iso.volume.missing_since):
        sentence = _("%(iso)s is not on %(host)s.")
        raise Invalid(sentence % {"iso": iso.name, "host": guest.host.name}, field="iso")
    words = {"iso": iso.name if iso else "", "name": guest.name}
    title = _("Insert %(iso)s into %(name)s") if iso else _("Eject the disc of %(name)s")
    return Job.start(
        tasks.change_media,
        title=title % words,
        by=by,
        objects=[*_about(guest), *([Ref("iso", iso.pk, iso.name)] if iso else [])],
        guest_id=guest.pk,
        target=target,
        path=iso.volume.path if iso else None,
    )


def delete_guest(guest: Guest, *, by: User, disks: Iterable[str] = (), force: bool = False) -> Job:
    """Delete a guest and its disks `disks` (targets). A running one only with `force`, which pulls its plug.

    Raises WrongState, Invalid (a target that is no disk of it, or lies in no pool), GuestNotFound or Busy.
    Disks that other guests have too are refused by the job, which asks libvirt.
    """
    _check_there(guest)
    if guest.is_on and not force:
        sentence = _("%(name)s runs. Shut it down first, or have it forced off with the deletion.")
        raise WrongState(sentence % {"name": guest.name}, field="force")
    chosen = [_deletable(guest, target) for target in sorted(set(disks))]
    volumes = [disk.volume for disk in chosen if disk.volume]
    return Job.start(
        tasks.delete_guest,
        title=_("Delete %(name)s") % {"name": guest.name},
        by=by,
        objects=[
            *_about(guest),
            *(Ref("volume", volume.pk, volume.name, exclusive=True) for volume in volumes),
        ],
        guest_id=guest.pk,
        disks=[disk.target for disk in chosen],
        force=force,
    )


def forget_guest(guest: Guest, *, by: User) -> None:
    """Remove the row of a guest that no host has any more, with the grants on it. Raises WrongState otherwise."""
    if not guest.is_missing:
        raise WrongState(_("%(name)s is on %(host)s. Only missing guests can be forgotten.") % _words(guest))
    with transaction.atomic():
        if JobObject.objects.filter(kind="guest", object_id=guest.pk, held=True).exists():
            raise WrongState(_("A job still works on %(name)s. Wait until it is done.") % _words(guest))
        Grant.objects.filter(scope_kind=Grant.Scope.GUEST, scope_id=guest.pk).delete()
        audit.record(by, "forget_guest", kind="guest", object_id=guest.pk, name=guest.name)
        publish(f"guest-{guest.pk}", "guests")
        guest.delete()


def _check_there(guest: Guest) -> None:
    require_enabled(guest.host)
    if guest.is_missing:
        raise GuestNotFound(_("%(name)s is not on %(host)s any more.") % _words(guest))


def _about(guest: Guest) -> list[Ref]:
    return [Ref("guest", guest.pk, guest.name, exclusive=True), Ref("host", guest.host_id, guest.host.name)]


def _words(guest: Guest) -> dict[str, str]:
    return {"name": guest.name, "host": guest.host.name}


def _checked(guest: Guest, name: str, value: Any) -> Any:
    if name == "name":
        return _new_name(guest, value)
    if name == "vcpus":
        return validate.vcpus(value, host_max=most_vcpus(guest.host, is_emulated=guest.is_emulated))
    if name == "memory_mib":
        return validate.memory_mib(value, host_mib=guest.host.memory_mib or None)
    if name == "autostart":
        if not guest.persistent:
            raise WrongState(_("%(name)s is transient: it has no definition that could start.") % _words(guest))
        return bool(value)
    return checked_text(name, value)


def _new_name(guest: Guest, value: str) -> str:
    name = validate.guest_name(value)
    if name == guest.name:
        return name
    if guest.is_on:
        raise WrongState(_("%(name)s runs. Shut it down, then rename it.") % _words(guest), field="name")
    if Guest.objects.filter(host=guest.host, name=name, missing_since=None).exclude(pk=guest.pk).exists():
        sentence = _("%(host)s has a guest named %(name)s already. Choose another name.")
        raise GuestExists(sentence % {"host": guest.host.name, "name": name}, field="name")
    return name


def _deletable(guest: Guest, target: str) -> Disk:
    disk = guest.disks.filter(target=target, device="disk").exclude(source="").select_related("volume").first()
    if disk is None:
        sentence = _("%(name)s has no disk %(target)s that could be deleted.")
        raise Invalid(sentence % {"name": guest.name, "target": target}, field="disks")
    return disk
