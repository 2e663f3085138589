"""Text (4.5) and shapes (3, by WCAG 2.2) are readable on every surface that they meet, in both themes."""

import re
from pathlib import Path

import pytest
from django.conf import settings

TOKENS = (Path(settings.BASE_DIR) / "static" / "css" / "tokens.css").read_text()
SURFACES = ("bg", "side", "surface", "raised", "hover", "selected")


def palette(theme: str) -> dict[str, str]:
    block = re.search(rf'\[data-bs-theme="{theme}"\] \{{(.*?)\n\}}', TOKENS, re.S)
    assert block
    return {name: _long(value) for name, value in re.findall(r"--kw-([\w-]+): (#[0-9a-f]{3,6});", block[1])}


def _long(value: str) -> str:
    return value if len(value) == 7 else "#" + "".join(2 * digit for digit in value[1:])


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable(theme):
    colours = palette(theme)
    for ink in ("text", "muted", "accent", "bad"):
        for surface in SURFACES:
            assert contrast(colours[ink], colours[surface]) >= 4.5, f"{theme}: {ink} on {surface}"
    for ink in ("run", "pause", "bad", "lost"):
        assert contrast(colours[ink], colours[f"{ink}-soft"]) >= 4.5, f"{theme}: {ink} on its soft fill"
    assert contrast(colours["muted"], colours["off-soft"]) >= 4.5
    assert contrast(colours["accent"], colours["accent-soft"]) >= 4.5
    assert contrast("#ffffff", colours["accent-fill"]) >= 4.5
    assert contrast(colours["add-ink"], colours["add"]) >= 4.5
    assert contrast(colours["del-ink"], colours["del"]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_shapes_and_borders_of_fields_are_visible(theme):
    colours = palette(theme)
    for ink in ("run", "off", "pause", "bad", "lost", "busy", "field"):
        for surface in ("surface", "raised", "hover", "selected"):
            assert contrast(colours[ink], colours[surface]) >= 3, f"{theme}: {ink} on {surface}"
