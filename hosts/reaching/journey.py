"""Going through the steps of an attempt, telling after each how far it came."""

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from virt.errors import UserError

from .access import forget_attempt
from .address import Address, Scope
from .models import Attempt
from .steps import STEPS
from .trip import Found, Step, Stop, Trip

Report = Callable[[str, int, int], None]
"""Called before each step with its title, how many are done, and of how many."""


def travel(attempt: Attempt, report: Report) -> Trip:
    """Try every step and keep what each found in `attempt.steps`. The connection of the trip is closed again.

    Raises the Stop (or other UserError) of the first step that does not go well.
    """
    trip = Trip(attempt=attempt, address=attempt.address)
    steps = [*STEPS[trip.address.transport], Step("identity", _("Not added already"), identity)]
    attempt.steps = [{"key": step.key, "title": str(step.title), "verdict": "waiting"} for step in steps]
    try:
        for number, step in enumerate(steps):
            attempt.steps[number]["verdict"] = "running"
            _save(attempt)
            report(str(step.title), number, len(steps))
            attempt.steps[number] |= _taken(step, trip)
            _save(attempt)
    except UserError as error:
        for entry in attempt.steps:
            if entry["verdict"] == "running":
                entry |= _stopped(error)
        raise
    finally:
        if trip.conn is not None:
            trip.conn.close()
        _save(attempt)
        forget_attempt(attempt)
    return trip


def identity(trip: Trip) -> Found:
    """Whether it is a machine that kvmweb has already, under this address or another."""
    facts, attempt = trip.facts, trip.attempt
    others = Host.objects.present().exclude(pk=attempt.host_id)
    if facts is None or not facts.uuid:  # libvirt's test driver has none
        return Found(_("It is new."))
    if trip.address.scope == Scope.SESSION:  # the guests of one user, beside those of the machine
        return Found(_("It is libvirt of one user on %(host)s.") % {"host": facts.hostname})
    for other in others.filter(uuid=facts.uuid):
        if Address.parse(other.uri).scope == Scope.SESSION:
            continue
        if other.facts.get("hostname") == facts.hostname:
            raise Stop(
                "host_added_already",
                _("This machine is in kvmweb already: it is %(name)s, at %(uri)s.")
                % {"name": other.name, "uri": other.uri},
                todo=_("Change the connection of that host if it is to be reached under this address from now on."),
            )
        sentence = _(
            "%(name)s has the same UUID %(uuid)s, though it is another machine. libvirt tells hosts apart by it, so no "
            "guest can be migrated between the two."
        ) % {"name": other.name, "uuid": facts.uuid}
        command = 'echo "host_uuid = \\"$(uuidgen)\\"" >> /etc/libvirt/libvirtd.conf && systemctl restart libvirtd'
        if not attempt.allows_twin:
            todo = _("Give one of them an UUID of its own with this command, then try again; or add it all the same.")
            raise Stop("host_uuid_taken", sentence, todo=todo, command=command, asks=True)
        return Found(_("It is another machine than those in kvmweb."), warning=sentence, command=command)
    known = attempt.host
    is_another = known is not None and known.uuid is not None and str(known.uuid) != facts.uuid
    if known is not None and is_another and known.facts.get("hostname") != facts.hostname and not attempt.allows_twin:
        raise Stop(
            "host_is_another",
            _("Another machine answers there than the one that is known as %(name)s: its UUID is %(uuid)s.")
            % {"name": known.name, "uuid": facts.uuid},
            todo=_("Add it as a host of its own. Or go on, and the guests of the old machine will be marked missing."),
            asks=True,
        )
    return Found(_("It is new.") if known is None else _("It is the machine that it was."))


def refuse_same_address(address: Address, host: Host | None) -> None:
    """Raise Stop when another host has that address."""
    others = Host.objects.present().filter(uri=address.uri)
    if host is not None:
        others = others.exclude(pk=host.pk)
    if other := others.first():
        stop = Stop("host_added_already", _("That is the address of %(name)s.") % {"name": other.name})
        stop.status, stop.field = 409, "hostname"  # type: ignore[misc]
        raise stop


def _taken(step: Step, trip: Trip) -> dict[str, Any]:
    found = step.work(trip)
    verdict = "warning" if found.warning else "passed"
    return {"verdict": verdict, "found": found.text, "todo": found.warning, "command": found.command}


def _stopped(error: UserError) -> dict[str, Any]:
    told = {"found": str(error), "details": error.details, "code": error.code}
    if isinstance(error, Stop):
        return told | {"verdict": "asked" if error.asks else "failed", "todo": error.todo, "command": error.command}
    return told | {"verdict": "failed", "todo": "", "command": ""}


def _save(attempt: Attempt) -> None:
    attempt.save(update_fields=["steps", "offered_keys"])
