"""libvirt's events as typed values.

https://libvirt.org/html/libvirt-libvirt-domain.html#virConnectDomainEventRegisterAny
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import libvirt

from virt import event_kinds
from virt.connection import Connection
from virt.domains import is_probe
from virt.errors import VirtError
from virt.types import ConnectionClosed, DomainEvent, Event, NetworkEvent, NodeDeviceEvent, PoolEvent

log = logging.getLogger(__name__)

OnEvent = Callable[[Event], None]

_CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "eof",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "keepalive",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "client",
}


class EventFeed:
    """All events of one host, for as long as its connection lives.

    `on_event` is called on the thread of libvirt's event loop, which every connection of the process shares: it hands
    the value over and returns at once, and must not call libvirt. What it raises is logged. When the connection breaks,
    it gets one ConnectionClosed; nothing that is missed until a new feed stands is ever replayed, so reconcile then.
    """

    def __init__(self, conn: Connection, on_event: OnEvent) -> None:
        self._conn = conn
        self._on_event = on_event
        self._open = True
        self._lock = threading.RLock()
        self._registered: list[tuple[str, int]] = []
        try:
            conn.call(self._register, "listen to the events of the host")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop. After it returns `on_event` is not called any more. Calling it twice is fine."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        with suppress(VirtError):  # a dead connection took its registrations along
            self._conn.call(self._deregister, "stop listening to the events of the host")

    def _register(self, handle: libvirt.virConnect) -> None:
        handle.registerCloseCallback(self._closed, None)
        for number, kind, read in event_kinds.DOMAIN:
            self._try("domainEventDeregisterAny", handle.domainEventRegisterAny, number, self._domain(kind, read))
        for number, kind, read in event_kinds.NETWORK:
            self._try("networkEventDeregisterAny", handle.networkEventRegisterAny, number, self._network(kind, read))
        for number, kind, read in event_kinds.POOL:
            self._try(
                "storagePoolEventDeregisterAny", handle.storagePoolEventRegisterAny, number, self._pool(kind, read)
            )
        for number, kind, read in event_kinds.NODE_DEVICE:
            self._try(
                "nodeDeviceEventDeregisterAny", handle.nodeDeviceEventRegisterAny, number, self._device(kind, read)
            )

    def _try(self, undo: str, register: Callable[..., int], number: int, callback: Callable[..., None]) -> None:
        """An older libvirt or another driver lacks some events; the rest are still worth having."""
        try:
            self._registered.append((undo, register(None, number, callback, None)))
        except libvirt.libvirtError as exc:
            if exc.get_error_code() not in (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_INVALID_ARG):
                raise

    def _deregister(self, handle: libvirt.virConnect) -> None:
        for undo, number in self._registered:
            with suppress(libvirt.libvirtError):
                getattr(handle, undo)(number)
        with suppress(libvirt.libvirtError):
            handle.unregisterCloseCallback()

    def _deliver(self, event: Event) -> None:
        with self._lock:
            if not self._open:
                return
            try:
                self._on_event(event)
            except Exception:
                log.exception("a receiver of libvirt events failed on %s", type(event).__name__)

    def _closed(self, _handle: libvirt.virConnect, reason: int, _opaque: object) -> None:
        self._deliver(ConnectionClosed(uuid="", name=self._conn.uri, kind=_CLOSE_REASONS.get(reason, "error")))

    def _domain(self, kind: str, read: event_kinds.Read) -> Callable[..., None]:
        def callback(_handle: object, domain: Any, *arguments: Any) -> None:
            if is_probe(domain.name()):
                return
            kind_now, detail, data = read(kind, arguments)
            self._deliver(
                DomainEvent(uuid=domain.UUIDString(), name=domain.name(), kind=kind_now, detail=detail, data=data)
            )

        return callback

    def _network(self, kind: str, read: event_kinds.Read) -> Callable[..., None]:
        def callback(_handle: object, network: Any, *arguments: Any) -> None:
            kind_now, detail, data = read(kind, arguments)
            self._deliver(
                NetworkEvent(uuid=network.UUIDString(), name=network.name(), kind=kind_now, detail=detail, data=data)
            )

        return callback

    def _pool(self, kind: str, read: event_kinds.Read) -> Callable[..., None]:
        def callback(_handle: object, pool: Any, *arguments: Any) -> None:
            kind_now, detail, data = read(kind, arguments)
            self._deliver(PoolEvent(uuid=pool.UUIDString(), name=pool.name(), kind=kind_now, detail=detail, data=data))

        return callback

    def _device(self, kind: str, read: event_kinds.Read) -> Callable[..., None]:
        def callback(_handle: object, device: Any, *arguments: Any) -> None:
            kind_now, detail, data = read(kind, arguments)
            self._deliver(NodeDeviceEvent(uuid="", name=device.name(), kind=kind_now, detail=detail, data=data))

        return callback
