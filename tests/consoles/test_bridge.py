"""The bridge keeps what it holds small, whichever side stops taking."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from consoles.bridge import WAITING_BYTES, Bridge
from consoles.closing import Closing, Code
from consoles.tickets import Ticket

MIB = 2**20
BLOCK_BYTES = 64 * 1024


def ticket(*, view_only: bool = False, kind: Any = "vnc") -> Ticket:
    return Ticket(
        user_id=1, remote_address="", session="", token_id=None, guest_id=1, host_uri="", domain_uuid="", kind=kind,
        view_only=view_only,
    )  # fmt: skip


class Browser:
    """The other side of an ASGI WebSocket: takes messages while `reads` is set, says what is put in `says`."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        self.heard.append(message)

    def say(self, data: bytes) -> None:
        self.says.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        self.says.put_nowait({"type": "websocket.disconnect"})

    @property
    def heard_bytes(self) -> int:
        return sum(len(message.get("bytes") or b"") for message in self.heard)


@pytest.fixture
async def guest():
    """The guest's end of the socket, and what the bridge is given."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        yield theirs, ours


async def push(guest: socket.socket, size: int) -> int:
    """Write up to `size` bytes until nobody takes any for half a second; how many were taken."""
    sent, block = 0, bytes(BLOCK_BYTES)
    with suppress(TimeoutError):
        while sent < size:
            async with asyncio.timeout(0.5):
                await asyncio.get_running_loop().sock_sendall(guest, block)
            sent += len(block)
    return sent


async def test_a_browser_that_does_not_read_holds_the_guest_back(guest):
    theirs, ours = guest
    browser = Browser()
    browser.reads.clear()
    running = asyncio.create_task(Bridge(ticket(), browser.says.get, browser.send).run(ours))
    taken = await push(theirs, 64 * MIB)
    assert taken < 2 * WAITING_BYTES + MIB  # and what the kernel keeps for the socket
    browser.reads.set()
    assert await push(theirs, 4 * MIB) == 4 * MIB
    browser.leave()
    assert await running is None


async def test_a_guest_that_does_not_read_holds_the_browser_back(guest):
    _theirs, ours = guest
    browser = Browser()
    running = asyncio.create_task(Bridge(ticket(), browser.says.get, browser.send).run(ours))
    for _ in range(500):
        browser.say(bytes(BLOCK_BYTES))
    await asyncio.sleep(0.3)
    assert browser.says.qsize() > 450
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_what_the_guest_said_last_still_arrives(guest):
    theirs, ours = guest
    browser = Browser()
    running = asyncio.create_task(Bridge(ticket(), browser.says.get, browser.send).run(ours))
    await asyncio.get_running_loop().sock_sendall(theirs, b"goodbye")
    theirs.close()
    assert (await running) == Closing(Code.DISPLAY_CLOSED, "The guest closed its end of the console.")
    assert b"".join(message["bytes"] for message in browser.heard) == b"goodbye"


async def test_a_text_message_is_answered_and_never_reaches_the_guest(guest):
    theirs, ours = guest
    browser = Browser()
    running = asyncio.create_task(Bridge(ticket(), browser.says.get, browser.send).run(ours))
    browser.says.put_nowait({"type": "websocket.receive", "text": "ping"})
    browser.says.put_nowait({"type": "websocket.receive", "text": "halt"})
    browser.say(b"key")
    assert await asyncio.get_running_loop().sock_recv(theirs, 100) == b"key"
    assert browser.heard == [{"type": "websocket.send", "text": "pong"}]
    browser.leave()
    await running


async def test_a_viewer_of_the_serial_port_types_nothing(guest):
    theirs, ours = guest
    browser = Browser()
    bridge = Bridge(ticket(view_only=True, kind="serial"), browser.says.get, browser.send)
    running = asyncio.create_task(bridge.run(ours))
    browser.say(b"rm -rf /\r")
    await asyncio.sleep(0.1)
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    browser.leave()
    await running
    assert bridge.received_bytes == 9


async def test_the_bridge_counts_what_went_through(guest):
    theirs, ours = guest
    browser = Browser()
    bridge = Bridge(ticket(), browser.says.get, browser.send)
    running = asyncio.create_task(bridge.run(ours))
    browser.say(b"12345")
    await asyncio.get_running_loop().sock_sendall(theirs, bytes(100_000))
    while browser.heard_bytes < 100_000:
        await asyncio.sleep(0.01)
    browser.leave()
    await running
    assert (bridge.sent_bytes, bridge.received_bytes) == (100_000, 5)


async def test_a_viewer_who_floods_does_not_stop_the_others(guest):
    """A hundred thousand tiny commands in one message: the loop goes on turning between them."""
    _theirs, ours = guest
    browser, turns = Browser(), 0
    running = asyncio.create_task(Bridge(ticket(view_only=True), browser.says.get, browser.send).run(ours))
    power_off = b"\xfa\0\1\2"
    browser.say(b"RFB 003.008\n\1\1" + power_off * 100_000)
    browser.leave()
    while not running.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 40
