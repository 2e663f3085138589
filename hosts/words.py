"""Sizes and spans of time inside of sentences. Pages have filters for theirs; the room of those is above this one."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(size_bytes: float) -> str:
    """1536 is "1.5 KiB"."""
    unit = 0
    while size_bytes >= 1024 and unit < len(_SIZES) - 1:
        size_bytes /= 1024
        unit += 1
    return f"{_short(size_bytes)} {_SIZES[unit]}"


def speed(mbit: int) -> str:
    """Of an interface: 10000 is "10 Gbit/s"."""
    return f"{_short(mbit / 1000)} Gbit/s" if mbit >= 1000 else f"{mbit} Mbit/s"


def span(seconds: float) -> str:
    """Roughly how long: "3 days", "5 h", "12 min", "8.5 s"."""
    if seconds >= 2 * 86400:
        return _("%(days)s days") % {"days": number_format(round(seconds / 86400), 0)}
    if seconds >= 2 * 3600:
        return f"{number_format(round(seconds / 3600), 0)} h"
    if seconds >= 120:
        return f"{number_format(round(seconds / 60), 0)} min"
    return f"{_short(seconds)} s"


def _short(value: float) -> str:
    decimals = 0 if value >= 100 or value == int(value) else 1
    return number_format(round(value, decimals), decimals)  # which does not round by itself
