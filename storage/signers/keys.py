"""OpenPGP public keys as they are pasted: unpacked, split, and their fingerprints computed.

Signatures are gpgv's to verify. https://www.rfc-editor.org/rfc/rfc4880
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from django.utils.translation import gettext as _

from virt.errors import Invalid

MOST_CHARACTERS = 1024 * 1024
MOST_KEYS = 20
_BLOCK = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_SECRET, _PUBLIC, _NAME = 5, 6, 13


class Key(NamedTuple):
    """A primary key with all that belongs to it. `fingerprint` in upper-case hexadecimal."""

    fingerprint: str
    name: str
    data: bytes


def parse_keys(text: str, *, field: str = "key") -> list[Key]:
    """The keys in what somebody pasted. Raises Invalid for what is none, too much, or a private key."""
    if len(text) > MOST_CHARACTERS:
        raise Invalid(_("This is too long for a key."), field=field)
    if "PRIVATE KEY BLOCK" in text:
        raise Invalid(_("This is a private key. Give it to nobody; paste the public one."), field=field)
    found: list[Key] = []
    for block in _BLOCK.findall(text):
        found += _split(_unarmored(block, field), field)
    if not found or len(found) > MOST_KEYS:
        sentence = _("Paste a public key: from “-----BEGIN PGP PUBLIC KEY BLOCK-----” to the line that ends it.")
        raise Invalid(sentence, field=field)
    return found


def _unarmored(block: str, field: str) -> bytes:
    body = block.replace("\r", "").split("\n\n", 1)[-1]  # after the armour's own headers
    lines = [line.strip() for line in body.splitlines() if not line.startswith("=")]  # without its checksum
    try:
        return base64.b64decode("".join(lines), validate=True)
    except (binascii.Error, ValueError):
        raise _broken(field) from None


def _split(data: bytes, field: str) -> list[Key]:
    keys: list[list[tuple[int, bytes, bytes]]] = []
    for tag, body, whole in _packets(data, field):
        if tag == _SECRET:
            raise Invalid(_("This is a private key. Give it to nobody; paste the public one."), field=field)
        if tag == _PUBLIC:
            keys.append([])
        if not keys:
            raise _broken(field)
        keys[-1].append((tag, body, whole))
    return [_key(packets, field) for packets in keys]


def _key(packets: list[tuple[int, bytes, bytes]], field: str) -> Key:
    public = packets[0][1]
    if public[:1] != b"\x04" or len(public) > 0xFFFF:
        raise Invalid(_("Only keys of OpenPGP version 4 are known here."), field=field)
    digest = hashlib.sha1(b"\x99" + len(public).to_bytes(2, "big") + public, usedforsecurity=False)
    names = [body.decode("utf-8", "replace") for tag, body, _whole in packets if tag == _NAME]
    name = "".join(c for c in (names[0] if names else "") if c.isprintable())[:200]
    return Key(digest.hexdigest().upper(), name, b"".join(whole for _tag, _body, whole in packets))


def _packets(data: bytes, field: str) -> Iterator[tuple[int, bytes, bytes]]:
    """(tag, content, packet) of each packet."""
    at = 0
    while at < len(data):
        first, start = data[at], at
        at += 1
        if not first & 0x80:
            raise _broken(field)
        if first & 0x40:
            tag, (length, taken) = first & 0x3F, _new_length(data[at : at + 5], field)
        else:
            tag, taken = first >> 2 & 0x0F, (1, 2, 4, 0)[first & 3]
            length = int.from_bytes(data[at : at + taken], "big") if taken else len(data) - at
        at += taken + length
        if at > len(data):
            raise _broken(field)
        yield tag, data[at - length : at], data[start:at]


def _new_length(data: bytes, field: str) -> tuple[int, int]:
    if data and data[0] < 192:
        return data[0], 1
    if len(data) > 1 and data[0] < 224:
        return (data[0] - 192 << 8) + data[1] + 192, 2
    if len(data) == 5 and data[0] == 255:
        return int.from_bytes(data[1:], "big"), 5
    raise _broken(field)


def _broken(field: str) -> Invalid:
    return Invalid(_("The key is damaged or cut off. Copy all of it, from its first line to its last."), field=field)
