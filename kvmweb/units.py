"""Numbers as people read them: binary sizes, rates, spans of time. Unknown is a dash, never 0."""

from datetime import timedelta

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

UNKNOWN = "—"
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_BIT_RATES = ("bit/s", "kbit/s", "Mbit/s", "Gbit/s")


def _short(value: float) -> str:
    """At most three figures that matter: 1.5, 12.4, 784; a trailing .0 is left out."""
    decimals = 0 if value >= 100 or value == int(value) else 1
    text = number_format(round(value, decimals), decimals, force_grouping=True)
    return text.removesuffix(number_format(0.0, 1)[1:]) if decimals else text


def _scaled(value: float, step: int, units: tuple[str, ...]) -> str:
    index = 0
    # 999.5 and more would be shown as 1000 (or 1,024) of the smaller unit
    while index < len(units) - 1 and round(value, 0 if value >= 100 else 1) >= step:
        value /= step
        index += 1
    return f"{_short(value)} {units[index]}"


def size(size_bytes: int | float | None) -> str:
    """Bytes as "1.5 GiB". Sizes are binary everywhere in kvmweb."""
    return UNKNOWN if size_bytes is None else _scaled(float(size_bytes), 1024, _SIZES)


def size_of(used_bytes: float | None, whole_bytes: float | None) -> str:
    """A part of a whole, both in the unit of the whole: "4.9 / 15.6 GiB"; only the whole where the part is unknown."""
    if not whole_bytes or used_bytes is None:
        return size(whole_bytes or used_bytes)
    whole = size(whole_bytes)
    scale = 1024 ** _SIZES.index(whole.rpartition(" ")[2])
    return f"{_short(used_bytes / scale)} / {whole}"


def byte_rate(bytes_per_s: int | float | None) -> str:
    """Bytes a second as "1.9 MiB/s"."""
    return UNKNOWN if bytes_per_s is None else f"{size(bytes_per_s)}/s"


def bit_rate(bytes_per_s: int | float | None) -> str:
    """Bytes a second as "2.4 Mbit/s": networks are counted in decimal bits."""
    return UNKNOWN if bytes_per_s is None else _scaled(float(bytes_per_s) * 8, 1000, _BIT_RATES)


def quantity(value: float | None, unit: str) -> str:
    """A figure of a graph (history.graphs): "3.4 %" below ten, "12.5 /s", sizes and rates as above."""
    if value is None:
        return UNKNOWN
    match unit:
        case "percent":
            return f"{_short(value) if value < 10 else round(value)} %"
        case "bytes":
            return size(value)
        case "byte_rate":
            return byte_rate(value)
        case "bit_rate":
            return bit_rate(value)
        case "per_s":
            return f"{_short(value)} /s"
    return _short(value)


def count(number: int | None) -> str:
    """A whole number with its thousands set apart."""
    return UNKNOWN if number is None else str(number_format(number, force_grouping=True))


def span(length: timedelta | float | None) -> str:
    """A span of time (timedelta or seconds) in its largest unit: "4.2 s", "12 min", "6 h", "88 d"."""
    if length is None:
        return UNKNOWN
    seconds = max(0.0, length.total_seconds() if isinstance(length, timedelta) else float(length))
    if seconds < 10 and seconds != int(seconds):
        return _("%(number)s s") % {"number": number_format(seconds, 1)}
    if seconds < 60:
        return _("%(number)s s") % {"number": int(seconds)}
    if seconds < 3600:
        return _("%(number)s min") % {"number": int(seconds // 60)}
    if seconds < 86400:
        return _("%(number)s h") % {"number": int(seconds // 3600)}
    days = int(seconds // 86400)
    return ngettext("%(number)s d", "%(number)s d", days) % {"number": count(days)}


def ago(length: timedelta | float) -> str:
    """How long ago: "now" below five seconds, then "12 s ago", "3 min ago"."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    return _("now") if seconds < 5 else _("%(span)s ago") % {"span": span(int(seconds))}
