"""Bytes between a browser's WebSocket and a guest's socket: as fast as the loop can, a few chunks at a time.

The guest's side is a protocol on the loop, not a stream, which would copy every chunk once more. Each side is read only
while the other takes what came before: a browser that stops reading stops QEMU, and no memory fills.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from .closing import Closing, Code
from .rfb import NotRfb, viewer_filter
from .tickets import Ticket

WAITING_BYTES = 256 * 1024  # from the guest, while the browser is busy; also what the loop reads at one time
FILTERED_BYTES = 8 * 1024  # at one time

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Target(asyncio.Protocol):
    """The guest's end: what it says is read with `read`, what it hears is sent with `write`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = False
        self._ended = False
        self._reader: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= WAITING_BYTES and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def read(self) -> bytes:
        """What came since the last call, at least one byte; nothing at the end."""
        if not self._chunks and not self._ended:
            self._reader = self._loop.create_future()
            await self._reader
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._waiting_bytes = 0
        if self._paused and not self._ended:
            self._paused = False
            self.transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send `data`, and wait while the guest is slow to take it. Raises ConnectionError when it is gone."""
        await self._writable.wait()
        if self._ended:
            raise ConnectionResetError("the guest closed its end")
        self.transport.write(data)


class Bridge:
    """One console: `run` copies until either side ends or the caller cancels it."""

    def __init__(self, ticket: Ticket, receive: Receive, send: Send) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0
        self._ticket = ticket
        self._receive = receive
        self._send = send

    async def run(self, connected: socket.socket) -> Closing | None:
        """Copy both ways. Returns why the guest's side ended, or None when the browser left. Closes `connected`."""
        loop = asyncio.get_running_loop()
        connected.setblocking(False)
        # For a socket that is connected already; a unix one needs the unix name of the same thing.
        connect = loop.create_unix_connection if connected.family == socket.AF_UNIX else loop.create_connection
        _transport, target = await connect(Target, sock=connected)  # type: ignore[operator]
        tasks = [loop.create_task(self._to_browser(target)), loop.create_task(self._to_guest(target))]
        try:
            done, _pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            target.transport.abort()

    async def _to_browser(self, target: Target) -> Closing | None:
        send = self._send
        try:
            while data := await target.read():
                await send({"type": "websocket.send", "bytes": data})
                self.sent_bytes += len(data)
        except OSError:  # uvicorn's way to say that the browser is gone
            return None
        return Closing(Code.DISPLAY_CLOSED, "The guest closed its end of the console.")

    async def _to_guest(self, target: Target) -> Closing | None:
        filtered = viewer_filter(self._ticket.kind) if self._ticket.view_only else None
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return None
            data = message.get("bytes")
            if data is None:
                await self._answer(message.get("text"))
                continue
            self.received_bytes += len(data)
            try:
                if filtered is None:
                    await target.write(data)
                else:
                    await self._pass_on(data, filtered, target)
            except NotRfb as error:
                return Closing(Code.PROTOCOL, f"{error}.")
            except ConnectionError:
                return Closing(Code.DISPLAY_CLOSED, "The guest closed its end of the console.")

    async def _pass_on(self, data: bytes, filtered: Callable[[bytes], bytes], target: Target) -> None:
        """Filter in small pieces: a message full of tiny commands must not hold up the loop that everybody shares."""
        for start in range(0, len(data), FILTERED_BYTES):
            if passed := filtered(data[start : start + FILTERED_BYTES]):
                await target.write(passed)
            await asyncio.sleep(0)

    async def _answer(self, text: str | None) -> None:
        """Text is not the guest's: with it the page measures how long the way here and back takes."""
        if text == "ping":
            await self._send({"type": "websocket.send", "text": "pong"})
