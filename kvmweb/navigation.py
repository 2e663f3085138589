"""The sections of the side navigation."""

from typing import NamedTuple

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Entry(NamedTuple):
    """`counted` names the number beside it in `nav_counts`; `key` is the letter that goes there after G."""

    view: str
    label: str | Promise
    icon: str
    counted: str = ""
    key: str = ""
    for_administrators: bool = False


SECTIONS: tuple[tuple[str | Promise, tuple[Entry, ...]], ...] = (
    ("", (Entry("overview", _("Overview"), "home", key="o"),)),
    (
        _("Compute"),
        (
            Entry("guests:list", _("Guests"), "guest", "guests", "g"),
            Entry("hosts:list", _("Hosts"), "host", "hosts", "h"),
            Entry("usage:top", _("Usage"), "chart", key="u"),
        ),
    ),
    (
        _("Storage"),
        (
            Entry("storage:isos", _("ISO library"), "disc", "isos", "i"),
            Entry("storage:pools", _("Pools"), "pool", "pools", "p"),
            Entry("storage:volumes", _("Volumes"), "volume", "volumes", "v"),
        ),
    ),
    (
        _("Network"),
        (
            Entry("networking:bridges", _("Bridges"), "bridge", "bridges", "b"),
            Entry("networking:networks", _("Virtual networks"), "network", "networks", "n"),
        ),
    ),
    (
        _("Activity"),
        (
            Entry("jobs:list", _("Jobs"), "jobs", "jobs_active"),
            Entry("accounts:audit", _("Audit log"), "audit", for_administrators=True),
        ),
    ),
    (
        _("Settings"),
        (
            Entry("accounts:users", _("Users"), "users", for_administrators=True),
            Entry("accounts:tokens", _("API tokens"), "key"),
        ),
    ),
)


class Link(NamedTuple):
    """An entry for one request: where it goes, and whether the page shown is it or below it."""

    entry: Entry
    url: str
    is_current: bool


class Section(NamedTuple):
    """A heading (may be empty) and its links."""

    label: str | Promise
    links: list[Link]


def sections(path: str, *, is_administrator: bool) -> list[Section]:
    """The side navigation of the page at `path`."""
    made = []
    for label, entries in SECTIONS:
        shown = [entry for entry in entries if is_administrator or not entry.for_administrators]
        links = [
            Link(entry, url, path == url if url == "/" else path.startswith(url)) for entry, url in _addressed(shown)
        ]
        if links:
            made.append(Section(label, links))
    return made


def _addressed(entries: list[Entry]) -> list[tuple[Entry, str]]:
    return [(entry, reverse(entry.view)) for entry in entries]
