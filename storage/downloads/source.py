"""The bytes of one volume, out of libvirt, for one request: opened, read piece by piece, and closed, in threads."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Self

from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from hosts.models import Host
from storage.checks import check_present
from storage.models import Volume
from storage.rules import check_readable
from storage.uploads.errors import NotFound
from virt import transfer
from virt.connection import Connection
from virt.errors import VolumeInUse
from virt.volumes import content_version


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What may be sent, as our rows have it."""

    volume_id: int
    name: str
    pool: str
    host: Host


def find(user: User, volume_id: int) -> Wanted:
    """The volume, for somebody who may read all that is on it.

    Raises NotFound, NotSupported, WrongState, or VolumeInUse while a running guest writes to it: what came would fit
    together nowhere.
    """
    volume = Volume.objects.permitted(user, "configure").select_related("pool__host").filter(pk=volume_id).first()
    if volume is None:
        raise NotFound(_("There is no such volume, or it is not yours."))
    check_present(volume)
    check_readable(volume)
    writers = volume.used_by.filter(guest__missing_since=None, is_readonly=False).select_related("guest")
    if running := next((disk.guest.name for disk in writers if disk.guest.is_on), None):
        sentence = _("The running guest %(guest)s writes to %(name)s. Copy the volume first, then download the copy.")
        raise VolumeInUse(sentence % {"guest": running, "name": volume.name})
    return Wanted(volume_id=volume.pk, name=volume.name, pool=volume.pool.name, host=volume.pool.host)


def note(user: User, wanted: Wanted) -> None:
    """Everything that leaves the house is in the audit log."""
    audit.record(user, "download_volume", kind="volume", object_id=wanted.volume_id, name=wanted.name)


class Source:
    """An open volume. `size` in bytes; `version` changes when the file does. Used from one thread at a time."""

    def __init__(self, conn: Connection, wanted: Wanted) -> None:
        self._conn, self._wanted = conn, wanted
        self._pieces: Generator[bytes, None, None] | None = None
        self.size, self.version = content_version(conn, wanted.pool, wanted.name)

    @classmethod
    def open(cls, wanted: Wanted) -> Self:
        """Connect and look. Raises VirtError."""
        conn = wanted.host.open(events=False)
        try:
            return cls(conn, wanted)
        except BaseException:
            conn.close()
            raise

    def begin(self, start: int, end: int) -> None:
        """Have `next` give the bytes from `start` to `end`."""
        pool, name = self._wanted.pool, self._wanted.name
        self._pieces = transfer.download(self._conn, pool, name, offset=start, length=end - start)

    def next(self) -> bytes:
        """Up to 2 MiB; empty at the end."""
        return next(self._pieces, b"") if self._pieces else b""

    def close(self) -> None:
        """Let libvirt go."""
        if self._pieces:
            self._pieces.close()
        self._conn.close()
