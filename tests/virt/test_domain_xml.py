"""Changing one thing of a definition changes nothing else."""

from __future__ import annotations

import difflib

import pytest

from tests.virt.helpers import DATA
from virt.device_xml import DiskSpec, NicSpec
from virt.domain_summary import parse_domain
from virt.domain_xml import DomainXML
from virt.errors import Invalid, NotSupported

BUSY = (DATA / "busy-in.xml").read_text()
MAC = "52:54:00:aa:bb:cc"


@pytest.fixture
def document():
    return DomainXML(BUSY)


def changes(document):
    """Lines that differ, "-" for gone and "+" for new. The quotes of attributes mean nothing."""
    before, after = DomainXML(BUSY).to_xml().splitlines(), document.to_xml().splitlines()
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return [line[0] + line[1:].strip() for line in lines if line[0] in "+-" and line[:3] not in ("---", "+++")]


def test_reading_and_writing_changes_nothing(golden, document):
    golden(document.to_xml(), DATA / "busy-read.xml")
    assert document.to_xml() == DomainXML(document.to_xml()).to_xml()
    assert parse_domain(document.to_xml()) == parse_domain(BUSY)


def test_changing_memory_changes_nothing_else(golden, document):
    document.memory_mib = 2048
    golden(document.to_xml(), DATA / "busy-memory.xml")
    assert changes(document) == [
        '-<memory unit="KiB">1048576</memory>',
        '-<currentMemory unit="KiB">524288</currentMemory>',
        '+<memory unit="KiB">2097152</memory>',
        '+<currentMemory unit="KiB">2097152</currentMemory>',
    ]
    assert document.memory_mib == 2048


def test_vcpus_take_their_topology_and_the_list_of_each_along(golden, document):
    document.vcpus = 8
    golden(document.to_xml(), DATA / "busy-vcpus.xml")
    assert (document.vcpus, document.current_vcpus) == (8, 8)
    assert 'topology sockets="4" dies="1" cores="2" threads="1"' in document.to_xml()
    document.vcpus = 3
    assert 'topology sockets="1" dies="1" cores="3" threads="1"' in document.to_xml()


def test_names_and_texts_are_only_that(document):
    document.name = "a&b <c>"
    document.title = "x\ny"
    document.description = ""
    assert changes(document) == [
        "-<name>web-01</name>",
        "+<name>a&amp;b &lt;c&gt;</name>",
        "+<title>x y</title>",
        "-<description>first line",
        "-second line</description>",
    ]
    assert (document.name, document.title, document.description) == ("a&b <c>", "x y", "")
    document.title = ""
    assert "<title" not in document.to_xml()


def test_a_medium_is_changed_and_taken_out(golden, document):
    document.set_media("sda", "/data_kvm/iso/new & better.iso")
    assert changes(document) == [
        '-<source file="/data_kvm/iso/old.iso"/>',
        '+<source file="/data_kvm/iso/new &amp; better.iso"/>',
    ]
    document.set_media("sda", None)
    golden(document.to_xml(), DATA / "busy-ejected.xml")
    assert parse_domain(document.to_xml()).disks[1].source == ""
    with pytest.raises(Invalid, match="vda is a disk"):
        document.set_media("vda", None)
    with pytest.raises(Invalid, match="no drive sdq"):
        document.set_media("sdq", None)


def test_the_boot_order_is_by_device(golden, document):
    assert document.boot_order == ()
    document.boot_order = ("sda", MAC, "vda")
    golden(document.to_xml(), DATA / "busy-boot-order.xml")
    assert document.boot_order == ("sda", MAC, "vda")
    assert parse_domain(document.to_xml()).boot_devices == ()
    document.boot_order = ("vda",)
    assert document.boot_order == ("vda",)
    for wrong in (("vdz",), ("vda", "vda")):
        with pytest.raises(Invalid):
            document.boot_order = wrong


def test_devices_come_and_go(golden, document):
    assert document.add_disk(DiskSpec(path="/data_kvm/store/more.qcow2"), bus="virtio") == "vdb"
    assert document.add_disk(DiskSpec(path=None, device="cdrom"), bus="sata") == "sdb"
    assert document.add_nic(NicSpec(network="default", mac="52-54-00-00-00-09"), model="virtio") == "52:54:00:00:00:09"
    golden(document.to_xml(), DATA / "busy-more-devices.xml")
    assert document.disk_targets == ("vda", "sda", "vdb", "sdb")
    with pytest.raises(Invalid, match="already"):
        document.add_nic(NicSpec(network="default", mac=MAC), model="virtio")
    document.remove_disk("vdb")
    document.remove_disk("sdb")
    document.remove_nic("52:54:00:00:00:09")
    assert changes(document) == []


def test_a_cable_is_pulled_and_plugged(document):
    document.set_link(MAC, up=False)
    assert parse_domain(document.to_xml()).nics[0].link_up is False
    assert "<unknown-to-us" in document.nic_xml(MAC)
    document.set_link(MAC, up=True)
    assert parse_domain(document.to_xml()).nics[0].link_up is True


def test_a_display_without_a_port(document):
    document.set_vnc()
    display = parse_domain(document.to_xml()).graphics[0]
    assert (display.listen, display.port, display.has_password) == ("none", None, True)
    assert 'keymap="de"' in document.to_xml()
    document.set_vnc(listen="address", address="127.0.0.1")
    assert parse_domain(document.to_xml()).graphics[0].listen == "address"


def test_a_guest_divided_among_numa_cells_is_left_alone():
    numa = DomainXML(BUSY.replace("</cpu>", "<numa><cell id='0' cpus='0-3' memory='1' unit='GiB'/></numa></cpu>"))
    with pytest.raises(NotSupported):
        numa.memory_mib = 512
    with pytest.raises(NotSupported):
        numa.vcpus = 2


def test_bounds_hold_here_too(document):
    for attribute, value in (("memory_mib", 0), ("vcpus", -1), ("name", ".."), ("uuid", "x"), ("title", "\x07")):
        with pytest.raises(Invalid):
            setattr(document, attribute, value)
    assert changes(document) == []


def test_the_summary_reads_what_a_page_shows():
    summary = parse_domain(BUSY)
    assert (summary.memory_mib, summary.vcpus, summary.max_vcpus) == (1024, 2, 4)
    assert (summary.firmware, summary.domain_type, summary.cpu_mode) == ("uefi", "kvm", "host-passthrough")
    assert [(d.target, d.source, d.device, d.readonly) for d in summary.disks] == [
        ("vda", "/data_kvm/store/web-01-vda.qcow2", "disk", False),
        ("sda", "/data_kvm/iso/old.iso", "cdrom", True),
    ]
    assert [(n.kind, n.source, n.mac, n.link_up) for n in summary.nics] == [("bridge", "br0", MAC, True)]
    assert summary.graphics[0].port == 5901
    assert summary.boot_devices == ("hd", "network")
    assert summary.osinfo_id == "http://debian.org/debian/12"
    assert summary.description == "first line\nsecond line"
