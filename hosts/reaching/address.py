"""Where a host is and how it is reached, as fields of a form and as libvirt's URI. https://libvirt.org/uri.html"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from virt.access import DEFAULT_PORTS
from virt.errors import Invalid

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}\$?", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9_./@:+~-]{1,100}", re.ASCII)
LONGEST_NAME = 253


class Transport(models.TextChoices):
    LOCAL = "local", gettext_lazy("This machine")
    SSH = "ssh", gettext_lazy("SSH")
    TLS = "tls", gettext_lazy("TLS")
    TCP = "tcp", gettext_lazy("TCP")
    TEST = "test", gettext_lazy("Test driver")


class Scope(models.TextChoices):
    SYSTEM = "system", gettext_lazy("System: the guests of the machine")
    SESSION = "session", gettext_lazy("Session: the guests of one user")


PORTS = {Transport.SSH: 22, Transport.TLS: DEFAULT_PORTS["tls"], Transport.TCP: DEFAULT_PORTS["tcp"]}


@dataclass(frozen=True, kw_only=True)
class Address:
    """`socket` is where libvirtd listens on the host, "" where it usually does; `port` 0 is the transport's own."""

    transport: Transport
    hostname: str = ""
    port: int = 0
    user: str = ""
    scope: Scope = Scope.SYSTEM
    socket: str = ""
    definition: str = ""  # of libvirt's test driver: "default", or a file with its objects

    @classmethod
    def checked(cls, **fields: object) -> Self:
        """The address of what a person gave; fields that its transport has no use for are dropped. Raises Invalid."""
        address = cls(**fields)  # type: ignore[arg-type]
        transport = address.transport
        is_remote = transport in PORTS
        return cls(
            transport=transport,
            hostname=_hostname(address.hostname) if is_remote else "",
            port=_port(address.port, transport) if is_remote else 0,
            user=_user(address.user) if transport == Transport.SSH else "",
            scope=address.scope if transport in (Transport.SSH, Transport.LOCAL) else Scope.SYSTEM,
            socket=_path(address.socket, "socket") if transport in (Transport.SSH, Transport.LOCAL) else "",
            definition=_definition(address.definition) if transport == Transport.TEST else "",
        )

    @classmethod
    def parse(cls, uri: str) -> Self:
        """The address that `uri` stands for, as far as kvmweb knows such: what it made itself comes back the same."""
        parts = urlsplit(uri)
        driver, _plus, transport = parts.scheme.partition("+")
        if driver == "test":
            path = parts.path
            return cls(transport=Transport.TEST, definition="default" if path in ("", "/default") else path)
        kinds = {"ssh": Transport.SSH, "tls": Transport.TLS, "tcp": Transport.TCP}
        kind = kinds.get(transport, Transport.TLS if parts.hostname else Transport.LOCAL)
        return cls(
            transport=kind,
            hostname=parts.hostname or "",
            port=parts.port or 0,
            user=unquote(parts.username or ""),
            scope=Scope.SESSION if parts.path == "/session" else Scope.SYSTEM,
            socket=parse_qs(parts.query).get("socket", [""])[0],
        )

    @property
    def uri(self) -> str:
        """Without secrets, and always spelled the same for the same address."""
        if self.transport == Transport.TEST:
            return f"test://{'/default' if self.definition == 'default' else self.definition}"
        query = f"?socket={quote(self.socket, safe='/')}" if self.socket else ""
        if self.transport == Transport.LOCAL:
            return f"qemu{'+unix' if query else ''}:///{self.scope}{query}"
        user = f"{quote(self.user)}@" if self.user else ""
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        port = f":{self.port}" if self.port else ""
        return f"qemu+{self.transport}://{user}{host}{port}/{self.scope}{query}"

    @property
    def actual_port(self) -> int:
        return self.port or PORTS[self.transport]

    @property
    def is_ssh(self) -> bool:
        return self.transport == Transport.SSH


def vnc_listen(uri: str) -> str:
    """Where displays of new guests on the host at `uri` are to listen so that kvmweb reaches them, no wider than that.

    libvirt passes displays on its own machine only. A socket on the host can be opened by root alone there; an ordinary
    user has to take a port of the loopback, which other users of that host can reach too.
    """
    address = Address.parse(uri)
    if not address.is_ssh:
        return "none"
    return "socket" if address.user == "root" else "loopback"


def _hostname(value: str) -> str:
    name = value.strip().strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name:
        raise Invalid(_("Give the name or the address of the host."), field="hostname")
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise Invalid(_("This is neither a host name nor an IP address."), field="hostname")
    return name


def _port(value: int, transport: Transport) -> int:
    if not 0 <= value <= 65535:
        raise Invalid(_("A port is a number from 1 to 65535."), field="port")
    return 0 if value == PORTS[transport] else value


def _user(value: str) -> str:
    name = value.strip() or "root"
    if not _USER.fullmatch(name):
        raise Invalid(_("A user name has letters, digits, dots, dashes and underscores."), field="user")
    return name


def _path(value: str, field: str) -> str:
    path = value.strip()
    if path and (not _PATH.fullmatch(path) or ".." in PurePosixPath(path).parts):
        raise Invalid(_("Give a full path such as /run/libvirt/libvirt-sock."), field=field)
    return path


def _definition(value: str) -> str:
    return "default" if value.strip() in ("", "default") else _path(value, "definition")
