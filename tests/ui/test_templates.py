"""What holds for every template and script: nothing inline (the CSP forbids it), icons and static files that exist."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").rglob("*.js"))
ICONS = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text()))
INLINE = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.I),
    "a style element": re.compile(r"<style[\s>]", re.I),
    "a script without src": re.compile(r"<script(?![^>]*\ssrc=)[^>]*>", re.I),
    "an on… handler": re.compile(r"<[^>]*\s(on[a-z]+|hx-on[a-z:-]*)\s*=", re.I),
    "a javascript: address": re.compile(r"javascript:", re.I),
    "an address of another machine": re.compile(r"""(src|href)\s*=\s*["'](https?:)?//""", re.I),
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _source(path: Path) -> str:
    return re.sub(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", "", path.read_text(), flags=re.S)


@pytest.mark.parametrize("path", TEMPLATES, ids=_name)
def test_nothing_is_inline(path):
    source = _source(path)
    for what, pattern in INLINE.items():
        found = pattern.search(source)
        assert not found, f"{_name(path)} has {what}: {found[0][:80]}"


def test_icons_exist():
    for path in TEMPLATES:
        asked = set(re.findall(r'(?:\{% icon |shape=)"([^"]+)"', path.read_text()))
        assert asked <= ICONS, f"{_name(path)} asks for icons that are not in static/icons.svg: {asked - ICONS}"


def test_static_files_exist():
    for path in TEMPLATES:
        for name in re.findall(r'\{% static "([^"]+)" %\}', path.read_text()):
            if not name.startswith("vendor/"):
                assert (ROOT / "static" / name).exists(), f"{_name(path)} names {name}, which does not exist"


def test_users_read_sentences_without_exclamation_marks():
    for path in TEMPLATES:
        for words in re.findall(r'\{% translate "([^"]*)"', path.read_text()):
            assert "!" not in words, f"{_name(path)}: {words}"


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_scripts_make_no_code_from_text(path):
    assert not re.search(r"\beval\(|new Function\(|\.innerHTML\s*=|insertAdjacentHTML", path.read_text())


def test_sprite_is_well_formed_and_has_no_duplicates():
    text = (ROOT / "static" / "icons.svg").read_text()
    names = re.findall(r'<symbol id="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert text.count("<symbol") == text.count("</symbol>")


def test_pages_take_the_packages_of_the_lock_file_without_addresses():
    lock = (ROOT / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')
