"""The systems that a new guest can be made for."""

import re
from functools import lru_cache

from django.utils.translation import gettext as _

from hosts.models import Host
from virt import osinfo
from virt.errors import Invalid
from virt.types import OsChoice, OsTraits

from .models import Guest

FAMILIES = ("linux", "windows", "bsd", "other")


@lru_cache(maxsize=1)
def choices() -> tuple[OsChoice, ...]:
    """All systems of a picker. Read once: the database of systems changes with packages only."""
    return tuple(osinfo.list_os())


def groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """The choices as (heading, [(id, name)]), those past their end of life below a heading of their own."""
    headings = {
        "linux": _("Linux"),
        "windows": _("Windows"),
        "bsd": _("BSD"),
        "other": _("Others"),
        "eol": _("Past their end of life"),
    }
    made: dict[str, list[tuple[str, str]]] = {key: [] for key in headings}
    for choice in choices():
        made["eol" if choice.eol else choice.family].append((choice.id, choice.name))
    return [(headings[key], found) for key, found in made.items() if found]


@lru_cache(maxsize=1)
def _by_name() -> dict[str, str]:
    return {known: choice.id for choice in choices() for known in (choice.short_id, choice.id) if known}


def find_os(name: str) -> OsTraits:
    """The system of that id or short id; empty for one that nobody knows. Raises Invalid (field "os")."""
    if not name:
        return osinfo.traits(osinfo.UNKNOWN)
    if name == osinfo.UNKNOWN:
        return osinfo.traits(name)
    os_id = _by_name().get(name)
    if os_id is None:
        raise Invalid(
            _("The system “%(name)s” is not known. Take one of the list, or leave it empty.") % {"name": name[:80]},
            field="os",
        )
    return osinfo.traits(os_id)


def suggested_name(os: OsTraits, host: Host) -> str:
    """A free name for a guest of that system: debian13-01."""
    stem = re.sub(r"[^a-z0-9.-]+", "-", os.short_id.lower()).strip("-") if os.name else "guest"
    taken = set(
        Guest.objects.filter(host=host, name__startswith=f"{stem}-", missing_since=None).values_list("name", flat=True)
    )
    return next(name for number in range(1, len(taken) + 2) if (name := f"{stem}-{number:02}") not in taken)
