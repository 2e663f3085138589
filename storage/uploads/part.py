"""An open part file, and the lock that lets one request at a time write to it."""

import fcntl
import os
from collections.abc import Sequence
from typing import Self

from django.conf import settings

from storage.helper.client import HelperClient

from .body import Discarded
from .threads import start_writing

WINDOW_BYTES = 8 * 1024 * 1024


def helper() -> HelperClient:
    """The root helper, or the same functions in this process where none is configured."""
    return HelperClient(settings.HELPER_SOCKET)


class Part:
    """The part of an upload, open for writing. Closing it, or dying, also unlocks it."""

    batch_bytes = 1024 * 1024

    def __init__(self, directory: str, upload_id: str) -> None:
        """Raises PartError, "missing" when there is none."""
        self._file = open(helper().open_part(directory, upload_id), "rb+", buffering=0)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def fd(self) -> int:
        return self._file.fileno()

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return os.fstat(self.fd).st_size

    @property
    def changed_at(self) -> float:
        """When bytes last arrived, as Unix time."""
        return os.fstat(self.fd).st_mtime

    @property
    def is_discarded(self) -> bool:
        """Whether the file was removed while we hold it open."""
        return os.fstat(self.fd).st_nlink == 0

    def try_lock(self) -> bool:
        """Take the lock, which holds across processes, or return False when another has it."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def begin(self, at: int) -> None:
        """Nothing: it is open already."""

    def write(self, buffers: Sequence[bytes], at: int) -> None:
        """Write all of it at `at`. Raises OSError, or Discarded when the upload was cancelled meanwhile."""
        left: list[bytes | memoryview] = list(buffers)
        started = at
        while left:
            written = os.pwritev(self.fd, left, at)
            at += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = memoryview(left[0])[written:]
        if at // WINDOW_BYTES > started // WINDOW_BYTES:
            self._start_write_back((started // WINDOW_BYTES) * WINDOW_BYTES)
        if self.is_discarded:
            raise Discarded

    def settle(self) -> None:
        """Nothing to do: what was written is in the file."""

    def _start_write_back(self, start: int) -> None:
        """Let the disk begin with the last window while the next arrives.

        Else the fsync at the end has it all to do, and gigabytes of dirty pages slow the guests of this host down.
        Linux starts to write pages of which it is told that they are not needed; those that it still writes it does not
        drop. https://man7.org/linux/man-pages/man2/posix_fadvise.2.html
        """
        os.posix_fadvise(self.fd, start, WINDOW_BYTES, os.POSIX_FADV_DONTNEED)

    async def truncate(self, size: int) -> None:
        """Cut off what came after `size`."""
        await start_writing(lambda: os.truncate(self.fd, size))

    def close(self) -> None:
        self._file.close()
