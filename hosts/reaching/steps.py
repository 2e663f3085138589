"""What is tried, one after the other, to reach a host: each step says what it found, or what to do about it."""

import shlex

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from virt.connection import connect
from virt.errors import PermissionRefused, VirtError
from virt.host import host_facts

from . import port_steps, probes, ssh_steps
from .address import Transport
from .trip import Found, Step, Stop, Trip

OPEN_TIMEOUT_S = 15.0
OLDEST_LIBVIRT = (6, 0)


def resolve(trip: Trip) -> Found:
    name = trip.address.hostname
    try:
        found = probes.resolve(name)
    except OSError as error:
        raise Stop(
            "host_not_resolved",
            _("The name %(name)s is not known here.") % {"name": name},
            todo=_("Check the spelling, or give the IP address of the host."),
            details=str(error),
        ) from error
    if found == [name]:
        return Found(_("%(address)s is an address.") % {"address": name})
    return Found(_("%(name)s is %(addresses)s.") % {"name": name, "addresses": ", ".join(found)})


def permission(trip: Trip) -> Found:
    """Open libvirt for real."""
    attempt, user = trip.attempt, trip.login_name or trip.address.user
    try:
        trip.conn = connect(attempt.uri, timeout_s=OPEN_TIMEOUT_S, access=trip.access)
    except PermissionRefused as error:
        if trip.address.transport in (Transport.TCP, Transport.TLS):
            raise Stop(
                "host_password_refused",
                _("libvirt refuses this user name and password."),
                todo=_("Give others, or set this one on the host."),
                command=f"saslpasswd2 -a libvirt {shlex.quote(attempt.username or 'kvmweb')}",
                details=error.details,
            ) from error
        who = shlex.quote(user or "kvmweb")
        raise Stop(
            "libvirt_forbidden",
            _("The user %(user)s may not use libvirt.") % {"user": user or "kvmweb"},
            todo=_("Add the user to the group libvirt, or log in as root."),
            command=f"usermod -aG libvirt {who}",
            details=error.details,
        ) from error
    return Found(_("libvirt lets kvmweb in."))


def version(trip: Trip) -> Found:
    if trip.conn is None:
        raise VirtError("The connection is closed.")
    facts = trip.facts = host_facts(trip.conn)
    wants_test = trip.address.transport == Transport.TEST
    if facts.hypervisor.upper() != "QEMU" and not wants_test:
        raise Stop(
            "host_not_qemu",
            _("libvirt there drives %(kind)s; kvmweb is for QEMU and KVM.") % {"kind": facts.hypervisor},
            todo=_("Install QEMU and libvirt's driver for it."),
            command="apt install libvirt-daemon-system qemu-system-x86",
        )
    text = _("libvirt %(libvirt)s and %(kind)s %(version)s on %(host)s.") % {
        "libvirt": facts.libvirt_version,
        "kind": facts.hypervisor,
        "version": facts.hypervisor_version,
        "host": facts.hostname,
    }
    if tuple(map(int, facts.libvirt_version.split(".")[:2])) < OLDEST_LIBVIRT and not wants_test:
        return Found(text, warning=_("It is older than what kvmweb was tried with; some things may not work."))
    return Found(text)


_OPEN: tuple[Step, ...] = (
    Step("permission", gettext_lazy("Permission to use libvirt"), permission),
    Step("version", gettext_lazy("Versions"), version),
)
_NETWORK = Step("resolve", gettext_lazy("Name"), resolve)
STEPS: dict[Transport, tuple[Step, ...]] = {
    Transport.SSH: (
        _NETWORK,
        Step("connect", gettext_lazy("Connection to the SSH server"), ssh_steps.connect_ssh),
        Step("host_key", gettext_lazy("SSH key of the host"), ssh_steps.host_key),
        Step("login", gettext_lazy("Login with kvmweb's SSH key"), ssh_steps.login),
        Step("clock", gettext_lazy("Clock"), ssh_steps.clock),
        Step("libvirt", gettext_lazy("libvirt's socket"), ssh_steps.libvirt_over_ssh),
        *_OPEN,
    ),
    Transport.TLS: (
        _NETWORK,
        Step("connect", gettext_lazy("Connection to libvirt's port"), port_steps.connect_tcp),
        Step("certificates", gettext_lazy("Certificates"), port_steps.certificates),
        *_OPEN,
    ),
    Transport.TCP: (
        _NETWORK,
        Step("connect", gettext_lazy("Connection to libvirt's port"), port_steps.connect_tcp),
        Step("libvirt", gettext_lazy("libvirt"), port_steps.libvirt_answers),
        *_OPEN,
    ),
    Transport.LOCAL: (Step("libvirt", gettext_lazy("libvirt's socket"), port_steps.libvirt_here), *_OPEN),
    Transport.TEST: _OPEN,
}
