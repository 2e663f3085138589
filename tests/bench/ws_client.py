"""A WebSocket client that costs next to nothing, so that what is measured is the server."""

import os
import socket
import struct
from base64 import b64encode
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

BUFFER_BYTES = 256 * 1024
CONTINUATION, BINARY, CLOSE, PING, PONG = 0, 2, 8, 9, 10
MASK_OF_ZEROS = bytes(4)  # masking with it changes nothing, which spares this side the work


class WsClient:
    """Connects, sends binary messages, counts what comes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: binary\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            if not (byte := self._socket.recv(1)):
                raise ConnectionError(answer.decode())
            answer += byte
        if b" 101 " not in answer.split(b"\r\n", 1)[0]:
            raise ConnectionError(answer.decode())
        self._buffer = memoryview(bytearray(BUFFER_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send one binary message."""
        size = len(data)
        if size < 126:
            head = struct.pack(">BB", 0x80 | BINARY, 0x80 | size)
        elif size < 65536:
            head = struct.pack(">BBH", 0x80 | BINARY, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | BINARY, 0x80 | 127, size)
        self._socket.sendall(head + MASK_OF_ZEROS + data)

    def receive(self, size: int) -> None:
        """Read messages until `size` bytes of payload have come."""
        while size > 0:
            size -= self._skip_payload(self._frame_size())

    def _frame_size(self) -> int:
        first, second = self._exactly(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self._exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._exactly(8))[0]
        kind = first & 0x0F
        if kind in (CONTINUATION, BINARY):
            return size
        if kind == CLOSE:
            raise ConnectionError("the server closed the WebSocket")
        payload = self._exactly(size)
        if kind == PING:
            self._socket.sendall(struct.pack(">BB", 0x80 | PONG, 0x80 | size) + MASK_OF_ZEROS + payload)
        return self._frame_size()

    def _exactly(self, size: int) -> bytes:
        data = self._socket.recv(size, socket.MSG_WAITALL)
        if len(data) < size:
            raise ConnectionError("the server closed the connection")
        return data

    def _skip_payload(self, size: int) -> int:
        left = size
        while left > 0:
            got = self._socket.recv_into(self._buffer, min(left, BUFFER_BYTES))
            if got == 0:
                raise ConnectionError("the server closed the connection")
            left -= got
        return size
