"""`/ws/console/<ticket>/`: the WebSocket of a console, plain ASGI: a Channels consumer is half as fast."""

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import structlog
from channels.db import database_sync_to_async

from virt.errors import UserError

from . import services, watch
from .bridge import Bridge, Receive, Send
from .closing import Closing
from .services import Visit
from .targets import open_target
from .tickets import Ticket

log = structlog.get_logger(__name__)
SUBPROTOCOL = "binary"  # what older VNC clients insist on
CLOSING_S = 2.0  # for a browser that does not read to hear why it is closed
OPENERS = 16  # consoles being opened at one time; a host that does not answer keeps one for virt's deadline


class ConsoleSocket:
    """An ASGI application for one kind of WebSocket. `open_target` connects to what a ticket is for."""

    def __init__(self, open_target: Callable[[Ticket], socket.socket] = open_target) -> None:
        self._open_target = open_target
        self._ending: set[asyncio.Task[Closing]] = set()
        self._openers = ThreadPoolExecutor(OPENERS, thread_name_prefix="open console")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        visit = await database_sync_to_async(services.admit)(
            scope["url_route"]["kwargs"]["ticket"],
            session_key=scope["session"].session_key,
            remote_address=(scope.get("client") or ("",))[0],
        )
        if visit is None:
            await send({"type": "websocket.close"})  # before accept: the client sees 403
            return
        try:
            connected = await asyncio.get_running_loop().run_in_executor(self._openers, self._open_target, visit.ticket)
        except UserError as error:
            await self._not_opened(visit, error, scope, send)
            return
        await self._serve(visit, connected, scope, receive, send)

    async def _not_opened(self, visit: Visit, error: UserError, scope: dict[str, Any], send: Send) -> None:
        """Only an accepted WebSocket can tell the page why it ends."""
        closing = await database_sync_to_async(services.not_opened)(visit, error)
        with suppress(OSError):
            await send(_accept(scope))
            await _close(send, closing)

    async def _serve(
        self, visit: Visit, connected: socket.socket, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        bridge, closing, started = Bridge(visit.ticket, receive, send), None, time.monotonic()
        with connected:
            await database_sync_to_async(services.opened)(visit)
            try:
                await send(_accept(scope))
                closing = await self._run(bridge, connected, visit)
                if closing is not None:
                    await _close(send, closing)
            except OSError:
                log.debug("the browser left while its console was opened or closed", guest=visit.guest_name)
            finally:
                await database_sync_to_async(services.closed)(
                    visit,
                    seconds=time.monotonic() - started,
                    sent_bytes=bridge.sent_bytes,
                    received_bytes=bridge.received_bytes,
                    closing=closing,
                )

    async def _run(self, bridge: Bridge, connected: socket.socket, visit: Visit) -> Closing | None:
        """Copy until a side ends or the viewer loses the right to look, and say which."""
        copying = asyncio.create_task(bridge.run(connected))
        watching = asyncio.create_task(watch.until_revoked(visit.ticket, visit.session_key))
        try:
            await asyncio.wait((copying, watching), return_when=asyncio.FIRST_COMPLETED)
            return copying.result() if copying.done() else watching.result()
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
            self._let_go(watching)

    def _let_go(self, watching: asyncio.Task[Closing]) -> None:
        """End the watch without waiting: redis-py can take five seconds over a cancelled command."""
        watching.cancel()
        self._ending.add(watching)
        watching.add_done_callback(self._ending.discard)


def _accept(scope: dict[str, Any]) -> dict[str, Any]:
    offered = scope.get("subprotocols") or ()
    return {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None}


async def _close(send: Send, closing: Closing) -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(CLOSING_S):
            await send({"type": "websocket.close", "code": int(closing.code), "reason": closing.short_reason})


console_socket = ConsoleSocket()
