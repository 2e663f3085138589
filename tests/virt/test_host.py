"""What a host is and how busy it is."""

from __future__ import annotations

import os
import platform

import pytest

from tests.virt.helpers import DATA
from virt import host
from virt.connection import connect
from virt.errors import NotSupported
from virt.types import HostCpuTimes


@pytest.mark.libvirt
def test_the_facts_are_those_of_this_machine(conn, virsh):
    facts = host.host_facts(conn)
    assert facts.hostname == virsh("hostname")
    assert facts.arch == platform.machine()
    assert facts.cpus == os.cpu_count()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    assert abs(facts.memory_mib - memory) < 64
    assert facts.libvirt_version in virsh("version")
    assert facts.hypervisor_version in virsh("version")
    assert {"q35", "pc"} <= set(facts.machine_types)


@pytest.mark.libvirt
def test_the_load_takes_two_readings(conn):
    first = host.host_usage(conn)
    assert first.cpu_percent is None
    sum(range(10**6))
    second = host.host_usage(conn, first.times)
    assert second.cpu_percent is None or 0 <= second.cpu_percent <= 100
    assert second.memory_total_mib >= second.memory_used_mib > 0
    assert second.memory_used_mib + second.memory_free_mib - second.memory_total_mib in (-1, 0)


@pytest.mark.parametrize(
    ("before", "now", "percent"),
    [
        (None, HostCpuTimes(busy_ns=1, total_ns=2), None),
        (HostCpuTimes(busy_ns=0, total_ns=0), HostCpuTimes(busy_ns=25, total_ns=100), 25.0),
        (HostCpuTimes(busy_ns=9, total_ns=9), HostCpuTimes(busy_ns=9, total_ns=9), None),
        (HostCpuTimes(busy_ns=900, total_ns=1000), HostCpuTimes(busy_ns=1, total_ns=10), None),  # it was restarted
    ],
)
def test_load_is_the_share_of_busy_time(before, now, percent):
    assert host.cpu_percent(before, now) == percent


@pytest.mark.libvirt
def test_what_a_guest_can_have(conn):
    sheet = host.compat_sheet(conn, domain_type="qemu")
    assert (sheet.arch, sheet.domain_type) == (platform.machine(), "qemu")
    assert sheet.machine.startswith("pc-q35")
    assert "virtio" in sheet.disk_buses
    assert "vnc" in sheet.graphics
    for wrong in ({"arch": "alpha"}, {"machine": "none-such"}):
        with pytest.raises(NotSupported):
            host.compat_sheet(conn, **wrong)


def test_a_sheet_is_read_from_a_document():
    sheet = host.read_domain_capabilities((DATA / "domcaps-qemu-pc.xml").read_text())
    assert sheet.firmwares == ("bios", "uefi")  # Secure Boot takes a q35
    assert sheet.cpu_modes == ("maximum", "host-model", "custom")
    assert sheet.has_tpm
    assert sheet.max_vcpus == 255


def test_a_host_without_qemu_still_has_facts():
    with connect("test:///default") as conn:
        facts = host.host_facts(conn)
        assert (facts.hypervisor, facts.kvm_offered) == ("TEST", False)
        assert host.host_usage(conn).memory_total_mib == facts.memory_mib
        with pytest.raises(NotSupported):
            host.compat_sheet(conn)


def test_versions_are_written_as_people_write_them():
    assert host.version(9_000_000) == "9.0.0"
    assert host.version(7_002_022) == "7.2.22"
