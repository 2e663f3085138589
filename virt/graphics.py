"""A connected socket to a guest's display.
https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainOpenGraphicsFD
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import libvirt

from virt.access import NO_ACCESS, Access
from virt.connection import connect, is_plain_local
from virt.domain_summary import parse_domain
from virt.domains import on_guest
from virt.errors import DisplayOutOfReach, NotSupported, VirtError, WrongState
from virt.types import GraphicsSummary, Uuid

CONNECT_TIMEOUT_S = 5.0


class Listener(NamedTuple):
    """Where a display listens on its host: a unix socket, or a port with the address to reach it from there."""

    socket: str = ""
    address: str = ""
    port: int = 0


Through = Callable[[Listener], socket.socket]
"""Connects to a listener from the host itself, which this machine cannot: through the host's SSH server."""


def open_graphics(
    uri: str, uuid: Uuid, *, timeout_s: float = 10.0, access: Access = NO_ACCESS, through: Through | None = None
) -> socket.socket:
    """A socket on which the guest's first VNC display speaks RFB; close it when done. It blocks and has no timeout set.

    On a plain local connection libvirt passes QEMU's end of a socket pair: no port is needed and no password is asked,
    so whoever calls this has checked who may see the screen. Elsewhere the display's own unix socket or TCP port is
    taken, by way of `through` where the host is another machine. Raises GuestNotFound, WrongState (off, or it has no
    VNC display), NotSupported (the display cannot be reached from here) and what `through` raises.
    """
    # Thrown away afterwards: a refused descriptor breaks it.
    with connect(uri, timeout_s=timeout_s, access=access, events=False) as conn:
        xml = on_guest(conn, uuid, "open the display of guest {}", _running_xml)
        summary = parse_domain(xml)
        index, display = _vnc(summary.name, summary.graphics)
        if is_plain_local(uri):
            try:
                descriptor = conn.call(lambda handle: _open_fd(handle, str(uuid), index), "open the display")
                return socket.socket(fileno=descriptor)
            except NotSupported:
                pass  # a libvirt too old for it, or a driver without descriptors: take the display's own listener
    if through is not None:
        return through(_there(summary.name, display))
    return _from_listener(uri, summary.name, display)


def listens_for_its_host_alone(display: GraphicsSummary) -> bool:
    """Whether its definition says that no other machine can reach it. Without an address, only QEMU's settings know."""
    if display.listen in ("none", "socket"):
        return True
    return display.listen == "address" and display.address is not None and _is_loopback(display.address)


def _there(name: str, display: GraphicsSummary) -> Listener:
    """The listener as the host itself reaches it."""
    if display.listen == "socket" and display.socket:
        return Listener(socket=display.socket)
    if display.port:
        address = display.address or "127.0.0.1"
        with suppress(ValueError):
            parsed = ipaddress.ip_address(address)
            if parsed.is_unspecified:
                address = "::1" if parsed.version == 6 else "127.0.0.1"
        return Listener(address=address, port=display.port)
    raise NotSupported(
        f"The display of guest {name} listens nowhere, so only its own host can open it. Let its VNC display listen on "
        "a socket or on 127.0.0.1 in its definition, and restart the guest."
    )


def _running_xml(domain: libvirt.virDomain) -> str:
    if not domain.isActive():
        raise WrongState(f"Guest {domain.name()} is off, so it has no screen. Start it first.")
    return str(domain.XMLDesc(0))


def _vnc(name: str, graphics: tuple[GraphicsSummary, ...]) -> tuple[int, GraphicsSummary]:
    for index, display in enumerate(graphics):
        if display.type == "vnc":
            return index, display
    raise WrongState(f"Guest {name} has no VNC display. Add one to its definition and restart it.")


def _open_fd(handle: libvirt.virConnect, uuid: str, index: int) -> int:
    domain = handle.lookupByUUIDString(uuid)
    return int(domain.openGraphicsFD(index, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH))


def _from_listener(uri: str, name: str, display: GraphicsSummary) -> socket.socket:
    if display.listen == "socket" and display.socket and not urlsplit(uri).hostname:
        return _connected(socket.AF_UNIX, display.socket, name)
    host = urlsplit(uri).hostname
    is_ipv6 = display.address is not None and ":" in display.address
    if display.port and not host and _is_here(display.address):
        address = ("::1" if is_ipv6 else "127.0.0.1", display.port)
        return _connected(socket.AF_INET6 if is_ipv6 else socket.AF_INET, address, name)
    if display.port and host and not _is_loopback(display.address):
        address = (host if _is_here(display.address) else display.address or host, display.port)
        return _connected(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, address, name)
    raise DisplayOutOfReach(  # the first words have to fit into the end of a WebSocket
        f"Only its own host reaches the display of guest {name}. Connect the host over SSH, and it opens. "
        "(Over TLS and TCP libvirt passes no displays, and this one listens on no address that is reached from here.)"
    )


def _is_here(address: str | None) -> bool:
    """Whether a listener at that address can be reached over loopback."""
    if address in (None, "localhost"):
        return True
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_unspecified


def _is_loopback(address: str | None) -> bool:
    try:
        return address in (None, "localhost") or ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _connected(family: socket.AddressFamily, address: str | tuple[str, int], name: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_TIMEOUT_S)
    try:
        sock.connect(address)
    except OSError as exc:
        sock.close()
        raise VirtError(
            f"Could not open the display of guest {name}: its VNC server does not answer.", details=str(exc)
        ) from exc
    sock.settimeout(None)
    return sock
