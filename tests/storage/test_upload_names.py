"""Which names a file may have."""

import pytest

from storage.names import is_part_file, validate_file_name
from virt.errors import Invalid

FINE = [
    "debian-12.iso",
    "Windows Server 2022 (x64).iso",
    "安装光盘.iso",
    'it\'s "quoted" & <angled>.iso',
    "x" * 251 + ".iso",
    "é.iso",
    "a..iso",
    "C:\\fakepath\\a.iso",
]
BAD = [
    "",
    "   ",
    ".",
    "..",
    ".hidden",
    "-rf",
    "a/b.iso",
    "/etc/passwd",
    "../x.iso",
    "a\nb.iso",
    "a\0b.iso",
    "a\x7fb",
    "a\u0085b",
    "a\u2028b",
    "gnp.\u202eosi",
    "a\uffff.iso",
    "a\ufffe.iso",
    "\ud800",
    "x" * 256,
    "盘" * 86,
]


@pytest.mark.parametrize("name", FINE)
def test_names_in_any_script_are_fine(name):
    assert validate_file_name(f"  {name} ") == name


@pytest.mark.parametrize("name", BAD)
def test_names_that_would_do_harm_are_refused_with_a_sentence(name):
    with pytest.raises(Invalid) as caught:
        validate_file_name(name)
    assert (caught.value.field, caught.value.status) == ("name", 422)
    assert str(caught.value).endswith(".")


def test_two_spellings_of_one_letter_are_one_name():
    assert validate_file_name("e\u0301.iso") == "\u00e9.iso"


def test_parts_are_told_from_files():
    assert is_part_file(".kvmweb-0b0e4c0e-93a5-4b8e-8a3a-0a6a4a3e2d11.part")
    assert not is_part_file("kvmweb.part")
