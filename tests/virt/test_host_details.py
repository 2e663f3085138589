"""What a host is in detail: NUMA cells, pages, firmware, TPM."""

from __future__ import annotations

import os

import pytest

from tests.virt.helpers import DATA
from virt.host_details import cpu_list, host_details, read_details
from virt.types import HostDetails, PagePool
from virt.xmltree import parse

SYSINFO = """<sysinfo type='smbios'>
  <bios><entry name='vendor'>Dell Inc.</entry><entry name='version'>2.19.1</entry></bios>
  <system><entry name='manufacturer'>Dell Inc.</entry><entry name='product'>PowerEdge R640</entry></system>
  <processor><entry name='version'>Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz</entry></processor>
</sysinfo>"""


def read(free=({}, {}), sysinfo=SYSINFO, features=()) -> HostDetails:
    return read_details(
        parse((DATA / "capabilities-two-sockets.xml").read_text()),
        sheets=[("q35", parse((DATA / "domcaps-kvm-q35.xml").read_text()))],
        sysinfo=parse(sysinfo) if sysinfo else None,
        cpu_mhz=2400,
        features=features,
        free=free,
    )


@pytest.mark.libvirt
def test_the_details_are_those_of_this_machine(conn, virsh):
    details = host_details(conn)
    assert "".join(cell.cpus for cell in details.cells).startswith("0")
    assert sum(cell.memory_mib for cell in details.cells) > 256
    for cell in details.cells:
        free = virsh("freepages", "--cellno", str(cell.id), "--pagesize", "2048")
        huge = next(pages for pages in cell.pages if pages.size_kib == 2048)
        assert huge.free == int(free.split()[-1])
    sheet = virsh("domcapabilities", "--machine", "q35")
    assert all(image.path in sheet for image in details.firmware if image.machine == "q35")
    assert details.default_machine in sheet
    assert f"+{details.qemu_uid}:+{details.qemu_gid}" in virsh("capabilities")
    assert details.cpu_mhz > 0
    assert len(details.cpu_features) > 20
    assert os.cpu_count() == sum(_count(cell.cpus) for cell in details.cells)


def test_cells_have_their_memory_their_processors_and_pages():
    details = read(free=({0: 40 * 2**30}, {0: {4: 5, 2048: 100}}))
    first, second = details.cells
    assert (first.id, first.cpus, first.memory_mib, first.free_mib) == (0, "0-1,4-5", 95237, 40 * 1024)
    assert PagePool(size_kib=2048, total=4096, free=100) in first.pages
    assert (second.id, second.cpus, second.free_mib) == (2, "2-3,6-7", None)
    assert PagePool(size_kib=1048576, total=16, free=None) in second.pages
    assert second.distances == (21, 10)


def test_the_rest_of_a_big_machine():
    details = read()
    assert (details.machine_vendor, details.machine_product) == ("Dell Inc.", "PowerEdge R640")
    assert details.cpu_name == "Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz"
    assert details.bios == "Dell Inc. 2.19.1"
    assert [bank.size_kib for bank in details.caches] == [28160, 27 * 1024]
    assert details.iommu is True
    assert details.external_snapshots
    assert (details.qemu_uid, details.qemu_gid) == (107, 107)
    assert details.migration_transports == ("tcp", "rdma")


def test_firmware_that_does_secure_boot_is_known_by_its_name():
    images = {image.path.rpartition("/")[2]: image.secure for image in read().firmware}
    assert images["OVMF_CODE_4M.fd"] is False
    assert images["OVMF_CODE_4M.ms.fd"] is True


def test_a_machine_that_tells_little():
    details = read(sysinfo=None)
    assert details.cpu_name == details.machine_vendor == details.bios == ""
    nothing = read_details(
        parse("<capabilities><host/></capabilities>"), sheets=[], sysinfo=None, cpu_mhz=0, features=(), free=({}, {})
    )
    assert (nothing.cells, nothing.iommu, nothing.firmware, nothing.tpm_versions) == ((), None, (), ())


@pytest.mark.parametrize(("numbers", "words"), [([], ""), ([3], "3"), ([0, 1, 2, 8], "0-2,8"), ([5, 4, 0, 4], "0,4-5")])
def test_processors_are_written_as_linux_writes_them(numbers, words):
    assert cpu_list(numbers) == words


def _count(cpus: str) -> int:
    spans = [span.split("-") for span in cpus.split(",")]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)
