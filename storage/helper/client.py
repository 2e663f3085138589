"""How the other processes ask the helper. Blocking: call it from a thread."""

import json
import os
import socket
from typing import Any

from . import verbs
from .parts import PartError
from .server import MAX_ANSWER

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 600.0  # `finish` waits until gigabytes are on the disk


class HelperClient:
    """The helper behind `socket_path`; with an empty path the same verbs, run in this process with its own rights.

    Every method raises PartError; "unreachable" when the helper does not answer.
    """

    def __init__(self, socket_path: str = "") -> None:
        self.socket_path = socket_path

    def create_part(self, directory: str, upload_id: str, *, name: str, size: int, reserve: int) -> None:
        """Make an empty part; see `parts.create_part`."""
        self._call("create_part", directory=directory, upload_id=upload_id, name=name, size=size, reserve=reserve)

    def open_part(self, directory: str, upload_id: str) -> int:
        """A descriptor of the part for reading and writing, which the caller closes."""
        return int(self._call("open_part", directory=directory, upload_id=upload_id)["fd"])

    def finish(self, directory: str, upload_id: str, *, name: str, size: int) -> None:
        """Make the part durable and give it its name; see `parts.finish`."""
        self._call("finish", directory=directory, upload_id=upload_id, name=name, size=size)

    def discard(self, directory: str, upload_id: str) -> bool:
        """Remove the part; whether there was one."""
        return bool(self._call("discard", directory=directory, upload_id=upload_id)["removed"])

    def list_parts(self, directory: str) -> list[dict[str, Any]]:
        """The parts there, each with id, size (bytes) and mtime (Unix time)."""
        return list(self._call("list_parts", directory=directory)["parts"])

    def sweep(self, directory: str, *, older_than_s: int) -> list[str]:
        """Remove parts that were not written to for so long; their ids."""
        return list(self._call("sweep", directory=directory, older_than_s=older_than_s)["removed"])

    def free(self, directory: str) -> tuple[int, int]:
        """Free and total bytes of the file system that holds the directory."""
        answer = self._call("free", directory=directory)
        return int(answer["free"]), int(answer["total"])

    def _call(self, verb: str, **arguments: object) -> dict[str, Any]:
        if not self.socket_path:
            return verbs.call(verb, arguments, None)
        try:
            answer, fds = self._exchange(json.dumps({"verb": verb, "arguments": arguments}).encode())
        except OSError as error:
            raise PartError("unreachable", f"{self.socket_path}: {error.strerror or error}") from error
        if refused := answer.get("error"):
            raise PartError(refused["code"], refused["message"], refused["free"])
        return {**answer["ok"], "fd": fds[0]} if fds else answer["ok"]

    def _exchange(self, packet: bytes) -> tuple[dict[str, Any], list[int]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(CONNECT_TIMEOUT_S)
            connection.connect(self.socket_path)
            connection.sendall(packet)
            connection.settimeout(ANSWER_TIMEOUT_S)
            answer, fds, _flags, _address = socket.recv_fds(connection, MAX_ANSWER, 1)
        for fd in fds:
            os.set_inheritable(fd, False)
        if not answer:
            raise ConnectionResetError("the helper closed the connection without an answer")
        return json.loads(answer), fds
