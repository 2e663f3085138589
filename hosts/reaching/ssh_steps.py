"""Steps on the way to a host over SSH."""

import shlex
import time

from django.utils.translation import gettext as _

from hosts import commands, ssh
from virt.errors import PermissionRefused
from virt.libvirt_errors import from_ssh

from . import keys, probes
from .address import Scope
from .trip import SOCKETS, Found, Stop, Trip, no_connection

COMMAND_TIMEOUT_S = 15.0
CLOCK_APART_S = 60
LOOK = (
    'for s in "$@"; do [ -S "$s" ] && echo "socket $s"; done; PATH="$PATH:/usr/sbin:/sbin"; '
    'for p in libvirtd virtqemud nc virt-ssh-helper; do command -v $p >/dev/null && echo "program $p"; done; true'
)


def connect_ssh(trip: Trip) -> Found:
    name, port = trip.address.hostname, trip.address.actual_port
    try:
        said = probes.greeting(name, port)
    except OSError as error:
        no_connection(error, port, "systemctl enable --now ssh || systemctl enable --now sshd")
    if not said.startswith("SSH-"):
        raise Stop(
            "host_not_ssh",
            _("Something answers on port %(port)d, but it is no SSH server.") % {"port": port},
            todo=_("Give the port on which sshd of the host listens."),
            details=said,
        )
    return Found(_("An SSH server answers on port %(port)d.") % {"port": port})


def host_key(trip: Trip) -> Found:
    attempt, address = trip.attempt, trip.address
    offered = keys.scan(address.hostname, address.actual_port)
    attempt.offered_keys = "\n".join(offered)
    if not offered:
        raise Stop(
            "host_key_missing",
            _("The SSH server shows no key that kvmweb knows how to check."),
            todo=_("Make an Ed25519 key on the host and restart its sshd."),
            command="ssh-keygen -A",
        )
    pinned = attempt.host_keys.splitlines()
    shown = ", ".join(f"{keys.kind(key)} {keys.fingerprint(key)}" for key in offered)
    look = "for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $f; done"
    if not pinned:
        raise Stop(
            "host_key_unconfirmed",
            _("The machine shows this SSH key, and nobody has said yet that it is the right one: %(keys)s")
            % {"keys": shown},
            todo=_("Compare it with what this command says on the host itself, then confirm it."),
            command=look,
            asks=True,
        )
    if not keys.is_known(offered, pinned):
        known = ", ".join(f"{keys.kind(key)} {keys.fingerprint(key)}" for key in pinned)
        raise Stop(
            "host_key_changed",
            _(
                "The machine at this address shows another SSH key than before. Before: %(known)s. Now: %(keys)s. "
                "Either the host was installed anew or given new keys, or somebody sits between it and kvmweb."
            )
            % {"known": known, "keys": shown},
            todo=_(
                "Nothing is sent to it. Compare with what this command says on the host itself; then accept it, if so."
            ),
            command=look,
            asks=True,
        )
    return Found(_("It is the key that was confirmed."))


def login(trip: Trip) -> Found:
    client, user = trip.client, trip.address.user
    begun = time.time()
    done = commands.run_here(
        client.argv(command=["sh", "-c", "id -un; uname -n; date +%s"]), timeout_s=COMMAND_TIMEOUT_S
    )
    if done.code == commands.SSH_FAILED:
        error = from_ssh(done.stderr, f"log in as {user}")
        if isinstance(error, PermissionRefused):
            raise Stop(
                "host_login_refused",
                _("The host does not let kvmweb log in as %(user)s with its SSH key.") % {"user": user},
                todo=_("Run this on the host as %(user)s.") % {"user": user},
                command=authorize_command(),
                details=done.stderr,
            )
        raise error
    words = done.stdout.split()
    if len(words) != 3 or not words[2].isdigit():
        raise Stop(
            "host_shell_strange",
            _("The login of %(user)s works, but its shell does not run commands.") % {"user": user},
            todo=_("Give the user an ordinary shell that prints nothing by itself."),
            details=(done.stdout + done.stderr)[:1000],
        )
    trip.login_name, trip.clock_apart_s = words[0], int(words[2]) - begun
    return Found(_("Logged in as %(user)s on %(host)s.") % {"user": words[0], "host": words[1]})


def clock(trip: Trip) -> Found:
    apart = abs(trip.clock_apart_s)
    if apart < CLOCK_APART_S:
        return Found(_("The clocks of the host and of kvmweb agree."))
    words = _("The clock of the host is %(seconds)d s away from that of kvmweb.") % {"seconds": round(apart)}
    meaning = _("Certificates, logs and histories will be wrong. Let the host keep its clock by NTP.")
    return Found(words, warning=meaning, command="timedatectl set-ntp true")


def libvirt_over_ssh(trip: Trip) -> Found:
    """Whether libvirtd listens there, and whether there is a program that SSH can talk to it through."""
    wanted = [trip.address.socket] if trip.address.socket else list(SOCKETS)
    argv = trip.client.argv(command=["sh", "-c", LOOK, "look", *wanted])
    lines = commands.run_here(argv, timeout_s=COMMAND_TIMEOUT_S).stdout.splitlines()
    sockets = [line.removeprefix("socket ") for line in lines if line.startswith("socket ")]
    programs = {line.removeprefix("program ") for line in lines if line.startswith("program ")}
    if not sockets and not programs & {"libvirtd", "virtqemud"}:
        raise Stop(
            "libvirt_missing",
            _("libvirt is not installed on the host."),
            todo=_("Install it (on relatives of RHEL: dnf install libvirt qemu-kvm)."),
            command="apt install libvirt-daemon-system qemu-system-x86",
        )
    if not sockets and trip.address.scope == Scope.SYSTEM:
        raise Stop(
            "libvirt_stopped",
            _("libvirt is installed on the host, but does not run: there is no %(socket)s.") % {"socket": wanted[0]},
            todo=_("Start it."),
            command="systemctl enable --now libvirtd",
        )
    if not programs & {"nc", "virt-ssh-helper"}:
        raise Stop(
            "host_lacks_netcat",
            _("SSH cannot pass anything on to libvirt there: the host has neither virt-ssh-helper nor nc."),
            todo=_("Install one of them (on relatives of RHEL: dnf install nmap-ncat)."),
            command="apt install netcat-openbsd",
        )
    return Found(_("libvirtd listens on %(socket)s.") % {"socket": sockets[0]} if sockets else _("libvirt is there."))


def authorize_command() -> str:
    """What lets kvmweb's key in, run on the host as the user that kvmweb logs in as."""
    key = shlex.quote(ssh.public_key())
    return f"mkdir -p -m 700 ~/.ssh && echo {key} >> ~/.ssh/authorized_keys && chmod 600 ~/.ssh/authorized_keys"
