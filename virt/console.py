"""A guest's serial console as a stream of bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

import libvirt

from virt.access import NO_ACCESS, Access
from virt.connection import Connection, connect
from virt.domain_summary import parse_domain
from virt.domains import on_guest
from virt.errors import HostUnreachable, VirtError, WrongState
from virt.types import Uuid

T = TypeVar("T")

SEND_TIMEOUT_S = 30.0


def open_console(
    uri: str,
    uuid: Uuid,
    *,
    device: str | None = None,
    force: bool = True,
    timeout_s: float = 10.0,
    access: Access = NO_ACCESS,
) -> Console:
    """Open the first console of a running guest, or the one with the alias `device` ("serial0", "console1").

    `force` throws out who has it open; without it that raises WrongState. On a connection of its own: a stream that is
    being read can block other calls. Raises GuestNotFound or WrongState (off, or it has no console).
    """
    return Console(connect(uri, timeout_s=timeout_s, access=access), uuid, device=device, force=force)


class Console:
    """An open console. `recv` on one thread, `send` and `close` from any other.

    A blocking stream would hold the connection's thread for as long as the guest is silent. So the stream is
    non-blocking, and libvirt's event loop wakes who waits.
    """

    def __init__(self, conn: Connection, uuid: Uuid, *, device: str | None, force: bool) -> None:
        self._conn = conn  # closed with the console
        self._readable = threading.Event()
        self._writable = threading.Event()
        self._closed = False
        try:
            flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else libvirt.VIR_DOMAIN_CONSOLE_SAFE
            on_guest(self._conn, uuid, "open the console of guest {}", lambda domain: self._open(domain, device, flags))
        except BaseException:
            self._conn.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def recv(self, size: int, *, timeout_s: float | None = None) -> bytes:
        """Up to `size` bytes of what the guest wrote, b"" when the console has ended: the guest stopped, or somebody
        else opened it. Waits for ever without `timeout_s`.

        Raises TimeoutError when the guest was silent for that long.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._closed:
            self._readable.clear()
            try:
                data = self._ask(lambda: self._stream.recv(size))
                if isinstance(data, bytes):
                    return data
                self._watch()
            except HostUnreachable:
                return b""  # the stream broke: somebody took the console, or its host is gone
            if not self._readable.wait(None if until is None else max(0.0, until - time.monotonic())):
                raise TimeoutError
        return b""

    def send(self, data: bytes) -> None:
        """Type `data` into the guest. Raises VirtError when the console has ended or takes nothing for 30 s."""
        until = time.monotonic() + SEND_TIMEOUT_S
        while data:
            self._writable.clear()
            sent = 0 if self._closed else self._ask(lambda piece=data: self._stream.send(piece))  # type: ignore[misc]
            if sent > 0:
                data = data[sent:]
                continue
            if self._closed or sent == -1 or time.monotonic() > until:
                raise WrongState("The console has ended or takes no more input. Open it again.")
            self._watch()
            self._writable.wait(max(0.0, until - time.monotonic()))

    def close(self) -> None:
        """End it and wake who waits in `recv`. Calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._readable.set()
        self._writable.set()
        with suppress(VirtError):
            self._conn.call(lambda _handle: self._release(), "close the console")
        self._conn.close()

    def _open(self, domain: libvirt.virDomain, device: str | None, flags: int) -> None:
        name = domain.name()
        if not domain.isActive():
            raise WrongState(f"Guest {name} is off, so its console is silent. Start it first.")
        if not parse_domain(domain.XMLDesc(0)).has_serial:
            raise WrongState(f"Guest {name} has no serial console. Add one to its definition and restart it.")
        self._stream = domain.connect().newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain.openConsole(device, self._stream, flags)
        self._stream.eventAddCallback(_TROUBLE, self._on_event, None)

    def _on_event(self, stream: libvirt.virStream, events: int, _opaque: object) -> None:
        """On the event loop's thread. It wakes the waiter and stops watching, or it would be called again at once."""
        stream.eventUpdateCallback(0)
        self._readable.set()
        self._writable.set()

    def _watch(self) -> None:
        wanted = _TROUBLE | libvirt.VIR_STREAM_EVENT_READABLE
        self._ask(lambda: self._stream.eventUpdateCallback(wanted))

    def _ask(self, work: Callable[[], T]) -> T:
        return self._conn.call(lambda _handle: work(), "use the console")

    def _release(self) -> None:
        with suppress(libvirt.libvirtError):
            self._stream.eventRemoveCallback()
        with suppress(libvirt.libvirtError):
            self._stream.abort()


_TROUBLE = libvirt.VIR_STREAM_EVENT_HANGUP | libvirt.VIR_STREAM_EVENT_ERROR
