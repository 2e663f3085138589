"""What a viewer's browser may say to a guest's VNC server when it may only look.

noVNC's own "view only" is a courtesy: whoever holds the WebSocket can send what they like. So the server reads what the
client says and passes on only messages on a short list, each of a length that nobody can dispute. What it drops never
reaches the guest, so it need not even be right about what was dropped.

https://github.com/rfbproto/rfbproto/blob/master/rfbproto.rst
"""

import struct
from collections.abc import Callable

from .tickets import Kind

# In 3.3 the server chooses the security type, out of our sight.
VERSIONS = (b"RFB 003.007\n", b"RFB 003.008\n")
SECURITY_RESPONSE_BYTES = {1: 0, 2: 16}  # None; VNC authentication answers a challenge

# Client messages by type. Fixed sizes first; 2, 6, 248, 251 and 255 say their own.
SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
CONTINUOUS_UPDATES, FENCE, XVP, SET_DESKTOP_SIZE, QEMU = 150, 248, 250, 251, 255
PASSED = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, CONTINUOUS_UPDATES: 10}
DROPPED = {KEY: 8, POINTER: 6, XVP: 4}
QEMU_KEY, QEMU_AUDIO, QEMU_AUDIO_FORMAT = 0, 1, 2

# With this encoding the server would accept PointerEvents of two lengths. https://github.com/rfbproto/rfbproto/pull/39
EXTENDED_MOUSE_BUTTONS = -316


def viewer_filter(kind: Kind) -> Callable[[bytes], bytes]:
    """What becomes of the bytes of somebody who may only look: on a serial port nothing at all."""
    return ViewOnlyFilter().feed if kind == "vnc" else lambda _data: b""


class NotRfb(ValueError):
    """The client sent what a view-only console cannot follow; the connection has to end."""


class ViewOnlyFilter:
    """Feed it what the client sends, in pieces of any size; pass on what it returns."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._to_skip = 0  # of a dropped message whose body has yet to come
        self._stage = self._version

    def feed(self, data: bytes) -> bytes:
        """The part of the stream that may go on to the guest. Raises NotRfb."""
        self._buffer += data
        passed = bytearray()
        while True:
            if self._to_skip:
                skipped = min(self._to_skip, len(self._buffer))
                del self._buffer[:skipped]
                self._to_skip -= skipped
            if not self._buffer or (length := self._stage(passed)) == 0:
                return bytes(passed)
            del self._buffer[:length]

    # A stage returns how many bytes it is done with, 0 when it needs more, and appends to `passed` what may go on.

    def _version(self, passed: bytearray) -> int:
        if len(self._buffer) < 12:
            return 0
        if bytes(self._buffer[:12]) not in VERSIONS:
            raise NotRfb("a view-only console needs a client that speaks RFB 3.7 or 3.8")
        passed += self._buffer[:12]
        self._stage = self._security_type
        return 12

    def _security_type(self, passed: bytearray) -> int:
        chosen = self._buffer[0]
        if chosen not in SECURITY_RESPONSE_BYTES:
            raise NotRfb(f"a view-only console does not support the security type {chosen}")
        passed.append(chosen)
        self._response_bytes = SECURITY_RESPONSE_BYTES[chosen]
        self._stage = self._security_response if self._response_bytes else self._client_init
        return 1

    def _security_response(self, passed: bytearray) -> int:
        if len(self._buffer) < self._response_bytes:
            return 0
        passed += self._buffer[: self._response_bytes]
        self._stage = self._client_init
        return self._response_bytes

    def _client_init(self, passed: bytearray) -> int:
        passed.append(1)  # shared, whatever the client asked: an exclusive viewer would throw the others out
        self._stage = self._message
        return 1

    def _message(self, passed: bytearray) -> int:
        kind = self._buffer[0]
        if length := PASSED.get(kind):
            return self._pass(passed, length)
        if length := DROPPED.get(kind):
            return self._drop(length)
        if kind == SET_ENCODINGS:
            return self._encodings(passed)
        if kind == CUT_TEXT:
            head = self._head(8)
            # A negative length marks the extended clipboard. A gigabyte of text is skipped as it comes, not collected.
            return head and self._drop(8 + abs(int(struct.unpack_from(">i", self._buffer, 4)[0])))
        if kind == FENCE:
            head = self._head(9)
            return head and self._pass(passed, 9 + self._buffer[8])
        if kind == SET_DESKTOP_SIZE:
            head = self._head(8)
            return head and self._drop(8 + 16 * self._buffer[6])
        if kind == QEMU:
            head = self._head(4)
            return head and self._drop(self._qemu_bytes())
        raise NotRfb(f"a view-only console does not know the message type {kind}")

    def _qemu_bytes(self) -> int:
        """The length of a QEMU client message. https://gitlab.com/qemu-project/qemu/-/blob/master/ui/vnc.c"""
        kind, operation = struct.unpack_from(">BH", self._buffer, 1)
        if kind == QEMU_KEY:
            return 12
        if kind == QEMU_AUDIO:
            return 10 if operation == QEMU_AUDIO_FORMAT else 4
        raise NotRfb(f"a view-only console does not know the QEMU message {kind}")

    def _encodings(self, passed: bytearray) -> int:
        if not self._head(4):
            return 0
        count = int(struct.unpack_from(">H", self._buffer, 2)[0])
        length = 4 + 4 * count
        if not self._head(length):
            return 0
        wanted = struct.unpack_from(f">{count}i", self._buffer, 4)
        kept = [encoding for encoding in wanted if encoding != EXTENDED_MOUSE_BUTTONS]
        passed += struct.pack(f">BxH{len(kept)}i", SET_ENCODINGS, len(kept), *kept)
        return length

    def _head(self, length: int) -> int:
        return length if len(self._buffer) >= length else 0

    def _pass(self, passed: bytearray, length: int) -> int:
        if not self._head(length):
            return 0
        passed += self._buffer[:length]
        return length

    def _drop(self, length: int) -> int:
        """Be done with what is here of the message, and with the rest as it comes."""
        here = min(length, len(self._buffer))
        self._to_skip = length - here
        return here
