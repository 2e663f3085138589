"""Devices of a running guest."""

from __future__ import annotations

import pytest

from tests.virt.helpers import tiny_guest, unique, wait_for
from tests.virt.tiny_iso import tiny_iso
from virt import devices, domains, power, stats
from virt.device_xml import DiskSpec, NicSpec, disk_element, nic_element
from virt.domain_summary import parse_domain
from virt.domain_xml import DomainXML
from virt.errors import DefinitionRefused, Invalid, WrongState
from virt.xmltree import dump

pytestmark = pytest.mark.libvirt

MAC = "52:54:00:0b:0b:01"


@pytest.fixture
def isos(directory):
    paths = [directory / "one.iso", directory / "two & 二.iso"]
    for path in paths:
        path.write_bytes(tiny_iso())
    return [str(path) for path in paths]


@pytest.fixture
def uuid(define, isos):
    """A guest with a CD in its drive and a free slot for more."""
    cdrom = disk_element(DiskSpec(path=isos[0], device="cdrom", format="raw"), bus="sata", target="sda")
    return define(tiny_guest(unique(), cdrom))


def medium(conn, uuid, live):
    return parse_domain(domains.domain_xml(conn, uuid, live=live)).disks[0].source


def test_a_cd_is_changed_taken_out_and_put_in_now_and_for_later(conn, uuid, isos, virsh):
    devices.change_media(conn, uuid, "sda", isos[1])
    assert medium(conn, uuid, live=False) == isos[1]
    power.start(conn, uuid)
    for path in (isos[0], None, None, isos[1]):
        devices.change_media(conn, uuid, "sda", path)
        assert medium(conn, uuid, live=True) == medium(conn, uuid, live=False) == (path or "")
    assert isos[1] in virsh("domblklist", uuid)
    with pytest.raises(Invalid, match="no drive sdb"):
        devices.change_media(conn, uuid, "sdb", None)


def test_cards_and_disks_are_plugged_into_a_running_guest_and_changed(conn, uuid, directory):
    power.start(conn, uuid)
    disk = directory / "more.raw"
    disk.write_bytes(bytes(2**20))
    devices.attach_device(conn, uuid, dump(nic_element(NicSpec(mac=MAC), model="virtio")))
    element = disk_element(DiskSpec(path=str(disk), format="raw"), bus="usb", target="sdb")
    devices.attach_device(conn, uuid, dump(element))
    for live in (True, False):
        summary = parse_domain(domains.domain_xml(conn, uuid, live=live))
        assert [nic.mac for nic in summary.nics] == [MAC]
        assert "sdb" in [drive.target for drive in summary.disks]
    sample = stats.domain_stats(conn, uuids=[uuid])[0]
    assert "sdb" in [block.target for block in sample.blocks]
    document = DomainXML(domains.domain_xml(conn, uuid, live=True))
    document.set_link(MAC, up=False)
    devices.update_device(conn, uuid, document.nic_xml(MAC), live=True)
    assert not parse_domain(domains.domain_xml(conn, uuid, live=True)).nics[0].link_up
    devices.detach_device(conn, uuid, dump(element))
    assert wait_for(lambda: "sdb" not in domains.domain_xml(conn, uuid, live=True))
    assert "sdb" not in domains.domain_xml(conn, uuid)


def test_a_guest_that_is_off_is_changed_for_its_next_start(conn, uuid):
    nic = dump(nic_element(NicSpec(mac=MAC), model="virtio"))
    devices.attach_device(conn, uuid, nic)
    assert parse_domain(domains.domain_xml(conn, uuid)).nics[0].mac == MAC
    with pytest.raises(WrongState, match="is off"):
        devices.attach_device(conn, uuid, nic, live=True)
    devices.detach_device(conn, uuid, nic, live=False)
    assert parse_domain(domains.domain_xml(conn, uuid)).nics == ()


def test_what_is_no_device_is_refused(conn, uuid):
    for xml in ("<domain/>", "<vcpu>-1</vcpu>", "no xml"):
        with pytest.raises(Invalid):
            devices.attach_device(conn, uuid, xml)
    with pytest.raises(DefinitionRefused):
        devices.attach_device(conn, uuid, "<disk/>")


def test_a_sample_of_a_running_guest_grows(conn, uuid):
    assert stats.domain_stats(conn, uuids=[uuid], active_only=False)[0].cpu_time_ns is None
    assert stats.guest_addresses(conn, uuid) == []
    power.start(conn, uuid)
    first = stats.domain_stats(conn, uuids=[uuid])[0]
    assert first.memory_max_kib == 32 * 1024
    assert first.cpu_time_ns
    assert wait_for(lambda: (stats.domain_stats(conn, uuids=[uuid])[0].cpu_time_ns or 0) > (first.cpu_time_ns or 0))
    assert uuid in [sample.uuid for sample in stats.domain_stats(conn)]
    assert stats.domain_stats(conn, uuids=[]) == []
    assert stats.guest_addresses(conn, uuid) == []
