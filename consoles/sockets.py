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
from .closing import Closing, closing_of
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
        closing = closing_of(error)
        log.info("console not opened", guest=visit.guest_name, error=str(error), details=error.details)
        await database_sync_to_async(services.not_opened)(visit, closing)
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
                closing = await _first_to_end(
                    bridge.run(connected), watch.until_revoked(visit.ticket, visit.session_key)
                )
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


def _accept(scope: dict[str, Any]) -> dict[str, Any]:
    offered = scope.get("subprotocols") or ()
    return {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None}


async def _close(send: Send, closing: Closing) -> None:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(CLOSING_S):
            await send({"type": "websocket.close", "code": int(closing.code), "reason": closing.short_reason})


async def _first_to_end(*works: Any) -> Closing | None:
    """The result of the first of `works` to end; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        result: Closing | None = done.pop().result()
        return result
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


console_socket = ConsoleSocket()
