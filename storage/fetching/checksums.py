"""Checksums as vendors publish them: one number, or a list with a line for each file."""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext as _

from virt.errors import Invalid

from .errors import FetchFailed

_ALGORITHMS = {64: "sha256", 96: "sha384", 128: "sha512"}
_GNU = re.compile(r"^\\?([0-9a-fA-F]{64,128}) [ *](.+)$")
_BSD = re.compile(r"^(?:SHA256|SHA384|SHA512) \((.+)\) = ([0-9a-fA-F]{64,128})$")


class Wanted(NamedTuple):
    """`algorithm` as hashlib names it, `digest` in lower-case hexadecimal."""

    algorithm: str
    digest: str


def parse_checksum(text: str, *, field: str = "checksum") -> Wanted | None:
    """A number that somebody gave, or None for "". Raises Invalid for what is no SHA-256, SHA-384 or SHA-512."""
    digest = text.strip().lower().removeprefix("sha256:").removeprefix("sha512:")
    if not digest:
        return None
    if len(digest) not in _ALGORITHMS or not re.fullmatch("[0-9a-f]+", digest):
        sentence = _("A checksum is a SHA-256 (64 hexadecimal digits) or a SHA-512 (128). Others prove nothing today.")
        raise Invalid(sentence, field=field)
    return Wanted(_ALGORITHMS[len(digest)], digest)


def parse_list(text: str) -> dict[str, Wanted]:
    """The checksums of a list (sha256sum's or BSD's format) by file name, without folders before it."""
    found: dict[str, Wanted] = {}
    for line in text.splitlines():
        if match := _GNU.match(line.strip()):
            digest, name = match[1], match[2]
        elif match := _BSD.match(line.strip()):
            name, digest = match[1], match[2]
        else:
            continue
        if len(digest) in _ALGORITHMS:
            found[name.strip().rpartition("/")[2]] = Wanted(_ALGORITHMS[len(digest)], digest.lower())
    return found


def from_list(text: str, url: str) -> Wanted:
    """What a published list says of the file at `url`. A list of just one number is that. Raises FetchFailed."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    found = parse_list(text)
    if name in found:
        return found[name]
    if re.fullmatch(r"\s*([0-9a-fA-F]{64}|[0-9a-fA-F]{128})\s*", text) and (only := parse_checksum(text)):
        return only
    sentence = _("The list of checksums has no line for %(name)s, so nobody can say whether the file is right.")
    raise FetchFailed(sentence % {"name": name}, field="checksum_url")
