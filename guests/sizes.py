"""Sizes as people type them: "2 GiB", "512 MiB", "8g", "1.5"."""

import re

from django.utils.translation import gettext as _

from virt.errors import Invalid

MIB = 1024**2
_SIZE = re.compile(r"(?P<number>\d{1,12}(?:[.,]\d{1,6})?)\s*(?P<unit>[kmgtp]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_LONG = {"MiB": "m", "GiB": "g"}


def parse_bytes(text: str, *, unit: str = "GiB", field: str | None = None) -> int:
    """The bytes that `text` means; a bare number counts in `unit`. Units are binary. Raises Invalid."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise Invalid(
            _("“%(text)s” is not a size. Write it like 20 GiB or 512 MiB.") % {"text": text[:40]}, field=field
        )
    factor = _UNITS[(match["unit"] or _LONG[unit]).lower()]
    return round(float(match["number"].replace(",", ".")) * factor)


def parse_mib(text: str, *, unit: str = "GiB", field: str | None = None) -> int:
    """The same in whole MiB, rounded down."""
    return parse_bytes(text, unit=unit, field=field) // MIB


def show_mib(mib: int) -> str:
    """2048 → "2 GiB", as it is typed: nothing is lost."""
    if mib and mib % (1024 * 1024) == 0:
        return f"{mib // (1024 * 1024)} TiB"
    if mib and mib % 1024 == 0:
        return f"{mib // 1024} GiB"
    return f"{mib} MiB"
