"""Devices of a host: those of this machine, and documents of machines that have more."""

from __future__ import annotations

import re

import pytest

from tests.virt.helpers import DATA
from virt import nodedev
from virt.connection import connect
from virt.types import DiskDetails, NetDetails, NodeDevice, PciDetails
from virt.xmltree import dump, parse


@pytest.fixture(scope="module")
def devices() -> dict[str, NodeDevice]:
    """Those of a machine with a GPU, SR-IOV and a dongle, by address."""
    documents = [dump(element) for element in parse((DATA / "node-devices.xml").read_text())]
    found = [nodedev.read_device(xml) for xml in documents]
    return {device.address: device for device in found if device}


@pytest.mark.libvirt
def test_this_machine_has_the_devices_that_virsh_lists(conn, virsh):
    found = nodedev.list_devices(conn)
    for kind, capability in (("pci", "pci"), ("usb", "usb_device"), ("disk", "storage"), ("net", "net")):
        ours = {device.name for device in found if device.kind == kind and not device.name.startswith("interface_")}
        theirs = set(virsh("nodedev-list", "--cap", capability).split())
        assert ours == {name for name in theirs if not nodedev.is_of_guest(name)}
    for device in found:
        if device.kind == "pci":
            assert re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", device.address)
            assert f"id='{device.product_id}'" in virsh("nodedev-dumpxml", device.name)
    loopback = next(device.details for device in found if device.address == "lo")
    assert isinstance(loopback, NetDetails)
    assert (loopback.type, loopback.is_virtual, loopback.mtu) == ("loopback", True, 65536)


def test_a_card_has_its_group_its_node_and_what_it_can_be_split_into(devices):
    card = devices["0000:3b:00.0"]
    assert (card.vendor, card.product, card.driver) == ("NVIDIA Corporation", "TU104GL [Tesla T4]", "nvidia")
    assert (card.iommu_group, card.numa_node) == (24, 1)
    assert isinstance(card.details, PciDetails)
    assert [(kind.name, kind.available) for kind in card.details.mediated_types] == [
        ("GRID T4-1B", 16),
        ("GRID T4-2B", 8),
    ]
    assert devices["0000:3b:00.1"].iommu_group == 24
    mediated = devices["4b20d080-1b54-4048-85b3-a6a62d165c01"]
    assert (mediated.kind, mediated.product, mediated.iommu_group) == ("mdev", "nvidia-222", 91)


def test_sr_iov_names_both_ends(devices):
    physical, virtual = devices["0000:18:00.0"].details, devices["0000:18:10.0"].details
    assert isinstance(physical, PciDetails)
    assert isinstance(virtual, PciDetails)
    assert physical.virtual_functions == ("0000:18:10.0", "0000:18:10.2")
    assert physical.virtual_functions_max == 63
    assert virtual.physical_function == "0000:18:00.0"


def test_what_libvirt_does_not_tell_is_empty(devices):
    bridge = devices["0000:00:1c.0"]
    assert isinstance(bridge.details, PciDetails)
    assert bridge.details.is_bridge
    assert (bridge.vendor, bridge.vendor_id, bridge.product, bridge.iommu_group) == ("Intel", "0x8086", "", None)


def test_usb_disks_and_interfaces(devices):
    assert devices["001:005"].product == "HASP HL 3.25 — Ключ"
    disk, drive, port = (devices[name].details for name in ("/dev/nvme0n1", "/dev/sr0", "eno1"))
    assert isinstance(disk, DiskDetails)
    assert isinstance(drive, DiskDetails)
    assert isinstance(port, NetDetails)
    assert (disk.size_bytes, disk.serial, disk.is_removable) == (3840755982336, "S64HNE0R123456", False)
    assert (drive.type, drive.size_bytes, drive.is_removable) == ("cdrom", None, True)
    assert (port.mac, port.state, port.speed_mbit) == ("3c:ec:ef:12:34:56", "up", 10000)


def test_hosts_and_what_guests_bring_are_no_devices(devices):
    assert not {"computer", ""} & devices.keys()
    assert nodedev.is_of_guest("net_vnet7_fe_54_00_12_34_56")
    assert not nodedev.is_of_guest("net_eno1_3c_ec_ef_12_34_56")


def test_bridges_bonds_and_ports_come_from_the_interface_driver():
    xml = """<interface type='bridge' name='br0'><mtu size='9000'/><bridge stp='off' delay='0'>
      <interface type='ethernet' name='eno1'><link speed='10000' state='up'/></interface>
      </bridge></interface>"""
    bridge = nodedev.read_interface(xml, mac="3c:ec:ef:12:34:56")
    assert isinstance(bridge.details, NetDetails)
    assert (bridge.address, bridge.details.type, bridge.details.mtu) == ("br0", "bridge", 9000)
    assert nodedev.bridge_ports(xml) == {"eno1": "br0"}


def test_a_host_without_devices_has_none():
    with connect("test:///default") as conn:
        assert nodedev.list_devices(conn) == []
