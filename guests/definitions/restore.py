"""What putting back an older definition would do, from rows alone: what speaks against it, and what to know before."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from django.utils.translation import gettext as _

from guests.models import Disk, Guest
from networking.models import Bridge, Network
from storage.models import Pool, Volume
from virt.definition_diff import host_resources
from virt.definition_restore import open_displays
from virt.domain_summary import parse_domain
from virt.errors import UserError, VolumeInUse
from virt.types import DiskSummary, DomainSummary


class DiskMissing(UserError):
    """A disk of the definition is not on the host any more."""

    code, status = "disk_missing", 409


class DefinitionChanged(UserError):
    """The definition is not the one any more that somebody looked at."""

    code, status = "definition_changed", 409


@dataclass
class Plan:
    """`problem` is why it cannot be put back, or None; `notes` are sentences for whoever decides."""

    problem: UserError | None = None
    notes: list[str] = field(default_factory=list)
    empty_drives: list[str] = field(default_factory=list)  # targets whose disc is gone
    reaches_more: bool = False  # of its host than now: files, devices


def plan_restore(guest: Guest, xml: str) -> Plan:
    """Check the definition `xml`, an older one of the guest's, against what is known of its host."""
    plan, summary = Plan(), parse_domain(xml)
    plan.reaches_more = bool(host_resources(xml) - host_resources(guest.xml)) if guest.xml else True
    for disk in summary.disks:
        _check_disk(plan, guest, disk)
    _note_networks(plan, guest, summary)
    if summary.name != guest.name:
        words = {"name": guest.name, "before": summary.name}
        plan.notes.append(_("The guest was named %(before)s then. It keeps the name %(name)s.") % words)
    if guest.is_on:
        plan.notes.append(_("%(name)s runs: it takes effect at its next start.") % {"name": guest.name})
    if displays := open_displays(xml):
        sentence = _(
            "The display %(display)s listens on the network. Passwords of displays are not kept: the guest keeps the "
            "one that it has now, if it has one."
        )
        plan.notes.append(sentence % {"display": ", ".join(displays)})
    return plan


def disk_missing(guest_name: str, disk: DiskSummary) -> DiskMissing:
    words = {"target": disk.target, "name": guest_name, "source": disk.source}
    return DiskMissing(
        _("Disk %(target)s of that definition, %(source)s, is not on the host any more. %(name)s stays as it is.")
        % words
    )


def changed_meanwhile(guest_name: str) -> DefinitionChanged:
    return DefinitionChanged(
        _("The definition of %(name)s was changed meanwhile. Look at it again, then put the older one back.")
        % {"name": guest_name}
    )


def _check_disk(plan: Plan, guest: Guest, disk: DiskSummary) -> None:
    if not disk.source:
        return
    if _is_gone(guest, disk):
        if disk.device in ("cdrom", "floppy"):
            plan.empty_drives.append(disk.target)
            words = {"source": PurePosixPath(disk.source).name, "target": disk.target}
            plan.notes.append(_("The disc %(source)s is gone: the drive %(target)s will be empty.") % words)
        else:
            plan.problem = plan.problem or disk_missing(guest.name, disk)
        return
    if disk.readonly or disk.shareable:
        return
    others = Disk.objects.filter(source=disk.source, guest__host=guest.host, guest__missing_since=None)
    other = others.exclude(guest=guest).select_related("guest").first()
    if other and not plan.problem:
        words = {"target": disk.target, "other": other.guest.name, "source": disk.source}
        plan.problem = VolumeInUse(
            _("Disk %(target)s of that definition, %(source)s, belongs to the guest %(other)s now.") % words
        )


def _is_gone(guest: Guest, disk: DiskSummary) -> bool:
    """Whether the host had nothing there at the last look; what lies in no pool is not known from here."""
    volumes = Volume.objects.filter(pool__host=guest.host)
    pools = Pool.objects.filter(host=guest.host, missing_since=None, is_active=True)
    if disk.pool and disk.volume:
        found = volumes.filter(pool__name=disk.pool, name=disk.volume)
        in_pool = pools.filter(name=disk.pool).exists()
    else:
        found = volumes.filter(path=disk.source)
        in_pool = pools.filter(target_path=str(PurePosixPath(disk.source).parent)).exists()
    return in_pool and not found.filter(missing_since=None).exists()


def _note_networks(plan: Plan, guest: Guest, summary: DomainSummary) -> None:
    there = {
        "network": set(Network.objects.filter(host=guest.host, missing_since=None).values_list("name", flat=True)),
        "bridge": set(Bridge.objects.filter(host=guest.host, missing_since=None).values_list("name", flat=True)),
    }
    for nic in summary.nics:
        if nic.kind in there and nic.source not in there[nic.kind]:
            words = {"source": nic.source, "mac": nic.mac}
            plan.notes.append(
                _("The host has no network %(source)s for the card %(mac)s: the guest will not start without it.")
                % words
            )
