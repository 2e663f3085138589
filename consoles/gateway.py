"""The console gateway: websockify as a library, a process per viewer, with the same tickets as the web's own socket.

For sites with many consoles: no viewer shares an event loop with the pages. It forks for each, so nothing may start a
thread or open libvirt, Redis or the database before the fork.

websockify's own token and authentication plug-ins are not used: they know reusable tokens and TCP targets only.
https://github.com/novnc/websockify/blob/v0.13.0/websockify/websocketproxy.py
"""

import asyncio
import multiprocessing
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any, NoReturn, ParamSpec, TypeVar
from urllib.parse import parse_qs, urlsplit

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connections
from websockify.websocketproxy import ProxyRequestHandler, WebSocketProxy
from websockify.websockifyserver import CompatibleWebSocket

from accounts.origin import is_own_origin
from virt.errors import UserError

from . import services, watch
from .closing import Closing, Code
from .rfb import NotRfb, viewer_filter
from .services import Visit
from .targets import open_target
from .tickets import Ticket

P = ParamSpec("P")
T = TypeVar("T")
PATH = "/websockify"
HANDSHAKE_S = 10  # for a client to say what it wants
HEARTBEAT_S = 20  # keeps proxies in between from closing a quiet console
MOST_CLIENTS = 256  # processes; more wait in the kernel's queue
CHUNK_BYTES = 128 * 1024
MOST_MESSAGE_BYTES = 16 * 2**20  # from a viewer, as for the web's own socket
LINGER_S = 2.0  # for a browser to hear why its console is closed


class ViewerSocket(CompatibleWebSocket):  # type: ignore[misc]
    """websockify's side of a WebSocket, but for how it reads: in larger pieces than 4 KiB, no message without end."""

    def _recv(self) -> bool:
        data = self.socket.recv(CHUNK_BYTES)
        self._recv_buffer += data
        if len(self._recv_buffer) > MOST_MESSAGE_BYTES:
            raise Viewer.CClose(1009, "The message is too big.")
        return bool(data)


class Viewer(ProxyRequestHandler):  # type: ignore[misc]
    """One connection, in a process of its own."""

    SocketClass = ViewerSocket
    timeout = HANDSHAKE_S
    visit: Visit
    open_target: Callable[[Ticket], socket.socket] = staticmethod(open_target)

    def validate_connection(self) -> None:
        """Refuse with 403 or 404 before the WebSocket is accepted. Another site's page spends no ticket."""
        address = urlsplit(self.path)
        if address.path != PATH:
            self._refuse(404, "no such path")
        if not is_page_origin(self.headers.get("Origin"), self.headers.get("Host")):
            self._refuse(403, "foreign origin")
        secret = parse_qs(address.query).get("token", [""])[0]
        visit = _ask(services.admit, secret, session_key=self._session_key())
        if visit is None:
            self._refuse(403, "ticket unknown, spent or not this user's")
        self.visit = visit
        self.connection.settimeout(None)  # from here on, a viewer may be quiet for as long as they like

    def _refuse(self, status: int, why: str) -> NoReturn:
        self.send_error(status)
        raise self.server.EClose(why)

    def _session_key(self) -> str | None:
        """The session of the browser. Cookies do not tell ports apart, so this one comes here too."""
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(settings.SESSION_COOKIE_NAME)
        except CookieError:
            return None
        return cookie.value if cookie else None

    def new_websocket_client(self) -> None:
        """Connect to the guest and copy until one side ends."""
        self.sent_bytes, self.received_bytes, self.closing = 0, 0, None
        ticket = self.visit.ticket
        try:
            target = self.open_target(ticket)
        except UserError as error:
            closing = _ask(services.not_opened, self.visit, error)
            raise self.CClose(int(closing.code), closing.short_reason) from error
        _ask(services.opened, self.visit)
        self._filter = viewer_filter(ticket.kind) if ticket.view_only else None
        self.request.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
        started = time.monotonic()
        threading.Thread(target=self._watch, args=(self.request.socket, target), daemon=True).start()
        try:
            with target:
                self.do_proxy(target)
        except NotRfb as error:
            self.closing = Closing(Code.PROTOCOL, f"{error}.")
            raise self.CClose(int(self.closing.code), self.closing.short_reason) from error
        finally:
            _ask(
                services.closed,
                self.visit,
                seconds=time.monotonic() - started,
                sent_bytes=self.sent_bytes,
                received_bytes=self.received_bytes,
                closing=self.closing,
            )

    def _watch(self, client: socket.socket, target: socket.socket) -> None:
        """In a thread, after the fork: end the console when its holder loses the right to it."""
        try:
            self.closing = asyncio.run(watch.until_revoked(self.visit.ticket, self.visit.session_key))
        finally:  # a watch that fails ends the console too
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)
                time.sleep(LINGER_S)
                client.shutdown(socket.SHUT_RDWR)  # one that does not read keeps us in send

    def do_proxy(self, target: socket.socket) -> NoReturn:
        """Copy until a side ends, and raise CClose then.

        websockify's own loop goes on reading a guest whose viewer does not read, and keeps it all. Here a side is read
        only when the other has taken what came before.
        """
        viewer = self.request
        to_viewer = to_guest = b""
        beat_at = time.monotonic() + HEARTBEAT_S
        while True:
            if not to_viewer and time.monotonic() > beat_at:
                self.send_ping()
                beat_at = time.monotonic() + HEARTBEAT_S
            reading = [side for side, full in ((target, to_viewer), (viewer, to_guest)) if not full]
            writing = [side for side, full in ((viewer, to_viewer), (target, to_guest)) if full]
            readable, writable, _ = select.select(reading, writing, [], HEARTBEAT_S)
            if viewer in writable:
                self.send_frames([to_viewer])
                self.sent_bytes += len(to_viewer)
                to_viewer = b""
            if target in writable:
                to_guest = to_guest[self._to_target(target, to_guest) :]
            if viewer in readable:
                to_guest, closed = self._from_viewer()
                if closed:
                    self._to_target(target, to_guest)
                    raise self.CClose(closed["code"], closed["reason"])
            if target in readable:
                to_viewer = self._from_target(target)

    def _from_target(self, target: socket.socket) -> bytes:
        with suppress(ConnectionError):
            if data := target.recv(CHUNK_BYTES):
                return data
        raise self._display_closed()

    def _to_target(self, target: socket.socket, data: bytes) -> int:
        try:
            return target.send(data)
        except ConnectionError as error:
            raise self._display_closed() from error

    def _display_closed(self) -> Exception:
        self.closing = self.closing or Closing(Code.DISPLAY_CLOSED, "The guest closed its end of the console.")
        end: Exception = self.CClose(int(self.closing.code), self.closing.short_reason)
        return end

    def _from_viewer(self) -> tuple[bytes, Any]:
        """What came, filtered for those who may only look, and how the viewer left, if so."""
        frames, closed = self.recv_frames()
        said = b"".join(frames)
        self.received_bytes += len(said)
        return (self._filter(said) if self._filter is not None else said), closed


class Gateway(WebSocketProxy):  # type: ignore[misc]
    """The listening side."""

    def poll(self) -> None:
        """Called before each connection is taken: no more than MOST_CLIENTS at one time."""
        while len(multiprocessing.active_children()) >= MOST_CLIENTS:
            time.sleep(0.1)


def _ask(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what needs the database, and let go of it: a connection per viewer would use up PostgreSQL's."""
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()


def is_page_origin(origin: str | None, host: str | None) -> bool:
    """Whether a page of ours opened the connection: behind one proxy it has our host and port, else the web's port."""
    try:
        name = urlsplit(f"//{host}").hostname if host else None
        page_host = f"[{name}]:{settings.PORT}" if name and ":" in name else f"{name}:{settings.PORT}"
        return is_own_origin(origin, host) or (name is not None and is_own_origin(origin, page_host))
    except ValueError:  # an address that is none
        return False


def serve(host: str, port: int, *, viewer: type[Viewer] = Viewer) -> None:
    """Listen until SIGTERM. Raises OSError when the address cannot be had."""
    multiprocessing.set_start_method("fork", force=True)  # websockify is built on it; Python 3.14 has another default
    get_channel_layer()  # loads what each viewer needs once, and connects to nothing yet
    for alias in connections:
        connections[alias].settings_dict["CONN_MAX_AGE"] = 0
    connections.close_all()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        Gateway(viewer, listen_fd=listener.fileno()).start_server()
