"""Well-known installers and cloud images: images.json names the vendors' lists of checksums, which say what is current.

A list (`list`) and a pattern for the file's name find both the address and the checksum of the newest release, so the
data need no change when a vendor publishes the next one. Entries with just a `url` have no published checksum.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from django.utils import timezone
from django.utils.translation import gettext as _

from storage.fetching.checksums import Wanted, parse_list
from storage.fetching.errors import FetchFailed
from storage.models import Release
from storage.signers.models import SignerKey
from storage.signers.verify import read_list
from virt.errors import Invalid

DATA = Path(__file__).with_name("images.json")


class Entry(NamedTuple):
    """One line of the catalogue. `kind` as in Iso.Kind; either `list` with `pattern`, or `url`.

    `signer` is the fingerprint of the key that signs the list: verified where an administrator has added that key.
    """

    key: str
    name: str
    os_id: str
    arch: str
    kind: str
    list: str = ""
    pattern: str = ""
    url: str = ""
    signer: str = ""


class Current(NamedTuple):
    """What an entry leads to today. `signed_by`: the key that has signed the list; "" where it was not verified."""

    url: str
    wanted: Wanted | None
    signed_by: str = ""


@cache
def entries() -> tuple[Entry, ...]:
    """All of them, in the order of the file."""
    return tuple(Entry(**line) for line in json.loads(DATA.read_text()))


def find(key: str) -> Entry:
    """The entry of that key. Raises Invalid (field "entry")."""
    found = next((entry for entry in entries() if entry.key == key), None)
    if found is None:
        raise Invalid(_("The catalogue has no entry %(key)s.") % {"key": key[:64]}, field="entry")
    return found


def current(entry: Entry, check: Callable[[], None] = lambda: None) -> Current:
    """Ask the vendor what is current, and remember it. Raises SignatureWrong, FetchFailed and what a download does."""
    if entry.url:
        return Current(entry.url, None)
    signer = SignerKey.objects.filter(fingerprint=entry.signer).first() if entry.signer else None
    text, signed_by = read_list(entry.list, signer, check)
    published = parse_list(text)
    names = sorted((name for name in published if re.fullmatch(entry.pattern, name)), key=_by_numbers)
    if not names:
        sentence = _("The vendor's list at %(url)s has no file for %(name)s any more. The catalogue needs an update.")
        raise FetchFailed(sentence % {"url": entry.list, "name": entry.name})
    found = Current(urljoin(entry.list, names[-1]), published[names[-1]], signed_by)
    Release.objects.update_or_create(
        key=entry.key,
        defaults={"url": found.url, "checksum": published[names[-1]].digest, "read_at": timezone.now()},
    )
    return found


def is_older(entry: Entry, url: str, *, than: str) -> bool:
    """Whether the file at `url` is an older release than the one at `than`, by the numbers in their names."""
    names = [unquote(urlsplit(each).path).rpartition("/")[2] for each in (url, than)]
    if not all(re.fullmatch(entry.pattern, name) for name in names):  # `than` may be what a redirect led to
        return False
    return _by_numbers(names[0]) < _by_numbers(names[1])


def _by_numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
