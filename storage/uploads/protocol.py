"""The headers of tus 1.0.0 and its extensions, parsed. https://tus.io/protocols/resumable-upload"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from .errors import BadRequest, TooMuch, WrongVersion

if TYPE_CHECKING:
    from hashlib import _Hash

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination,checksum"
CHECKSUM_ALGORITHMS = ("sha256", "sha1")
CONTENT_TYPE = "application/offset+octet-stream"
MAX_SIZE_BYTES = 1 << 60
MAX_METADATA_LENGTH = 8192


class Headers:
    """The headers of a request by lower-case name."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values = {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in raw}

    def get(self, name: str) -> str:
        """The value, or "" when the header is not there."""
        return self._values.get(name, "")

    def number(self, name: str) -> int:
        """A whole number that is not negative. Raises BadRequest."""
        text = self.get(name)
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise BadRequest(_("The header %(name)s has to be a whole number of bytes.") % {"name": name.title()})
        return int(text)

    @property
    def content_length(self) -> int | None:
        """How long the body will be, or None when it comes in chunks."""
        return self.number("content-length") if self.get("content-length") else None

    def check_version(self) -> None:
        """Raise WrongVersion unless the client speaks our version of tus."""
        if self.get("tus-resumable") != VERSION:
            raise WrongVersion(_("This server speaks tus 1.0.0. Send the header “Tus-Resumable: 1.0.0”."))

    def upload_length(self) -> int:
        """The size of the file to come, in bytes. Raises BadRequest or TooMuch."""
        if self.get("upload-defer-length"):
            raise BadRequest(_("The size has to be known at the start: send Upload-Length."))
        size = self.number("upload-length")
        if size > MAX_SIZE_BYTES:
            raise TooMuch(_("No pool holds a file of that size."))
        return size

    def metadata(self) -> dict[str, str]:
        """Upload-Metadata as a dictionary. Raises BadRequest when it is not pairs of a key and base64."""
        header = self.get("upload-metadata")
        if len(header) > MAX_METADATA_LENGTH:
            raise BadRequest(_("Upload-Metadata is too long."))
        found = {}
        for pair in filter(None, map(str.strip, header.split(","))):
            key, _space, value = pair.partition(" ")
            try:
                found[key] = base64.b64decode(value.strip(), validate=True).decode()
            except (binascii.Error, ValueError):
                message = _("The value of “%(key)s” in Upload-Metadata is not UTF-8 text in base64.")
                raise BadRequest(message % {"key": key[:40]}) from None
        return found

    def checksum(self) -> "Checksum | None":
        """Upload-Checksum, or None. Raises BadRequest for an algorithm that we lack."""
        header = self.get("upload-checksum")
        if not header:
            return None
        algorithm, _space, value = header.partition(" ")
        try:
            wanted = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError):
            wanted = b""
        if algorithm not in CHECKSUM_ALGORITHMS or len(wanted) != hashlib.new(algorithm).digest_size:
            message = _("Upload-Checksum is one of %(names)s and the checksum in base64.")
            raise BadRequest(message % {"names": ", ".join(CHECKSUM_ALGORITHMS)})
        return Checksum(algorithm, wanted)


class Checksum:
    """The checksum that the body of one request should have."""

    def __init__(self, algorithm: str, wanted: bytes) -> None:
        self.digest: _Hash = hashlib.new(algorithm, usedforsecurity=False)
        self._wanted = wanted

    def matches(self) -> bool:
        return self.digest.digest() == self._wanted


def metadata_header(values: dict[str, str]) -> str:
    """Upload-Metadata out of a dictionary."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
