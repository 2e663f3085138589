"""New content in a pool, over libvirt's streams: the same way for every type of pool and for every host.

The bytes go straight into the volume; nothing is kept in between.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.tasks import RunningJob
from virt import transfer
from virt.connection import Connection
from virt.content_xml import ContentXML
from virt.errors import NotSupported, PoolFull, VolumeExists

from .inventory import refresh_pool
from .making import UNDO, exists_already
from .models import Pool, Volume
from .rules import FILE_POOLS, check_active, gib, gone

if TYPE_CHECKING:
    from hashlib import _Hash

REPORT_EVERY_S = 0.5
RESERVE_BYTES = 64 * 1024 * 1024  # stays free: a file system filled to the last byte stops more than this job


class Progress:
    """Moves the bar of a job, and learns of a wish to stop, now and then: each time costs a few queries."""

    def __init__(self, job: RunningJob, total: int | None) -> None:
        self.job, self.total, self._last = job, total or 0, 0.0

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last >= REPORT_EVERY_S:
            self._last = now
            self.job.progress(done, self.total)


def find_pool(host: Host, conn: Connection, name: str) -> Pool:
    """The pool's row as of now. Raises PoolNotFound or WrongState when nothing can be written there."""
    row = refresh_pool(host, conn, name, rescan=True)
    if row is None:
        raise gone(name, host.name)
    check_active(row)
    return row


def check_fits(pool: Pool, name: str, size: int | None) -> None:
    """Raise VolumeExists or PoolFull when a file of `size` bytes (None: unknown) cannot be put into the pool."""
    if pool.volumes.filter(name=name, missing_since=None).exists():
        raise exists_already(name, pool.name)
    if size is None and pool.type not in FILE_POOLS:
        sentence = _(
            "The pool %(pool)s holds block devices, whose size must be known beforehand, and nobody says how large the"
            " file becomes. Choose a pool that is a directory."
        )
        raise NotSupported(sentence % {"pool": pool.name}, field="pool")
    if size is not None and size + RESERVE_BYTES > pool.available_bytes:
        sentence = _("%(name)s needs %(size)s and the pool %(pool)s has %(free)s free. Free some, or use another pool.")
        words = {"name": name, "size": gib(size), "pool": pool.name, "free": gib(pool.available_bytes)}
        raise PoolFull(sentence % words)


def make_empty(job: RunningJob, conn: Connection, pool: Pool, wanted: ContentXML) -> None:
    """Make a volume for bytes that come as a step of `job`; if the job fails later, it is deleted again.

    Raises VolumeExists or PoolFull.
    """
    made = job.row.journal.create(
        verb=UNDO, arguments={"host_id": pool.host_id, "pool": pool.name, "name": wanted.name}
    )
    try:
        transfer.create_empty(conn, pool.name, wanted)
    except VolumeExists:
        made.delete()  # somebody else's: not ours to take back
        raise


def write_volume(
    job: RunningJob,
    conn: Connection,
    pool: Pool,
    name: str,
    chunks: Iterable[bytes],
    *,
    size: int | None,
    on_progress: Callable[[int], None],
) -> tuple[Volume, str]:
    """Make a volume of `chunks` as a step of `job`; if the job fails later, it is deleted again.

    Returns its row and the SHA-256 of what was written. Raises VolumeExists, PoolFull and what `chunks` raises.
    """
    make_empty(job, conn, pool, ContentXML(name=name, size_bytes=0 if pool.type in FILE_POOLS else size or 0))
    digest = hashlib.sha256()
    bounded = chunks if size is not None else _while_there_is_room(chunks, pool, name)
    transfer.upload(conn, pool.name, name, _hashed(bounded, digest), length=0, on_progress=on_progress)
    row = refresh_pool(pool.host, conn, pool.name, rescan=True)
    if row is None:
        raise gone(pool.name, pool.host.name)
    return Volume.objects.get(pool=row, name=name), digest.hexdigest()


def _while_there_is_room(chunks: Iterable[bytes], pool: Pool, name: str) -> Iterator[bytes]:
    room = pool.available_bytes - RESERVE_BYTES
    for chunk in chunks:
        room -= len(chunk)
        if room < 0:
            sentence = _("%(name)s is larger than the room in the pool %(pool)s. Free some there, or use another pool.")
            raise PoolFull(sentence % {"name": name, "pool": pool.name})
        yield chunk


def _hashed(chunks: Iterable[bytes], digest: "_Hash") -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
