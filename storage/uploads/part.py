"""An open part file, and the lock that lets one request at a time write to it."""

import fcntl
import os
from typing import Self

from django.conf import settings

from storage.helper.client import HelperClient

from .threads import start_writing


def helper() -> HelperClient:
    """The root helper, or the same functions in this process where none is configured."""
    return HelperClient(settings.HELPER_SOCKET)


class Part:
    """The part of an upload, open for writing. Closing it, or dying, also unlocks it."""

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

    async def truncate(self, size: int) -> None:
        """Cut off what came after `size`."""
        await start_writing(lambda: os.truncate(self.fd, size))

    def close(self) -> None:
        self._file.close()
