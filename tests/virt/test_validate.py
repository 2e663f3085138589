"""What may reach libvirt."""

from __future__ import annotations

import unicodedata
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virt import validate
from virt.errors import Invalid
from virt.xmltree import E, dump, parse


@given(st.text(max_size=300))
def test_a_name_that_passes_is_a_file_name_and_an_xml_text(value):
    try:
        name = validate.guest_name(value)
    except Invalid:
        return
    assert name == value.strip()
    assert 0 < len(name.encode()) <= 200
    assert "/" not in name
    assert not name.startswith((".", "-"))
    assert all(unicodedata.category(character)[0] != "C" for character in name)
    assert parse(dump(E.name(name))).text == name


@given(st.text(max_size=300))
def test_a_volume_name_that_passes_is_a_guest_name_without_trouble(value):
    try:
        name = validate.volume_name(value)
    except Invalid:
        return
    assert not set(name) & set('"<>|*?\\:/')
    assert len(name.encode()) <= 255


@pytest.mark.parametrize(
    "name",
    ["web-01", "a&b", "a<b>", 'a"b', "a'b", "中文虚拟机", "a b", "web.01", "_x", "#1", "x" * 200, "中" * 66, "é", "😀"],
)
def test_names_that_libvirt_takes_are_taken(name):
    assert validate.guest_name(f" {name} ") == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "\n", "a\nb", "a\tb", "a/b", "/", ".", "..", ".a", "-a", "a\0b", "a\x7fb", "x" * 201, "中" * 67,
     "x" * 300, "a\u202eb", "a\u200bb", "\ud800", "a\u2028b", "\ufffe"],
)  # fmt: skip
def test_names_that_make_trouble_are_refused(name):
    with pytest.raises(Invalid) as refused:
        validate.guest_name(name, field="new_name")
    assert refused.value.field == "new_name"
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("name", ["a:b", "a?b", "a*", "a|b", "a\\b", 'a"b', "a<b", "a.", "x" * 256, "../x"])
def test_file_names_are_stricter(name):
    with pytest.raises(Invalid):
        validate.volume_name(name)
    assert validate.volume_name("debian 12 & 中文.iso") == "debian 12 & 中文.iso"


@given(st.integers())
def test_counts_are_bounded(value):
    for check, low, high in (
        (lambda v: validate.vcpus(v, host_max=8), 1, 8),
        (validate.vcpus, 1, 710),
        (lambda v: validate.memory_mib(v, host_mib=4096), 16, 4096),
        (lambda v: validate.disk_bytes(v, available_bytes=2**30), 2**20, 2**30),
    ):
        if low <= value <= high:
            assert check(value) == value
        else:
            with pytest.raises(Invalid):
                check(value)


@pytest.mark.parametrize("value", ["52:54:00:12:34:56", "52-54-00-AB-CD-EF", " 0a:00:00:00:00:01 "])
def test_addresses_of_cards_are_written_one_way(value):
    assert validate.mac(value) == value.strip().lower().replace("-", ":")


@pytest.mark.parametrize(
    "value", ["", "52:54:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "52:54:00:12:34:５6"]
)
def test_addresses_that_no_card_can_have_are_refused(value):
    with pytest.raises(Invalid):
        validate.mac(value)


def test_uuids_are_written_libvirts_way():
    made = uuid4()
    assert validate.uuid(made) == validate.uuid(str(made).upper()) == str(made)
    with pytest.raises(Invalid):
        validate.uuid("not one")


@pytest.mark.parametrize("path", ["/data_kvm/iso", "/a/", "/中 文/x.iso"])
def test_full_paths_pass(path):
    assert validate.absolute_path(path) == path.rstrip("/")


@pytest.mark.parametrize("path", ["", "a", "./a", "/a/../b", "/a//b", "/a/./b", "/a\nb", "/a\0", "//a"])
def test_other_paths_do_not(path):
    with pytest.raises(Invalid):
        validate.absolute_path(path)


@pytest.mark.parametrize("name", ["default", "iso", "lab-net_2", "a.b"])
def test_pools_and_networks_have_plain_names(name):
    assert validate.pool_name(name) == validate.network_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a b", "中", "a/b", "x" * 65, "a\n"])
def test_pools_and_networks_have_no_other_names(name):
    for check in (validate.pool_name, validate.network_name):
        if name.strip() != "a":
            with pytest.raises(Invalid):
                check(name)


@pytest.mark.parametrize("name", ["br0", "virbr0", "ens33.42", "a" * 15])
def test_device_names(name):
    assert validate.device_name(name) == name
    with pytest.raises(Invalid):
        validate.device_name(name + "/" + "x" * 15)
