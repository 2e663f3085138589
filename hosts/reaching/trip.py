"""What a step of reaching a host is, and what the steps of one attempt know of each other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from hosts import ssh
from virt.access import Access
from virt.connection import Connection
from virt.errors import UserError
from virt.types import HostFacts

from . import access, probes
from .address import Address
from .models import Attempt

SOCKETS = (
    "/run/libvirt/libvirt-sock",
    "/run/libvirt/virtqemud-sock",
    "/var/run/libvirt/libvirt-sock",
    "/var/run/libvirt/virtqemud-sock",
)


class Stop(UserError):
    """A step that did not go well. `todo` is a sentence, `command` what to run on the host; with `asks`, a person has
    to decide something before it can go on.
    """

    status = 502

    def __init__(
        self, code: str, found: str, *, todo: str = "", command: str = "", details: str = "", asks: bool = False
    ) -> None:
        super().__init__(found, details=details)
        self.code, self.todo, self.command, self.asks = code, todo, command, asks


class Found(NamedTuple):
    """What a step that went well found out; `warning` is worth knowing all the same."""

    text: str
    warning: str = ""
    command: str = ""


@dataclass
class Trip:
    """What the steps of one attempt know of each other."""

    attempt: Attempt
    address: Address
    login_name: str = ""
    clock_apart_s: float = 0.0
    conn: Connection | None = None
    facts: HostFacts | None = None

    @property
    def client(self) -> ssh.SshClient:
        return access.ssh_for(self.attempt)

    @property
    def access(self) -> Access:
        return access.access_for(self.attempt)


class Step(NamedTuple):
    key: str
    title: str | Promise
    work: Callable[[Trip], Found]


def no_connection(error: OSError, port: int, command: str) -> NoReturn:
    """Why a port did not answer, in the three ways in which that happens."""
    if isinstance(error, ConnectionRefusedError):
        raise Stop(
            "host_port_closed",
            _("The machine is there, but nothing listens on port %(port)d.") % {"port": port},
            todo=_("Start the service on the host, or give the port on which it listens."),
            command=command,
            details=str(error),
        ) from error
    if isinstance(error, probes.Silent):
        raise Stop(
            "host_silent",
            _("Port %(port)d takes connections, but then nothing comes.") % {"port": port},
            todo=_("The service behind it hangs, or it is another one. Restart it on the host, or check the port."),
            details=str(error),
        ) from error
    raise Stop(
        "host_not_reached",
        _("The machine does not answer on port %(port)d.") % {"port": port},
        todo=_("Is it on, is the address right, and does a firewall between it and kvmweb let the port through?"),
        details=str(error),
    ) from error
