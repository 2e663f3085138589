"""Uploads into pools that only libvirt reaches: of other hosts, and of other types than directories.

The bytes of a request go through libvirt's stream straight into the volume. What libvirt has confirmed is in the row
(`streamed_bytes`): a stream is finished and begun anew at the end of a request, and every COMMIT_S or COMMIT_BYTES, so
that whatever dies loses no more than that. This is the one place where a web process calls libvirt, as consoles are for
theirs; it does so in threads.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Self

from django.conf import settings
from django.utils.translation import gettext as _

from hosts.models import Host
from storage.making import exists_already, take_back_volume
from storage.models import Pool, Upload
from storage.rules import FILE_POOLS
from virt import image_guard, transfer, volumes
from virt.connection import Connection
from virt.content_xml import ContentXML
from virt.errors import HostTimeout, HostUnreachable, VirtError
from virt.pools import refresh_pool

from .body import Discarded
from .errors import StorageFailed, no_space
from .threads import among_rows, start_writing

COMMIT_BYTES, COMMIT_S = 64 * 1024 * 1024, 1.0
IDLE_S = 20.0  # a connection waits for the next request of the same browser: making one takes longer than its bytes


class StreamedPart:
    """What has arrived of an upload, open for writing; the same for a caller as `Part`. Blocking but for `truncate`."""

    batch_bytes = transfer.BATCH_BYTES  # up to three of them are in memory

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.size = upload.streamed_bytes or 0
        self._lock: int | None = None
        self._writer: transfer.Writer | None = None
        self._begun = 0.0
        self._line: _Line | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def changed_at(self) -> float:
        """When somebody last came for it, as Unix time."""
        return self._upload.touched_at.timestamp()

    def try_lock(self) -> bool:
        """Take the lock, which holds across processes, or return False when another has it."""
        place = _lock_file(self._upload)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(place, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._upload.refresh_from_db(fields=["streamed_bytes", "state"])
        self.size = self._upload.streamed_bytes or 0
        return True

    def begin(self, at: int) -> None:
        """Open the volume for bytes that belong at `at`. Raises HostUnreachable, HostTimeout or VirtError."""
        self._writer = self._writer or self._open(at)

    def write(self, buffers: Sequence[bytes], at: int) -> None:
        """Send bytes that belong at `at`, which is where the last ones ended. Raises Discarded or VirtError."""
        self._writer = self._writer or self._open(at)
        self._writer.write(buffers)
        if self._writer.written >= COMMIT_BYTES or time.monotonic() - self._begun > COMMIT_S:
            self._confirm()

    def settle(self) -> None:
        """Have libvirt confirm what was sent, and note it. Raises Discarded when the upload was cancelled meanwhile."""
        self._confirm()
        self._let_go()  # what looks at a file that is complete takes the same connection

    def give_up(self) -> None:
        """Stop a stream that failed; what was confirmed before counts."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abort()

    async def truncate(self, size: int) -> None:
        """Let the next bytes go to `size`: what came after it is written over."""
        await start_writing(lambda: self._back_to(size))

    def close(self) -> None:
        self.give_up()
        self._let_go()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open(self, at: int) -> transfer.Writer:
        self._line = self._line or _lines.take(self._upload.pool.host)
        self._begun = time.monotonic()
        return transfer.Writer(self._line.connection, self._upload.pool.name, self._upload.name, offset=at)

    def _confirm(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        writer.finish()
        self._note(writer.offset + writer.written)

    def _let_go(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            _lines.give_back(line)

    def _back_to(self, size: int) -> None:
        self.give_up()
        self._note(min(size, self.size))

    def _note(self, size: int) -> None:
        mine = Upload.objects.filter(pk=self._upload.pk, state=Upload.State.RECEIVING)
        if not among_rows(lambda: mine.update(streamed_bytes=size)):
            raise Discarded
        self.size = size


def create(upload: Upload) -> None:
    """Make the volume that the bytes go into. Raises VolumeExists, PoolFull, WrongState or HostUnreachable."""
    pool = upload.pool
    with pool.host.connect(events=False) as conn:
        size = 0 if pool.type in FILE_POOLS else upload.size_bytes
        transfer.create_empty(conn, pool.name, ContentXML(name=upload.name, size_bytes=size))


def check_room(upload: Upload, reserve: int) -> None:
    """Raise NoSpace when the pool, as last seen, has no room for it beside the others on their way."""
    pool = upload.pool
    if upload.size_bytes + reserve > pool.available_bytes:
        raise no_space(upload.name, pool.name)
    if pool.volumes.filter(name=upload.name, missing_since=None).exists():
        raise exists_already(upload.name, pool.name)


def head_of_whole(upload: Upload) -> bytes:
    """The first bytes of an upload that is complete.

    Raises StorageFailed, and begins anew, when libvirt sees fewer bytes than it confirmed: somebody changed them.
    """
    pool, name = upload.pool, upload.name
    with _lines.borrow(pool.host) as conn:
        refresh_pool(conn, pool.name)
        found = volumes.volume_info(conn, pool.name, name).capacity_bytes
        if pool.type not in FILE_POOLS or found >= upload.size_bytes:
            length = min(image_guard.HEAD_BYTES, upload.size_bytes)
            return transfer.read_range(conn, pool.name, name, 0, length) if length else b""
    Upload.objects.filter(pk=upload.pk).update(state=Upload.State.RECEIVING, streamed_bytes=found)
    message = _("Only %(size)d bytes of %(name)s are in the pool. Go on from there.")
    raise StorageFailed(message % {"size": found, "name": name})


def discard(upload: Upload) -> None:
    """Delete what arrived. Nothing there is not an error."""
    take_back_volume(host_id=upload.pool.host_id, pool=upload.pool.name, name=upload.name)
    forget(upload)


def forget(upload: Upload) -> None:
    """Remove the file of the lock."""
    with suppress(FileNotFoundError):
        _lock_file(upload).unlink()


def is_streamed(pool: Pool) -> bool:
    """Whether bytes for the pool go through libvirt: it is elsewhere, holds no plain files, or is a directory in which
    the root helper does not work.
    """
    from .lifecycle import DIRECTORY_POOLS

    if not pool.host.is_local or pool.type not in DIRECTORY_POOLS or not pool.target_path:
        return True
    return bool(settings.HELPER_SOCKET) and pool.target_path not in (settings.ISO_DIR, settings.STORE_DIR)


def _lock_file(upload: Upload) -> Path:
    return Path(settings.VAR) / "uploads" / f"{upload.pk}.lock"


class _Line:
    """A connection to a host that outlives a request."""

    def __init__(self, host: Host) -> None:
        self.host_id, self.uri, self._manager = host.pk, host.uri, host.connect(events=False)
        self.connection: Connection = self._enter(self._manager)
        self.idle_since = 0.0

    def leads_to(self, host: Host) -> bool:
        """Whether it is for this host, and for the address that it has now."""
        return (self.host_id, self.uri) == (host.pk, host.uri)

    def close(self) -> None:
        self._manager.__exit__(None, None, None)

    @staticmethod
    def _enter(manager: AbstractContextManager[Connection]) -> Connection:
        return manager.__enter__()


class _Lines:
    """Connections that wait a moment for the next request to the same host."""

    def __init__(self) -> None:
        self._guard, self._idle = Lock(), list[_Line]()

    def take(self, host: Host) -> _Line:
        """A connection for one request at a time. Raises HostUnreachable or HostTimeout."""
        with self._guard:
            old = self._drop_old()
            found = next((line for line in self._idle if line.leads_to(host)), None)
            if found:
                self._idle.remove(found)
        for line in old:
            line.close()
        if found and found.connection.is_alive:
            return found
        return _Line(host)

    def give_back(self, line: _Line) -> None:
        """Keep a connection that is still good."""
        line.idle_since = time.monotonic()
        with self._guard:
            old = self._drop_old()
            if line.connection.is_alive:
                self._idle.append(line)
            else:
                old.append(line)
        for each in old:
            with suppress(HostUnreachable, HostTimeout, VirtError):
                each.close()

    @contextmanager
    def borrow(self, host: Host) -> Iterator[Connection]:
        """A connection for as long as the block runs. Raises HostUnreachable or HostTimeout."""
        line = self.take(host)
        try:
            yield line.connection
        finally:
            self.give_back(line)

    def _drop_old(self) -> list[_Line]:
        limit = time.monotonic() - IDLE_S
        old = [line for line in self._idle if line.idle_since < limit]
        self._idle = [line for line in self._idle if line.idle_since >= limit]
        return old


_lines = _Lines()
