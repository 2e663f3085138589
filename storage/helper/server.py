"""The helper's socket: one request and one answer a connection, each a JSON object in one packet.

Request `{"verb": …, "arguments": {…}}`, answer `{"ok": {…}}` or `{"error": {"code", "message", "free"}}`; a descriptor
travels beside the answer (SCM_RIGHTS).
"""

import json
import os
import socket
import stat
import struct
import sys
import threading
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from . import verbs
from .parts import PartError

MAX_REQUEST = 64 * 1024
MAX_ANSWER = 192 * 1024  # parts.LIST_LIMIT keeps below it, and it below the default send buffer of a unix socket
MAX_CONNECTIONS = 32
REQUEST_TIMEOUT_S = 10.0
SO_PEERGROUPS = 59  # asm-generic/socket.h; Python has no name for it


def serve(path: str, group_id: int, directories: Sequence[str]) -> None:
    """Listen at `path` for root and for members of `group_id`, until the process is ended."""
    places = threading.BoundedSemaphore(MAX_CONNECTIONS)
    with _listen(path, group_id) as listener:
        while True:
            places.acquire()
            connection, _address = listener.accept()
            threading.Thread(target=_answer, args=(connection, group_id, directories, places), daemon=True).start()


def _listen(path: str, group_id: int) -> socket.socket:
    """Bind with the right owner and mode from the start: the directory may belong to the user who is let in, so
    changing them afterwards by path could be led astray by a link."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own_group, own_umask = os.getegid(), os.umask(0o117)
    try:
        os.setegid(group_id)
        listener.bind(path)
    finally:
        os.setegid(own_group)
        os.umask(own_umask)
    listener.listen(MAX_CONNECTIONS)
    return listener


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise SystemExit(f"{path} is there and is not a socket. Remove it, or give another --socket.")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        raise SystemExit(f"Another helper listens on {path} already.")


def _answer(
    connection: socket.socket, group_id: int, directories: Sequence[str], places: threading.BoundedSemaphore
) -> None:
    try:
        with connection, suppress(OSError):  # a caller that went away needs no answer
            connection.settimeout(REQUEST_TIMEOUT_S)
            packet, fd = _work(connection, group_id, directories)
            try:
                rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [fd]))]
                connection.sendmsg([packet], rights)
            finally:
                if fd is not None:
                    os.close(fd)
    finally:
        places.release()


def _work(connection: socket.socket, group_id: int, directories: Sequence[str]) -> tuple[bytes, int | None]:
    """The answer as a packet, and the descriptor that goes with it."""
    try:
        packet = connection.recv(MAX_REQUEST)  # first of all: closing a socket unread would throw our answer away
        _check_peer(connection, group_id)
        answer = _handle(packet, directories)
    except PartError as error:
        return _error(error.code, str(error), error.free), None
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:  # a request must not end the helper
        print(f"helper: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return _error("io", "the helper failed; its log says how", None), None
    fd = answer.pop("fd", None)
    return json.dumps({"ok": answer}).encode(), fd


def _handle(packet: bytes, directories: Sequence[str]) -> dict[str, Any]:
    try:
        request = json.loads(packet)
    except ValueError:
        raise PartError("bad_request", "the request is not JSON") from None
    if not isinstance(request, dict) or request.keys() != {"verb", "arguments"}:
        raise PartError("bad_request", "a request has a verb and arguments")
    return verbs.call(request["verb"], request["arguments"], directories)


def _check_peer(connection: socket.socket, group_id: int) -> None:
    """Only root, our own user and members of the group: the socket's mode says so too, unless somebody changed it."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, user_id, main_group = struct.unpack("3i", packed)
    groups = array("I")
    groups.frombytes(connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024))
    if user_id not in (0, os.geteuid()) and group_id not in (main_group, *groups):
        raise PartError("denied", "the helper does not serve this user")


def _error(code: str, message: str, free: int | None) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "free": free}}).encode()
