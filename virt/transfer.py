"""The content of volumes, over libvirt's streams: works for every type of pool and for remote hosts.

https://libvirt.org/html/libvirt-libvirt-stream.html
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import libvirt

from virt.connection import Connection
from virt.content_xml import ContentXML
from virt.errors import HostTimeout, HostUnreachable, NotSupported, PoolFull, VirtError, VolumeExists
from virt.pools import REFRESH_TIMEOUT_S, refresh_if_idle
from virt.volumes import active_pool, is_listed

PIECE_BYTES = 262_120  # the most that one message of libvirt's protocol carries
NEARLY_FULL = PIECE_BYTES * 3 // 4  # not worth a copy to fill it
BATCH_BYTES = 8 * PIECE_BYTES  # goes to the connection's thread at once: fewer hand-overs, still little memory
LAST_BYTES = 4096  # are read back after a stream
BATCH_TIMEOUT_S = 60.0  # for one batch: libvirt takes it from the network before it writes it
FINISH_TIMEOUT_S = 600.0  # libvirt writes everything to the disk before it says so


def create_empty(conn: Connection, pool: str, volume: ContentXML) -> None:
    """Make the volume that an upload goes into. Raises VolumeExists, PoolFull, WrongState or PoolNotFound.

    In a pool of files it should be made with 0 bytes: it then grows with what is written.
    """

    def work(handle: libvirt.virConnect) -> None:
        found = active_pool(handle, pool)
        refresh_if_idle(found)  # libvirt would overwrite a file that it has not seen yet
        if is_listed(found, volume.name):
            raise VolumeExists(
                f"Pool {pool} has a volume named {volume.name} already. Choose another name.", field="name"
            )
        found.createXML(volume.to_xml(), 0)

    conn.call(work, f"create volume {volume.name} in pool {pool}", timeout_s=REFRESH_TIMEOUT_S)


def read_range(conn: Connection, pool: str, name: str, offset: int, length: int) -> bytes:
    """Bytes of a volume from `offset`, fewer than `length` where it ends before. Meant for headers, not for whole
    disks.

    Raises VolumeNotFound or PoolNotFound.
    """
    capacity = conn.call(
        lambda handle: int(active_pool(handle, pool).storageVolLookupByName(name).info()[1]), f"read volume {name}"
    )
    wanted = min(length, capacity - offset)
    return b"".join(download(conn, pool, name, offset=offset, length=wanted)) if wanted > 0 else b""


def download(
    conn: Connection, pool: str, name: str, *, offset: int = 0, length: int = 0
) -> Generator[bytes, None, None]:
    """The content of a volume in pieces of at most 2 MiB, holes as zeros; `length` 0 means to its end.

    The connection is busy until the iterator is exhausted or closed.
    """
    what = f"read volume {name}"
    with _stream(conn, what) as stream:
        conn.call(
            lambda handle: active_pool(handle, pool).storageVolLookupByName(name).download(stream, offset, length, 0),
            what,
        )
        while batch := conn.call(lambda _handle: _receive(stream, what), what, timeout_s=BATCH_TIMEOUT_S):
            yield batch
        conn.call(lambda _handle: stream.finish(), what, timeout_s=FINISH_TIMEOUT_S)


def upload(
    conn: Connection,
    pool: str,
    name: str,
    chunks: Iterable[bytes | int],
    *,
    length: int,
    offset: int = 0,
    has_holes: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write `chunks` into an existing volume, `length` bytes in all (0: as many as come), and return how many it was.

    With `has_holes` a chunk may be a number of bytes to leave out: only where they are zeros already, as in a new file.
    `on_progress(bytes so far)` is called after each piece; what it raises (a cancelled job) stops the upload. A sparse
    volume can run out of space half way: PoolFull, and what was written stays in the volume, which is the caller's to
    delete.
    """
    what = f"write volume {name}"
    flags = libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM if has_holes else 0
    done, last = 0, _Last(offset)
    with _stream(conn, what) as stream:
        volume = conn.call(lambda handle: active_pool(handle, pool).storageVolLookupByName(name), what)
        conn.call(lambda _handle: volume.upload(stream, offset, length, flags), what)
        for chunk in chunks:
            if isinstance(chunk, int):
                conn.call(partial(_skip, stream, chunk), what, timeout_s=BATCH_TIMEOUT_S)
                last.skip(chunk)
                done += chunk
                if on_progress:
                    on_progress(done)
                continue
            for start in range(0, len(chunk), BATCH_BYTES):
                batch = chunk[start : start + BATCH_BYTES]
                messages = [batch[at : at + PIECE_BYTES] for at in range(0, len(batch), PIECE_BYTES)]
                conn.call(partial(_send, stream, last.noted(messages), what), what, timeout_s=BATCH_TIMEOUT_S)
                done += len(batch)
                if on_progress:
                    on_progress(done)
        conn.call(lambda _handle: stream.finish(), what, timeout_s=FINISH_TIMEOUT_S)
    last.require(conn, pool, volume)
    return done


def without_zeros(pieces: Iterable[bytes]) -> Iterator[bytes | int]:
    """For `upload` with `has_holes`: pieces that are zeros all through become their length."""
    for piece in pieces:
        yield piece if piece.rstrip(b"\0") else len(piece)


class Writer:
    """A stream into an existing volume that is fed from outside, from `offset` on. Blocking; for one thread at a time.

    `finish` or `abort` it. `written` is how many bytes it took; libvirt has them for sure after `finish` only.
    """

    def __init__(self, conn: Connection, pool: str, name: str, *, offset: int = 0) -> None:
        """Raises VolumeNotFound, PoolNotFound or WrongState."""
        self.conn, self.offset, self.written = conn, offset, 0
        self._pool, self._what = pool, f"write volume {name}"
        self._pieces, self._last = Pieces(), _Last(offset)

        def start(handle: libvirt.virConnect) -> tuple[libvirt.virStorageVol, libvirt.virStream]:
            volume, stream = active_pool(handle, pool).storageVolLookupByName(name), handle.newStream(0)
            volume.upload(stream, offset, 0, 0)
            return volume, stream

        self._volume, self._stream = conn.call(start, self._what)

    def write(self, buffers: Sequence[bytes]) -> None:
        """Send bytes. Raises PoolFull when there is no room any more, or another VirtError; then abort."""
        messages = self._last.noted(self._pieces.cut(buffers))
        self.conn.call(partial(_send, self._stream, messages, self._what), self._what, timeout_s=BATCH_TIMEOUT_S)
        self.written += sum(map(len, buffers))

    def finish(self) -> None:
        """Have libvirt confirm all that was sent. Raises PoolFull when it is not all there, or another VirtError."""
        rest = self._last.noted(self._pieces.rest())

        def work(handle: libvirt.virConnect) -> None:
            _send(self._stream, rest, self._what, handle)
            self._stream.finish()

        self.conn.call(work, self._what, timeout_s=FINISH_TIMEOUT_S)
        self._last.require(self.conn, self._pool, self._volume)

    def abort(self) -> None:
        """Stop, so that libvirt lets go of the volume. What was sent may be in it."""
        with suppress(VirtError):  # broken already
            self.conn.call(lambda _handle: self._stream.abort(), self._what)


class _Last:
    """The last bytes of a stream that are not zeros, which are looked for when libvirt has confirmed it.

    libvirt 9.0 now and then confirms a stream whose writes failed: two of a hundred into a full pool of a busy host. A
    write that fails is the last one, so what came last is missing.
    """

    def __init__(self, offset: int) -> None:
        self._end = offset
        self._at, self._bytes = offset, b""

    def skip(self, length: int) -> None:
        """That many bytes are left out."""
        self._end += length

    def noted(self, messages: Iterable[bytes]) -> Iterator[bytes]:
        """The same messages, each noted when it is taken."""
        for message in messages:
            if body := message if message[-1] else message.rstrip(b"\0"):
                self._bytes = body[-LAST_BYTES:]
                self._at = self._end + len(body) - len(self._bytes)
            self._end += len(message)
            yield message

    def require(self, conn: Connection, pool: str, volume: libvirt.virStorageVol) -> None:
        """Raise PoolFull when they are not in the volume."""
        if not self._bytes:
            return
        name = volume.name()
        try:
            found = conn.call(partial(_read, volume, self._at, len(self._bytes)), f"read volume {name}")
        except (HostUnreachable, HostTimeout):
            raise
        except NotSupported:  # not every type of pool can be read
            return
        except VirtError as error:
            found, details = b"", error.details
        else:
            details = f"Bytes from {self._at} on are not there."
        if found != self._bytes:
            raise PoolFull(
                f"Could not write all of volume {name}: pool {pool} is full, or its storage failed.", details=details
            )


class Pieces:
    """Cuts bytes into about as few messages as carry them. What nearly fills one goes as it is: that saves a copy."""

    def __init__(self) -> None:
        self._held: list[memoryview] = []
        self._room = PIECE_BYTES

    def cut(self, buffers: Iterable[bytes]) -> Iterator[bytes]:
        """The messages that are full, or nearly; what is left over is held for the next call."""
        for buffer in buffers:
            if NEARLY_FULL <= len(buffer) <= PIECE_BYTES:
                yield from self.rest()
                yield buffer
                continue
            left = memoryview(buffer)
            while left:
                self._held.append(left[: self._room])
                left = left[self._room :]
                self._room -= len(self._held[-1])
                if not self._room:
                    yield from self.rest()

    def rest(self) -> Iterator[bytes]:
        """What is held, if anything."""
        held, self._held, self._room = self._held, [], PIECE_BYTES
        if held:
            yield b"".join(held)


@contextmanager
def _stream(conn: Connection, what: str) -> Iterator[libvirt.virStream]:
    """A stream that is aborted when the block fails, so that libvirt lets go of the volume at once."""
    stream = conn.call(lambda handle: handle.newStream(0), what)
    try:
        yield stream
    except BaseException:
        with suppress(VirtError):  # broken or finished already; the first error is the one to tell
            conn.call(lambda _handle: stream.abort(), what)
        raise


def _read(volume: libvirt.virStorageVol, offset: int, length: int, handle: libvirt.virConnect) -> bytes:
    """A few bytes, fewer where the volume ends before."""
    stream = handle.newStream(0)
    try:
        volume.download(stream, offset, length, 0)
        found = _receive(stream, f"read volume {volume.name()}")
        stream.finish()
    except BaseException:
        with suppress(libvirt.libvirtError):
            stream.abort()
        raise
    return found


def _receive(stream: libvirt.virStream, what: str) -> bytes:
    """Up to one batch; empty at the end."""
    batch = bytearray()
    while len(batch) < BATCH_BYTES and (piece := stream.recv(PIECE_BYTES)):
        if not isinstance(piece, bytes):
            raise VirtError(f"Could not {what}: the stream broke.", details=f"recv answered {piece}")
        batch += piece
    return bytes(batch)


def _skip(stream: libvirt.virStream, length: int, _handle: libvirt.virConnect) -> None:
    stream.sendHole(length)


def _send(stream: libvirt.virStream, messages: Iterable[bytes], what: str, _handle: libvirt.virConnect) -> None:
    for message in messages:
        left = message
        while left:
            sent = stream.send(left)
            if sent <= 0:
                raise VirtError(f"Could not {what}: the stream broke.", details=f"send answered {sent}")
            left = left[sent:]
