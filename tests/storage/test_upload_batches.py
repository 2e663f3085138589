"""What goes into a part: in order, no more of it in memory than promised, and nothing after a write that failed."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from storage.uploads import body
from virt.transfer import NEARLY_FULL, PIECE_BYTES, Pieces

KIB = 1024


class Sink:
    """Takes its time, and fails at the batch with the number `fails_at`."""

    batch_bytes = 4 * KIB

    def __init__(self, *, fails_at: int | None = None, takes_s: float = 0.002) -> None:
        self.fails_at, self.takes_s = fails_at, takes_s
        self.content, self.batches, self.is_begun, self.is_settled = bytearray(), 0, False, False
        self._busy = threading.Lock()

    def begin(self, at: int) -> None:
        assert (self.is_begun, at, self.batches) == (False, 0, 0)
        self.is_begun = True

    def write(self, buffers: Sequence[bytes], at: int) -> None:
        assert self.is_begun
        assert self._busy.acquire(blocking=False), "two writes at once"
        try:
            time.sleep(self.takes_s)
            assert at == len(self.content)
            if self.batches == self.fails_at:
                raise OSError("full")
            self.batches += 1
            self.content += b"".join(buffers)
        finally:
            self._busy.release()

    def settle(self) -> None:
        assert not self._busy.locked()
        self.is_settled = True


class Body:
    """A request of `number` chunks of 1 KiB, which counts how many of them were asked for."""

    def __init__(self, number: int) -> None:
        self.chunks = [bytes([n % 256]) * KIB for n in range(number)]
        self.asked = 0

    async def receive(self) -> dict[str, object]:
        self.asked += 1
        await asyncio.sleep(0)
        more = self.asked < len(self.chunks)
        return {"type": "http.request", "body": self.chunks[self.asked - 1], "more_body": more}

    async def store(self, sink: Sink) -> bool:
        return await body.store(self.receive, sink, offset=0, size=len(self.chunks) * KIB, checksum=None)


def test_batches_are_written_in_order_and_settled_after_the_last():
    sink, sent = Sink(), Body(103)
    assert asyncio.run(sent.store(sink))
    assert bytes(sink.content) == b"".join(sent.chunks)
    assert sink.is_settled


def test_after_a_write_that_failed_nothing_is_written_or_settled():
    sink, sent = Sink(fails_at=5), Body(103)
    with pytest.raises(OSError, match="full"):
        asyncio.run(sent.store(sink))
    assert bytes(sink.content) == b"".join(sent.chunks[: 5 * 4])
    assert not sink.is_settled
    assert sent.asked <= (5 + 1 + body.MOST_WRITES) * 4  # the one that failed, the one that waited, one received


def test_a_request_that_is_cancelled_ends_after_its_writes():
    sink, sent = Sink(takes_s=0.05), Body(103)

    async def cancelled() -> None:
        request = asyncio.create_task(sent.store(sink))
        while sent.asked < 12:
            await asyncio.sleep(0.001)
        request.cancel()
        await asyncio.wait([request])
        assert not sink._busy.locked()
        written = sink.batches
        await asyncio.sleep(0.12)
        assert sink.batches == written

    asyncio.run(cancelled())
    assert not sink.is_settled


@pytest.mark.parametrize("length", [1, 250 * 1000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_messages_to_libvirt_are_full_or_nearly_whatever_the_socket_gave(length: int):
    pieces = Pieces()
    buffers = [bytes([n]) * length for n in range(9)]
    messages = [*pieces.cut(buffers[:4]), *pieces.cut(buffers[4:]), *pieces.rest()]
    assert b"".join(messages) == b"".join(buffers)
    assert all(NEARLY_FULL <= len(message) <= PIECE_BYTES for message in messages[:-1])
    assert list(pieces.rest()) == []


def test_what_nearly_fills_a_message_is_not_copied_and_comes_in_its_turn():
    small, large = b"s" * 1000, b"l" * (256 * 1000)
    pieces = Pieces()
    messages = [*pieces.cut([large, small, large]), *pieces.rest()]
    assert messages == [large, small, large]
    assert messages[0] is large
    assert messages[2] is large
