"""The order in which guests start with their host."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from guests import tasks
from guests.models import AutostartEntry, Guest, HostBoot
from hosts.models import Host
from hosts.services import require_enabled
from jobs.live import publish
from jobs.models import Job, Ref
from virt.errors import Invalid, WrongState

from .boots import knows_boots, read_boot_id

log = structlog.get_logger(__name__)
MOST_GUESTS, LONGEST_DELAY_S = 1000, 3600


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A guest (its row id), and how long to wait before it is started."""

    guest: int
    delay_s: int = 0


def order_of(host: Host) -> list[AutostartEntry]:
    """The guests that kvmweb starts with the host, first to last; those that are missing have no turn meanwhile."""
    there = AutostartEntry.objects.filter(guest__host=host, guest__missing_since=None)
    return list(there.select_related("guest").defer("guest__xml"))


def set_order(host: Host, turns: Iterable[Turn], *, by: User) -> Job:
    """Start these guests, and no others, in this order with the host; a job switches off their libvirt autostart.

    Raises Invalid, WrongState (a transient guest, or kvmweb cannot know when the host was started) or HostDisabled.
    """
    require_enabled(host)
    wanted = list(turns)
    _check_knows_boots(host)
    guests = _checked(host, wanted)
    with transaction.atomic():
        AutostartEntry.objects.filter(guest__host=host).delete()
        AutostartEntry.objects.bulk_create(
            AutostartEntry(guest_id=turn.guest, position=position, delay_s=turn.delay_s)
            for position, turn in enumerate(wanted, start=1)
        )
        names = ", ".join(guests[turn.guest].name for turn in wanted)
        audit.record(by, "set_start_order", kind="host", object_id=host.pk, name=host.name, detail=names)
        publish(f"host-{host.pk}")
        return Job.start(
            tasks.hand_over_autostart,
            title=_("Change the start order on %(host)s") % {"host": host.name},
            by=by,
            objects=[Ref("host", host.pk, host.name)],
            host_id=host.pk,
            guest_ids=[turn.guest for turn in wanted],
        )


def start_after_boot(host: Host) -> Job | None:
    """Called when there is contact with a host (again): start its guests in order if it was started since.

    None: nothing is to be done. Where two watchers see the same boot, one starts the job. Raises UserError.
    """
    if not AutostartEntry.objects.filter(guest__host=host).exists() or not knows_boots(host):
        return None
    boot_id = read_boot_id(host)
    with transaction.atomic():
        known, is_new = HostBoot.objects.select_for_update().get_or_create(host=host, defaults={"boot_id": boot_id})
        if is_new or known.boot_id == boot_id:
            return None
        known.boot_id, known.seen_at = boot_id, timezone.now()
        known.save()
        log.info("host was started, its guests follow", host=host.name)
        return Job.start(
            tasks.autostart_guests,
            title=_("Start the guests of %(host)s in their order") % {"host": host.name},
            by=None,
            objects=[Ref("host", host.pk, host.name)],
            host_id=host.pk,
        )


def _check_knows_boots(host: Host) -> None:
    if not knows_boots(host):
        raise WrongState(
            _(
                "%(host)s is not reached over SSH, so kvmweb cannot know when it was started. Use libvirt's own "
                "autostart of its guests, or change its connection to SSH."
            )
            % {"host": host.name}
        )


def _checked(host: Host, turns: list[Turn]) -> dict[int, Guest]:
    pks = [turn.guest for turn in turns]
    if len(pks) > MOST_GUESTS or len(set(pks)) != len(pks):
        raise Invalid(_("Name each guest once, and at most %(most)d.") % {"most": MOST_GUESTS}, field="guests")
    if not all(0 <= turn.delay_s <= LONGEST_DELAY_S for turn in turns):
        raise Invalid(_("A delay is from 0 to %(most)d seconds.") % {"most": LONGEST_DELAY_S}, field="delay_s")
    found = {guest.pk: guest for guest in Guest.objects.filter(host=host, pk__in=pks, missing_since=None).defer("xml")}
    if len(found) != len(pks):
        raise Invalid(_("A guest of that list is not on %(host)s.") % {"host": host.name}, field="guests")
    transient = next((guest for guest in found.values() if not guest.persistent), None)
    if transient:
        raise WrongState(_("%(name)s is transient: it has no definition that could start.") % {"name": transient.name})
    return found
