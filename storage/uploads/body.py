"""The byte path: from the socket into the part file, with one write under way and constant memory.

While a thread writes one batch, the next waits and a third is received; when that is full too, receiving waits for the
disk, and the server stops reading from the socket.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from .protocol import Checksum
from .threads import start_writing, write_after

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
MOST_WRITES = 2  # under way and waiting: the thread that ends one need not wait for the event loop to bring the next
BATCH_CHUNKS = 512  # writev takes at most 1024 buffers
IDLE_TIMEOUT_S = 30.0  # a client whose network vanished must not keep the lock until TCP gives up


class Sink(Protocol):
    """Where the bytes go: a part file, or a stream of libvirt's. `batch_bytes` is how much it likes to get at once."""

    batch_bytes: int

    def begin(self, at: int) -> None:
        """Make ready for bytes that belong at `at`: called once, when the first ones have come. Blocking."""

    def write(self, buffers: Sequence[bytes], at: int) -> None:
        """Write all of it at `at`. Blocking. Raises Discarded, OSError or VirtError."""

    def settle(self) -> None:
        """Make sure of what was written so far. Blocking."""


class Overrun(Exception):
    """The body has more bytes than the upload has room for."""


class Discarded(Exception):
    """The part was removed under our hands: the upload was cancelled."""


async def store(receive: Receive, part: Sink, *, offset: int, size: int, checksum: Checksum | None) -> bool:
    """Write the body of a request at `offset` into a file that will have `size` bytes.

    Returns whether the body came whole; what came before it broke off is in the file. Raises Overrun, Discarded, or
    OSError or VirtError when the storage refuses.
    """
    batch: list[bytes] = []
    held, end = 0, offset
    writes: deque[Future[None]] = deque()
    try:
        more = True
        while more:
            message = await _next(receive)
            if message is None:
                break
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                if end == offset:
                    writes.append(write_after(None, partial(part.begin, offset)))
                end += len(chunk)
                if end > size:
                    raise Overrun
                batch.append(chunk)
                held += len(chunk)
            if held and (held >= part.batch_bytes or len(batch) >= BATCH_CHUNKS or not more):
                await _write_next(writes, part, batch, end - held, checksum)
                batch, held = [], 0
        if held:
            await _write_next(writes, part, batch, end - held, checksum)
        await _until_left(writes, 0)
        await start_writing(part.settle)
        return not more
    finally:
        while writes:  # the descriptor must outlive the threads that write to it
            with suppress(asyncio.CancelledError, Exception):  # the first failure is the one to tell
                await _until_left(writes, 0)


async def _next(receive: Receive) -> MutableMapping[str, Any] | None:
    """The next message of the body, or None when the client is gone or silent."""
    try:
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            message = await receive()
    except TimeoutError:
        return None
    return message if message["type"] == "http.request" else None


async def _write_next(
    writes: deque[Future[None]], part: Sink, batch: list[bytes], at: int, checksum: Checksum | None
) -> None:
    await _until_left(writes, MOST_WRITES - 1)
    former = writes[-1] if writes else None
    writes.append(write_after(former, lambda: _write(part, batch, at, checksum)))


async def _until_left(writes: deque[Future[None]], number: int) -> None:
    """Wait until no more than `number` are left, and raise what the others raised."""
    while len(writes) > number:
        await asyncio.wait([done := asyncio.wrap_future(writes[0])])  # cancelling the wait does not cancel the write
        writes.popleft()
        done.result()


def _write(part: Sink, batch: list[bytes], at: int, checksum: Checksum | None) -> None:
    if checksum:
        for chunk in batch:
            checksum.digest.update(chunk)
    part.write(batch, at)
