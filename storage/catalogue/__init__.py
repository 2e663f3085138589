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
from urllib.parse import urljoin

from django.utils import timezone
from django.utils.translation import gettext as _

from storage.fetching.checksums import Wanted, parse_list
from storage.fetching.download import fetch_text
from storage.fetching.errors import FetchFailed
from storage.models import Release
from virt.errors import Invalid

DATA = Path(__file__).with_name("images.json")


class Entry(NamedTuple):
    """One line of the catalogue. `kind` as in Iso.Kind; either `list` with `pattern`, or `url`."""

    key: str
    name: str
    os_id: str
    arch: str
    kind: str
    list: str = ""
    pattern: str = ""
    url: str = ""


class Current(NamedTuple):
    """What an entry leads to today."""

    url: str
    wanted: Wanted | None


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
    """Ask the vendor what is current, and remember it. Raises FetchFailed and what a download raises."""
    if entry.url:
        return Current(entry.url, None)
    published = parse_list(fetch_text(entry.list, check))
    names = sorted((name for name in published if re.fullmatch(entry.pattern, name)), key=_by_numbers)
    if not names:
        sentence = _("The vendor's list at %(url)s has no file for %(name)s any more. The catalogue needs an update.")
        raise FetchFailed(sentence % {"url": entry.list, "name": entry.name})
    found = Current(urljoin(entry.list, names[-1]), published[names[-1]])
    Release.objects.update_or_create(
        key=entry.key,
        defaults={"url": found.url, "checksum": published[names[-1]].digest, "read_at": timezone.now()},
    )
    return found


def _by_numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
