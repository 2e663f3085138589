"""What a new guest gets, for which system, on which host."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.virt.helpers import DATA, unique, wait_for
from tests.virt.tiny_iso import GREETING, tiny_iso
from virt import domains, power
from virt.console import open_console
from virt.domain_summary import parse_domain
from virt.errors import Invalid, NotSupported
from virt.host import compat_sheet, read_domain_capabilities
from virt.new_guest import (
    DirectKernel,
    DiskSpec,
    GuestSpec,
    NicSpec,
    default_firmware,
    guest_xml,
    mac_address,
)
from virt.types import OsTraits
from virt.validate import mac

LINUX = OsTraits(
    id="http://debian.org/debian/12", short_id="debian12", name="Debian 12", family="linux", distro="debian",
    version="12",
    min_memory_mib=1024, min_vcpus=1, min_disk_gib=10, memory_mib=2048, vcpus=2, disk_gib=20,
    virtio_disk=True, virtio_net=True, virtio_rng=True, virtio_balloon=True, usb_tablet=True, q35=True,
    needs_uefi=False, needs_secure_boot=False, needs_tpm=False,
)  # fmt: skip
WINDOWS = replace(
    LINUX, id="http://microsoft.com/win/11", short_id="win11", name="Windows 11", family="windows", distro="win",
    virtio_disk=False, virtio_net=False, virtio_rng=False, virtio_balloon=False,
    needs_uefi=True, needs_secure_boot=True, needs_tpm=True,
)  # fmt: skip

SPEC = GuestSpec(
    name="web & <01>",
    uuid="7c4b2f7e-3f0e-4d7b-9a53-5f0f7a6f2d11",
    os=LINUX,
    vcpus=2,
    memory_mib=2048,
    disks=(DiskSpec(path="/data_kvm/store/web-01-vda.qcow2"),),
    cdrom="/data_kvm/iso/debian-12.iso",
    nics=(NicSpec(network="default", mac="52:54:00:00:00:01"),),
)


def sheet(name):
    return read_domain_capabilities((DATA / f"domcaps-{name}.xml").read_text())


@pytest.mark.parametrize(
    ("name", "host", "spec"),
    [
        ("linux-kvm", "kvm-q35", SPEC),
        ("linux-emulated-uefi", "qemu-q35", replace(SPEC, domain_type="qemu", firmware="uefi", title="a\nb")),
        (
            "linux-bridge-pc",
            "qemu-pc",
            replace(SPEC, domain_type="qemu", nics=(NicSpec(bridge="br0", mac="52:54:00:00:00:02"),)),
        ),
        ("windows-secure", "kvm-q35", replace(SPEC, os=WINDOWS, firmware="uefi-secure")),
        (
            "direct-kernel",
            "qemu-q35",
            replace(
                SPEC,
                domain_type="qemu",
                graphics="none",
                kernel=DirectKernel(kernel="/data_kvm/vmlinuz", initrd="/data_kvm/initrd", cmdline="console=ttyS0 <&>"),
            ),
        ),
    ],
)
def test_a_definition_is_as_reviewed(golden, name, host, spec):
    golden(guest_xml(spec, sheet(host)), DATA / f"guest-{name}.xml")


@pytest.mark.libvirt
@pytest.mark.parametrize(
    ("machine", "os", "firmware"),
    [("q35", LINUX, "bios"), ("q35", LINUX, "uefi"), ("q35", WINDOWS, "uefi-secure"), ("pc", WINDOWS, "bios")],
    ids=["q35-linux-bios", "q35-linux-uefi", "q35-windows-secure", "pc-windows-bios"],
)
def test_every_kind_of_guest_is_accepted_and_starts(conn, define, directory, machine, os, firmware):
    (directory / "disk.raw").write_bytes(bytes(2**20))
    (directory / "tiny.iso").write_bytes(tiny_iso())
    spec = replace(
        SPEC,
        name=unique(firmware),
        uuid=None,
        os=os,
        memory_mib=128,
        firmware=firmware,
        domain_type="qemu",
        disks=(DiskSpec(path=f"{directory}/disk.raw", format="raw"),),
        cdrom=f"{directory}/tiny.iso",
        nics=(NicSpec(),),
    )
    uuid = define(guest_xml(spec, compat_sheet(conn, machine=machine, domain_type="qemu")))
    assert power.start(conn, uuid, paused=True)
    assert parse_domain(domains.domain_xml(conn, uuid, live=True)).firmware == firmware


@pytest.mark.libvirt
def test_with_a_blank_disk_the_iso_boots(conn, define, directory):
    (directory / "disk.raw").write_bytes(bytes(2**20))
    (directory / "tiny.iso").write_bytes(tiny_iso())
    spec = replace(
        SPEC,
        name=unique(),
        uuid=None,
        memory_mib=64,
        domain_type="qemu",
        disks=(DiskSpec(path=f"{directory}/disk.raw", format="raw"),),
        cdrom=f"{directory}/tiny.iso",
        nics=(),
    )
    uuid = define(guest_xml(spec, compat_sheet(conn, domain_type="qemu")))
    power.start(conn, uuid, paused=True)
    with open_console(conn.uri, uuid) as console:
        power.resume(conn, uuid)
        said = b""
        while GREETING not in said:
            said += console.recv(4096, timeout_s=30)
    assert wait_for(lambda: domains.domain_state(conn, uuid).state == "running")


def test_a_system_without_virtio_gets_hardware_that_it_knows():
    summary = parse_domain(guest_xml(replace(SPEC, os=WINDOWS, firmware="uefi"), sheet("kvm-q35")))
    assert [disk.bus for disk in summary.disks] == ["sata", "sata"]
    assert [disk.target for disk in summary.disks] == ["sda", "sdb"]
    assert [nic.model for nic in summary.nics] == ["e1000e"]
    assert summary.has_tpm


def test_a_guest_has_no_port_and_can_be_talked_to():
    summary = parse_domain(guest_xml(SPEC, sheet("kvm-q35")))
    assert [(display.type, display.listen, display.port) for display in summary.graphics] == [("vnc", "none", None)]
    assert (summary.has_serial, summary.has_agent_channel) == (True, True)
    assert (summary.name, summary.osinfo_id) == ("web & <01>", LINUX.id)
    assert [disk.boot_order for disk in summary.disks] == [1, 2]


def test_a_tpm_is_left_out_where_the_host_has_none_unless_it_was_asked_for():
    bare = replace(sheet("kvm-q35"), tpm_models=())
    spec = replace(SPEC, os=WINDOWS, firmware="uefi")
    assert not parse_domain(guest_xml(spec, bare)).has_tpm
    with pytest.raises(NotSupported, match="swtpm"):
        guest_xml(replace(spec, tpm=True), bare)


def test_a_firmware_that_the_host_lacks_is_refused_with_what_to_install():
    with pytest.raises(NotSupported, match="ovmf"):
        guest_xml(replace(SPEC, firmware="uefi"), replace(sheet("kvm-q35"), firmwares=("bios",)))


@pytest.mark.parametrize(
    ("os", "firmwares", "expected"),
    [
        (LINUX, ("bios", "uefi", "uefi-secure"), "bios"),
        (WINDOWS, ("bios", "uefi", "uefi-secure"), "uefi-secure"),
        (WINDOWS, ("bios", "uefi"), "uefi"),
        (WINDOWS, ("bios",), "bios"),
        (LINUX, ("uefi",), "uefi"),
    ],
)
def test_the_firmware_offered_first_is_what_the_system_needs(os, firmwares, expected):
    assert default_firmware(os, replace(sheet("kvm-q35"), firmwares=firmwares)) == expected


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("vcpus", {"vcpus": 0}),
        ("vcpus", {"vcpus": -1}),
        ("vcpus", {"vcpus": 10**9}),
        ("vcpus", {"vcpus": 289}),  # the host's machine type takes 288
        ("memory_mib", {"memory_mib": 0}),
        ("name", {"name": ".."}),
        ("firmware", {"firmware": "coreboot"}),
        ("graphics", {"graphics": "spice"}),
        ("uuid", {"uuid": "x"}),
        ("path", {"disks": (DiskSpec(path="relative"),)}),
        ("path", {"disks": (DiskSpec(path=None),)}),
        ("path", {"cdrom": "/data_kvm/../etc/shadow"}),
        ("format", {"disks": (DiskSpec(path="/a", format="vmdk"),)}),
        ("bus", {"disks": (DiskSpec(path="/a", bus="nvme"),)}),
        ("model", {"nics": (NicSpec(model="ne2k"),)}),
        ("mac", {"nics": (NicSpec(mac="01:00:00:00:00:01"),)}),
        ("network", {"nics": (NicSpec(network="a", bridge="b"),)}),
        ("bridge", {"nics": (NicSpec(bridge="a/b"),)}),
        ("title", {"title": "\x00"}),
    ],
)
def test_what_cannot_be_is_refused_by_field(field, change):
    with pytest.raises(Invalid) as failure:
        guest_xml(replace(SPEC, **change), sheet("kvm-q35"))
    assert failure.value.field == field


@given(st.text(max_size=40))
def test_no_text_breaks_out_of_its_element(text):
    try:
        spec = replace(SPEC, description=text)
        described = parse_domain(guest_xml(spec, sheet("kvm-q35"))).description
    except Invalid:
        return
    assert described.split() == text.split()


def test_addresses_are_of_qemus_range_and_differ():
    made = {mac_address() for _ in range(100)}
    assert len(made) == 100
    assert all(address.startswith("52:54:00:") and mac(address) == address for address in made)
