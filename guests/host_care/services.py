"""What an administrator does with a host for which its guests count. The caller has asked `permitted` for the host."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from guests import tasks
from guests.models import Guest
from hosts import maintenance
from hosts.models import Host
from hosts.reaching.address import Address, Transport
from hosts.services import require_enabled
from jobs.models import Job, Ref
from virt.errors import Invalid, NotSupported, WrongState

LEAVE, SHUT_DOWN = "leave", "shutdown"
GUESTS = (LEAVE, SHUT_DOWN)
MOST_AT_ONCE, USUAL_AT_ONCE = 50, 5
LONGEST_PATIENCE_S, USUAL_PATIENCE_S = 3600, 300


def enter_maintenance(
    host: Host, *, by: User, reason: str = "", guests: str = LEAVE, at_once: int = USUAL_AT_ONCE
) -> Job | None:
    """Place nothing new on the host, and (with `guests` "shutdown") shut down what runs on it, by the job returned.

    Raises Invalid, HostDisabled, or Busy while another such job runs.
    """
    if guests not in GUESTS:
        raise Invalid(_("Say what becomes of the guests: %(words)s.") % {"words": ", ".join(GUESTS)}, field="guests")
    with transaction.atomic():
        maintenance.enter(host, by=by, reason=reason)
        return shut_down_guests(host, by=by, at_once=at_once) if guests == SHUT_DOWN else None


def shut_down_guests(host: Host, *, by: User, at_once: int = USUAL_AT_ONCE, patience_s: int = USUAL_PATIENCE_S) -> Job:
    """Ask all guests that run on the host to shut down, `at_once` at a time, and wait for each up to `patience_s`.

    One job with a child for each guest; its end names those that still run. Raises Invalid, HostDisabled or Busy.
    """
    require_enabled(host)
    return Job.start(
        tasks.shut_down_guests,
        title=_("Shut down the guests of %(host)s") % {"host": host.name},
        by=by,
        objects=[Ref("host", host.pk, host.name, exclusive=True)],
        host_id=host.pk,
        **_pace(at_once, patience_s),
    )


def power_host(
    host: Host,
    verb: str,
    *,
    by: User,
    guests: str = SHUT_DOWN,
    at_once: int = USUAL_AT_ONCE,
    patience_s: int = USUAL_PATIENCE_S,
) -> Job:
    """Restart or power off the machine through its systemd; `verb` is reboot or poweroff.

    With `guests` "shutdown" its guests are shut down first, and the machine is left alone when one of them does not.
    Raises Invalid, WrongState (kvmweb itself runs there), NotSupported (no commands on it), HostDisabled or Busy.
    """
    require_enabled(host)
    if verb not in tasks.HOST_VERBS:
        raise Invalid(_("The verb must be one of: %(words)s.") % {"words": ", ".join(tasks.HOST_VERBS)}, field="verb")
    if guests not in GUESTS:
        raise Invalid(_("Say what becomes of the guests: %(words)s.") % {"words": ", ".join(GUESTS)}, field="guests")
    check_can_power(host, verb)
    return Job.start(
        tasks.power_host,
        title=str(tasks.HOST_VERBS[verb]) % {"host": host.name},
        by=by,
        objects=[Ref("host", host.pk, host.name, exclusive=True)],
        host_id=host.pk,
        verb=verb,
        shut_down=guests == SHUT_DOWN,
        **_pace(at_once, patience_s),
    )


def check_can_power(host: Host, verb: str) -> None:
    """Raise WrongState or NotSupported, saying why, where kvmweb cannot switch the machine."""
    address = Address.parse(host.uri)
    if address.transport == Transport.LOCAL:
        raise WrongState(
            _(
                "kvmweb runs on %(host)s itself, as a user that may not restart the machine, and would go down with "
                "it. Log in to the machine and run: systemctl %(verb)s"
            )
            % {"host": host.name, "verb": verb}
        )
    if not address.is_ssh:
        raise NotSupported(
            _(
                "%(host)s is not reached over SSH, so kvmweb cannot ask its systemd. Change its connection to SSH, or "
                "run on it: systemctl %(verb)s"
            )
            % {"host": host.name, "verb": verb}
        )


def running_guests(host: Host) -> int:
    """How many guests run on the host, as last seen."""
    return Guest.objects.filter(host=host, state__in=Guest.ON).count()


def _pace(at_once: int, patience_s: int) -> dict[str, Any]:
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise Invalid(_("From 1 to %(most)d guests at a time.") % {"most": MOST_AT_ONCE}, field="at_once")
    if not 1 <= patience_s <= LONGEST_PATIENCE_S:
        raise Invalid(
            _("Wait from 1 to %(most)d seconds for a guest.") % {"most": LONGEST_PATIENCE_S}, field="patience_s"
        )
    return {"at_once": at_once, "patience_s": patience_s}
