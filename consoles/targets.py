"""From a ticket to a connected socket: the guest's screen, or its serial port."""

import contextlib
import socket
import threading

from django.db import connections

from hosts.models import Host
from hosts.reaching import forward
from hosts.reaching.access import access_to
from virt.access import NO_ACCESS, Access
from virt.connection import is_plain_local
from virt.console import Console, open_console
from virt.errors import HostUnreachable, VirtError
from virt.graphics import Through, open_graphics

from .tickets import Ticket

CHUNK_BYTES = 64 * 1024


def open_target(ticket: Ticket) -> socket.socket:
    """Connect to what the ticket is for. Takes as long as its host does, up to virt's own deadline.

    Raises virt.errors.VirtError: WrongState when the guest is off, NotSupported when it has no such display or port,
    HostUnreachable, HostKeyRefused and the others as their names say.
    """
    access, through = _way_to(ticket.host_uri)
    if ticket.kind == "serial":
        return as_socket(open_console(ticket.host_uri, ticket.domain_uuid, access=access))
    return open_graphics(ticket.host_uri, ticket.domain_uuid, access=access, through=through)


def _way_to(uri: str) -> tuple[Access, Through | None]:
    """The login of the host at `uri`, and how to reach what listens on it. Raises HostUnreachable when it is gone."""
    if is_plain_local(uri):
        return NO_ACCESS, None
    try:
        host = Host.objects.filter(uri=uri, removed_at=None).first()
        if host is None:
            raise HostUnreachable("The host of this guest is not in kvmweb any more.")
        return access_to(host), forward.through(host)
    finally:
        for connection in connections.all(initialized_only=True):  # this thread will not need it again soon
            if not connection.in_atomic_block:
                connection.close()


def as_socket(console: Console) -> socket.socket:
    """The near end of a socket pair whose far end two threads copy to and from a serial console.

    libvirt's streams can be waited for only by blocking; a socket fits in any loop. Both threads end with the console.
    """
    near, far = socket.socketpair()
    threads = [
        threading.Thread(target=work, args=(console, far), name=f"serial {work.__name__}", daemon=True)
        for work in (_to_browser, _to_guest)
    ]
    for thread in threads:
        thread.start()
    return near


def _to_browser(console: Console, far: socket.socket) -> None:
    with contextlib.suppress(OSError, VirtError):
        while data := console.recv(CHUNK_BYTES):
            far.sendall(data)
    _end(console, far)


def _to_guest(console: Console, far: socket.socket) -> None:
    with contextlib.suppress(OSError, VirtError):
        while data := far.recv(CHUNK_BYTES):
            console.send(data)
    _end(console, far)


def _end(console: Console, far: socket.socket) -> None:
    """Wake the other thread; whichever comes second finds it done."""
    with contextlib.suppress(OSError):
        far.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(VirtError):
        console.close()
