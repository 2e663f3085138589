"""Part files: an upload grows in `.kvmweb-<id>.part` beside its destination and gets its name when it is complete.

Every function opens the directory once and works relative to that descriptor, never through a symbolic link, so no
rename or link inside the directory leads out of it. A process may be killed between any two lines here: what is on disk
is then either a part, which can go on or be discarded, or the whole file under its name.
"""

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PART_NAME = re.compile(r"\.kvmweb-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.part", re.ASCII)
LIST_LIMIT = 1000  # parts in one answer of `list_parts`: it travels as one packet
RENAME_NOREPLACE = 1  # linux/fs.h


class PartError(Exception):
    """What a verb refuses or could not do. `code` is for programs; `free` is the room there is, with "no_space"."""

    def __init__(self, code: str, message: str, free: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.free = free


def create_part(directory: str, upload_id: str, name: str, size: int, reserve: int) -> dict[str, Any]:
    """Make an empty part for a file `name` of `size` bytes; `reserve` bytes of the free space are not for it.

    Nothing is allocated in advance. Raises PartError "exists" (the name is taken), "part_exists" or "no_space".
    """
    with _opened(directory) as dir_fd:
        if _lstat(dir_fd, name.encode()) is not None:
            raise PartError("exists", f"{name} exists already")
        room = _room(dir_fd)[0] - reserve
        if size > room:
            raise PartError("no_space", f"{size} bytes are wanted, {max(room, 0)} are free", free=max(room, 0))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(part_name(upload_id), flags, 0o600, dir_fd=dir_fd))
        return {}


def open_part(directory: str, upload_id: str) -> dict[str, Any]:
    """A descriptor of the part, for reading and writing, as "fd". Raises PartError "missing" or "not_a_part"."""
    with _opened(directory) as dir_fd:
        fd = _open_part(dir_fd, upload_id)
        if os.fstat(fd).st_nlink != 1:  # somebody else's file by another name, or `finish` died half way
            os.close(fd)
            raise PartError("not_a_part", f"the part of upload {upload_id} has a second name")
        return {"fd": fd}


def finish(directory: str, upload_id: str, name: str, size: int) -> dict[str, Any]:
    """Make the complete part durable and give it its name. Done already is not an error.

    Raises PartError "wrong_size" (bytes are missing), "exists" (the name was taken meanwhile, the part stays) or
    "missing".
    """
    with _opened(directory) as dir_fd:
        try:
            fd = _open_part(dir_fd, upload_id)
        except FileNotFoundError:
            done = _lstat(dir_fd, name.encode())
            if done is None or not stat.S_ISREG(done.st_mode) or done.st_size != size:
                raise
            os.fsync(dir_fd)
            return {}
        try:
            info = os.fstat(fd)
            if info.st_size != size:
                raise PartError("wrong_size", f"the part of upload {upload_id} has {info.st_size} bytes, not {size}")
            if info.st_nlink != 1 and not _is_same(info, _lstat(dir_fd, name.encode())):
                raise PartError("not_a_part", f"the part of upload {upload_id} has a second name")
            os.fchmod(fd, 0o644)
            os.fsync(fd)
            _give_name(dir_fd, info, part_name(upload_id).encode(), name.encode())
        finally:
            os.close(fd)
        os.fsync(dir_fd)
        return {}


def discard(directory: str, upload_id: str) -> dict[str, Any]:
    """Remove the part. There being none is not an error; "removed" says whether there was one."""
    with _opened(directory) as dir_fd:
        return {"removed": _unlink(dir_fd, part_name(upload_id))}


def list_parts(directory: str) -> dict[str, Any]:
    """The parts in the directory, at most LIST_LIMIT, as "parts": each with id, size (bytes) and mtime (Unix time)."""
    with _opened(directory) as dir_fd:
        return {"parts": [{"id": i, "size": s.st_size, "mtime": s.st_mtime} for i, s in _parts(dir_fd)]}


def sweep(directory: str, older_than_s: int) -> dict[str, Any]:
    """Remove the parts that nobody wrote to for `older_than_s` seconds and nobody has locked; "removed" lists them."""
    removed = []
    with _opened(directory) as dir_fd:
        for upload_id, info in _parts(dir_fd):
            if time.time() - info.st_mtime > older_than_s and _unlink_unlocked(dir_fd, upload_id):
                removed.append(upload_id)
    return {"removed": removed}


def free(directory: str) -> dict[str, Any]:
    """Free and total bytes of the file system that holds the directory."""
    with _opened(directory) as dir_fd:
        free_bytes, total_bytes = _room(dir_fd)
        return {"free": free_bytes, "total": total_bytes}


def part_name(upload_id: str) -> str:
    return f".kvmweb-{upload_id}.part"


@contextmanager
def _opened(directory: str) -> Iterator[int]:
    """The directory's descriptor; what the system refuses inside becomes a PartError."""
    try:
        dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PartError("no_directory", f"{directory}: {error.strerror}") from error
    try:
        yield dir_fd
    except OSError as error:
        raise PartError(_CODES.get(error.errno or 0, "io"), f"{directory}: {error.strerror}") from error
    finally:
        os.close(dir_fd)


_CODES = {
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.ENOENT: "missing",
    errno.EEXIST: "part_exists",
    errno.ELOOP: "not_a_part",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
}


def _open_part(dir_fd: int, upload_id: str) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(part_name(upload_id), flags, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PartError("not_a_part", f"the part of upload {upload_id} is not a file")
    return fd


def _lstat(dir_fd: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _unlink(dir_fd: int, name: str | bytes) -> bool:
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


def _unlink_unlocked(dir_fd: int, upload_id: str) -> bool:
    try:
        fd = _open_part(dir_fd, upload_id)
    except (OSError, PartError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _unlink(dir_fd, part_name(upload_id))
    except BlockingIOError:
        return False
    finally:
        os.close(fd)


def _parts(dir_fd: int) -> list[tuple[str, os.stat_result]]:
    found: list[tuple[str, os.stat_result]] = []
    with os.scandir(dir_fd) as entries:
        for entry in entries:
            match = PART_NAME.fullmatch(entry.name)
            if match is None or len(found) == LIST_LIMIT:
                continue
            with suppress(FileNotFoundError):  # finished or discarded this moment
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(info.st_mode):
                    found.append((match[1], info))
    return found


def _room(dir_fd: int) -> tuple[int, int]:
    room = os.fstatvfs(dir_fd)
    return room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize


def _is_same(one: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _give_name(dir_fd: int, info: os.stat_result, part: bytes, name: bytes) -> None:
    """Rename the part, which is the file `info`, without ever replacing one. Two that do it at once both succeed."""
    try:
        try:
            _rename_no_replace(dir_fd, part, name)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            # NFS has no RENAME_NOREPLACE; a hard link refuses to replace too, in two steps.
            os.link(part, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
            os.unlink(part, dir_fd=dir_fd)
    except (FileExistsError, FileNotFoundError) as error:
        if not _is_same(info, _lstat(dir_fd, name)):
            if isinstance(error, FileNotFoundError):
                raise
            raise PartError("exists", f"{name.decode()} exists already") from error
        _unlink(dir_fd, part)


def _rename_no_replace(dir_fd: int, old: bytes, new: bytes) -> None:
    """renameat2(2) with RENAME_NOREPLACE, which Python's os module lacks."""
    import ctypes  # here: a helper that finishes nothing does without its megabyte

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if libc.renameat2(dir_fd, old, dir_fd, new, RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
