"""A guest's screen as a picture, and keys for its keyboard."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import libvirt

from virt.connection import Connection
from virt.domains import on_guest
from virt.errors import Invalid, VirtError, WrongState
from virt.types import Uuid

SCREENSHOT_TIMEOUT_S = 30.0
MAX_PICTURE_BYTES = 128 * 2**20
KEY_HOLD_MS = 80  # less, and guests lose keys

# Linux key codes by the names that virsh takes without their KEY_. https://libvirt.org/manpages/virsh.html#send-key
KEYS = {
    "ESC": 1, "BACKSPACE": 14, "TAB": 15, "ENTER": 28, "LEFTCTRL": 29, "LEFTSHIFT": 42, "LEFTALT": 56, "SPACE": 57,
    "CAPSLOCK": 58, "F11": 87, "F12": 88, "RIGHTCTRL": 97, "SYSRQ": 99, "RIGHTALT": 100, "HOME": 102, "UP": 103,
    "PAGEUP": 104, "LEFT": 105, "RIGHT": 106, "END": 107, "DOWN": 108, "PAGEDOWN": 109, "INSERT": 110, "DELETE": 111,
    "LEFTMETA": 125,
} | {f"F{n}": 58 + n for n in range(1, 11)} | {str(n): 1 + n for n in range(1, 10)} | {"0": 11} | {
    letter: base + place
    for base, row in ((16, "QWERTYUIOP"), (30, "ASDFGHJKL"), (44, "ZXCVBNM"))
    for place, letter in enumerate(row)
}  # fmt: skip


def screenshot(conn: Connection, uuid: Uuid) -> bytes:
    """What the guest's first screen shows, as PNG. Raises WrongState when it is off or has no screen.

    https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainScreenshot
    """

    def action(domain: libvirt.virDomain) -> tuple[str, bytes]:
        if not domain.isActive():
            raise WrongState(f"Guest {domain.name()} is off, so it has no screen. Start it first.")
        stream = domain.connect().newStream(0)
        kind = domain.screenshot(stream, 0, 0)
        picture = bytearray()
        while piece := stream.recv(262_120):
            picture += piece
            if len(picture) > MAX_PICTURE_BYTES:
                stream.abort()
                raise VirtError("The picture of the screen is too large.")
        stream.finish()
        return str(kind), bytes(picture)

    kind, picture = on_guest(conn, uuid, "take a picture of guest {}", action, timeout_s=SCREENSHOT_TIMEOUT_S)
    return picture if kind == "image/png" else _png_from_ppm(picture)


def send_keys(conn: Connection, uuid: Uuid, keys: Sequence[str | int], *, hold_ms: int = KEY_HOLD_MS) -> None:
    """Press `keys` together and let go after `hold_ms`: names as in KEYS ("LEFTCTRL") or Linux key codes, at most 16.

    Raises Invalid for an unknown key, WrongState when the guest is off.
    """
    codes = [_code(key) for key in keys]
    if not 1 <= len(codes) <= 16:
        raise Invalid("Between 1 and 16 keys can be pressed together.", field="keys")
    if not 0 < hold_ms <= 5000:
        raise Invalid("Keys can be held for 1 to 5000 ms.", field="hold_ms")
    on_guest(
        conn,
        uuid,
        "send keys to guest {}",
        lambda domain: domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, hold_ms, codes, len(codes), 0),
    )


def _code(key: str | int) -> int:
    code = key if isinstance(key, int) else KEYS.get(key.upper().removeprefix("KEY_"), 0)
    if not 0 < code < 768:
        raise Invalid(f"There is no key named {str(key)[:40]}.", field="keys")
    return code


def _png_from_ppm(picture: bytes) -> bytes:
    """QEMU before 7.1 draws a PPM, which no browser shows. http://netpbm.sourceforge.net/doc/ppm.html"""
    fields = picture.split(maxsplit=4)
    if len(fields) < 5 or fields[0] != b"P6" or fields[3] != b"255":
        raise VirtError("The picture of the screen is in a format that is not known.")
    width, height = int(fields[1]), int(fields[2])
    pixels = picture[-width * height * 3 :]
    rows = b"".join(b"\0" + pixels[y * width * 3 : (y + 1) * width * 3] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 3)), (b"IEND", b""))
    )
