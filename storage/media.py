"""Reading an image: its bytes from this machine's disk or through libvirt, its SHA-256, what system is on it."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.utils.translation import gettext as _

from virt import iso9660, osinfo, transfer
from virt.connection import Connection
from virt.errors import UserError

from .models import Volume

CHUNK = 1024 * 1024
PLAIN = ("", "raw", "iso")  # formats of files that are as large as what a guest sees


class Unreadable(UserError):
    """The file is there, but its bytes cannot be read."""

    code, status = "unreadable", 502


class Image(Protocol):
    """An image that is open for reading. `size` in bytes: exact once all chunks were read."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end."""

    def chunks(self) -> Iterator[bytes | memoryview]:
        """All of it in order; a chunk is valid until the next one is asked for."""


class LocalImage:
    """A file of this machine that this process may read."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.fd, length, offset)

    def chunks(self) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(CHUNK))
        offset = 0
        while count := os.preadv(self.fd, [buffer], offset):
            offset += count
            yield buffer[:count]


class RemoteImage:
    """A volume that libvirt reads for us."""

    def __init__(self, conn: Connection, volume: Volume) -> None:
        self.conn, self.pool, self.name = conn, volume.pool.name, volume.name
        self.size = volume.capacity_bytes

    def read(self, offset: int, length: int) -> bytes:
        return transfer.read_range(self.conn, self.pool, self.name, offset, length)

    def chunks(self) -> Iterator[bytes]:
        done = 0
        for chunk in transfer.download(self.conn, self.pool, self.name):
            done += len(chunk)
            yield chunk
        self.size = done  # the capacity of a qcow2 is what a guest sees


@contextmanager
def open_image(conn: Connection, volume: Volume) -> Iterator[Image]:
    """Open the volume: directly where it is a file that this process may read, else through libvirt.

    Raises Unreadable when the disk gives an error in the middle.
    """
    fd = open_local(volume) if conn.is_local else None
    if fd is None:
        yield RemoteImage(conn, volume)
        return
    try:
        yield LocalImage(fd)
    except OSError as error:
        sentence = _("%(name)s could not be read from the disk. Look at the host's kernel log, or replace the file.")
        raise Unreadable(sentence % {"name": volume.name}, details=str(error)) from error
    finally:
        os.close(fd)


def sha256(image: Image, on_progress: Callable[[int], None]) -> str:
    """The SHA-256 of all bytes, in hexadecimal. `on_progress` gets the bytes read so far and may raise to stop."""
    digest, done = hashlib.sha256(), 0
    for chunk in image.chunks():
        digest.update(chunk)
        done += len(chunk)
        on_progress(done)
    return digest.hexdigest()


def facts(image: Image) -> dict[str, Any]:
    """What the header says, as columns of Iso: the label, what boots from it, the system ("" where it is not known)."""
    header = iso9660.read_iso(image.read)
    if header is None:
        return {"is_iso9660": False, "label": "", "arch": "", "boots_bios": None, "boots_uefi": None, **_NO_SYSTEM}
    found = osinfo.detect_media(header)
    system = _NO_SYSTEM
    if found is not None:
        system = {
            "os_id": found.id,
            "os_name": found.name,
            "os_is_guess": found.confidence != "exact",
            "os_is_eol": found.eol,
        }
    return {
        "is_iso9660": True,
        "label": header.volume_id[:64],
        "arch": (found and found.arch) or header.arch or "",
        "boots_bios": header.boots_bios,
        "boots_uefi": header.boots_uefi,
        **system,
    }


_NO_SYSTEM = {"os_id": "", "os_name": "", "os_is_guess": False, "os_is_eol": False}
SYSTEM_COLUMNS = frozenset(_NO_SYSTEM)


def open_local(volume: Volume) -> int | None:
    """A descriptor of the volume's file, or None where this process may not read it or sees another one there."""
    try:
        fd = os.open(volume.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    info = os.fstat(fd)
    # In a container the path may lead elsewhere than libvirt's. Of a qcow2 the capacity is what a guest sees.
    is_plain = volume.format in PLAIN
    if stat.S_ISREG(info.st_mode) and (info.st_size == volume.capacity_bytes or not is_plain):
        return fd
    os.close(fd)
    return None
