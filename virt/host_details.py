"""What a host is in detail: NUMA cells, pages, caches, CPU features, firmware, TPM. https://libvirt.org/formatcaps.html"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TypeVar

import libvirt

from virt.connection import Connection
from virt.host import CAPABILITIES_TIMEOUT_S
from virt.types import CacheBank, FirmwareImage, HostDetails, NumaCell, PagePool
from virt.xmltree import Element, attribute, dump, number, parse, size_bytes, text

T = TypeVar("T")
_MACHINES = {"x86_64": ("q35", "pc"), "aarch64": ("virt",), "riscv64": ("virt",)}
_SECURE = re.compile(r"secboot|secureboot|secure|\.ms\.|snakeoil", re.I)
MOST_NAMES = 2000  # of CPU features, cells and the like: what a host claims is bounded


def host_details(conn: Connection) -> HostDetails:
    """All that libvirt tells of its machine. It asks several things and takes some milliseconds; hugepages and free
    memory change while guests start and stop. Raises VirtError.
    """

    def work(handle: libvirt.virConnect) -> HostDetails:
        capabilities = parse(handle.getCapabilities())
        arch = text(capabilities, "host/cpu/arch", "x86_64")
        sheets = []
        for machine in _MACHINES.get(arch, ("virt",)):
            for kind in ("kvm", "qemu"):
                xml = _or_none(lambda m=machine, k=kind: handle.getDomainCapabilities(None, arch, m, k, 0))  # type: ignore[misc]
                if xml:
                    sheets.append((machine, parse(xml)))
                    break
        sysinfo = _or_none(lambda: handle.getSysinfo(0))
        return read_details(
            capabilities,
            sheets=sheets,
            sysinfo=parse(sysinfo) if sysinfo else None,
            cpu_mhz=int(handle.getInfo()[3]),
            features=_all_features(handle, capabilities),
            free=_free_memory(handle, capabilities),
        )

    return conn.call(work, "read the details of the host", timeout_s=CAPABILITIES_TIMEOUT_S)


Free = tuple[dict[int, int], dict[int, dict[int, int]]]
"""Free bytes of each cell, and free pages of each cell by their size in KiB."""


def read_details(
    capabilities: Element,
    *,
    sheets: list[tuple[str, Element]],
    sysinfo: Element | None,
    cpu_mhz: int,
    features: tuple[str, ...],
    free: Free,
) -> HostDetails:
    """The details that these documents tell; `sheets` are domain capabilities, with the machine that was asked for."""
    sheet = sheets[0][1] if sheets else None
    uid, gid = _qemu_ids(capabilities)
    iommu = attribute(capabilities, "host/iommu", "support")
    physical = attribute(capabilities, "host/cpu/maxphysaddr", "bits")
    return HostDetails(
        cpu_name=_entry(sysinfo, "processor", "version"),
        cpu_features=features,
        cpu_mhz=cpu_mhz,
        microcode=attribute(capabilities, "host/cpu/microcode", "version"),
        physical_bits=number(physical) or None,
        caches=tuple(_cache(bank) for bank in capabilities.iterfind("host/cache/bank"))[:MOST_NAMES],
        cells=tuple(_cell(cell, free) for cell in capabilities.iterfind("host/topology/cells/cell"))[:MOST_NAMES],
        iommu={"yes": True, "no": False}.get(iommu),
        machine_vendor=_entry(sysinfo, "system", "manufacturer"),
        machine_product=_entry(sysinfo, "system", "product"),
        bios=" ".join(filter(None, (_entry(sysinfo, "bios", name) for name in ("vendor", "version", "date")))),
        emulator=text(sheet, "path") if sheet is not None else "",
        default_machine=text(sheet, "machine") if sheet is not None else "",
        max_vcpus=(number(attribute(sheet, "vcpu", "max")) or None) if sheet is not None else None,
        firmware=_firmware(sheets),
        tpm_models=_values(sheet, "devices/tpm", "model") if "emulator" in _tpm(sheet) else (),
        tpm_versions=_values(sheet, "devices/tpm", "backendVersion") if "emulator" in _tpm(sheet) else (),
        sev=_supported(sheet, "features/sev"),
        sgx=_supported(sheet, "features/sgx"),
        virtiofs="virtiofs" in _values(sheet, "devices/filesystem", "driverType"),
        memfd="memfd" in _values(sheet, "memoryBacking", "sourceType"),
        incremental_backup=_supported(sheet, "features/backup"),
        external_snapshots=capabilities.find("guest/features/externalSnapshot") is not None,
        migration_transports=tuple(
            (element.text or "").strip()
            for element in capabilities.iterfind("host/migration_features/uri_transports/uri_transport")
        ),
        qemu_uid=uid,
        qemu_gid=gid,
    )


def cpu_list(numbers: list[int]) -> str:
    """[0, 1, 2, 3, 8] is "0-3,8", as Linux writes it."""
    spans: list[list[int]] = []
    for value in sorted(set(numbers)):
        if spans and value == spans[-1][1] + 1:
            spans[-1][1] = value
        else:
            spans.append([value, value])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _or_none(ask: Callable[[], T]) -> T | None:
    """What not every host can tell: no SMBIOS data, no KVM, an older libvirt."""
    with suppress(libvirt.libvirtError):
        return ask()
    return None


def _all_features(handle: libvirt.virConnect, capabilities: Element) -> tuple[str, ...]:
    """Those that the model stands for, and those that it has beyond it."""
    cpu = capabilities.find("host/cpu")
    if cpu is None:
        return ()
    flags = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    expanded = _or_none(lambda: handle.baselineCPU([dump(cpu)], flags))
    names = {str(feature.get("name", "")) for feature in cpu.iterfind("feature")}
    if expanded:
        names |= {str(feature.get("name", "")) for feature in parse(expanded).iterfind("feature")}
    return tuple(sorted(names - {""}))[:MOST_NAMES]


def _free_memory(handle: libvirt.virConnect, capabilities: Element) -> Free:
    ids = [number(cell.get("id")) for cell in capabilities.iterfind("host/topology/cells/cell")]
    sizes = [number(pages.get("size")) for pages in capabilities.iterfind("host/cpu/pages")]
    free_bytes: dict[int, int] = {}
    free_pages: dict[int, dict[int, int]] = {}
    for cell in ids:  # one by one: cells need not be numbered without gaps
        memory = _or_none(lambda cell=cell: handle.getCellsFreeMemory(cell, 1))  # type: ignore[misc]
        if memory:
            free_bytes[cell] = int(memory[0])
        pages = _or_none(lambda cell=cell: handle.getFreePages(sizes, cell, 1, 0)) if sizes else None  # type: ignore[misc]
        if pages:
            free_pages |= {number: dict(counts) for number, counts in pages.items()}
    return free_bytes, free_pages


def _cell(cell: Element, free: Free) -> NumaCell:
    own = number(cell.get("id"))
    free_bytes, free_pages = free
    return NumaCell(
        id=own,
        memory_mib=size_bytes(cell.find("memory")) // 2**20,
        free_mib=free_bytes[own] // 2**20 if own in free_bytes else None,
        cpus=cpu_list([number(cpu.get("id")) for cpu in cell.iterfind("cpus/cpu")]),
        pages=tuple(
            PagePool(
                size_kib=number(pages.get("size")),
                total=number(pages.text),
                free=free_pages.get(own, {}).get(number(pages.get("size"))),
            )
            for pages in cell.iterfind("pages")
        ),
        distances=tuple(number(sibling.get("value")) for sibling in cell.iterfind("distances/sibling")),
    )


def _cache(bank: Element) -> CacheBank:
    units = {"B": 1 / 1024, "KiB": 1, "MiB": 1024}
    return CacheBank(
        level=number(bank.get("level")),
        type=str(bank.get("type", "")),
        size_kib=int(number(bank.get("size")) * units.get(str(bank.get("unit", "KiB")), 1)),
        cpus=str(bank.get("cpus", "")),
    )


def _firmware(sheets: list[tuple[str, Element]]) -> tuple[FirmwareImage, ...]:
    """The first machine that can use an image names it."""
    found: dict[str, FirmwareImage] = {}
    for machine, sheet in sheets:
        for value in sheet.iterfind("os/loader/value"):
            path = (value.text or "").strip()
            secure = bool(_SECURE.search(PurePosixPath(path).name))
            found.setdefault(path, FirmwareImage(path=path, machine=machine, secure=secure))
    return tuple(found.values())


def _qemu_ids(capabilities: Element) -> tuple[int | None, int | None]:
    """libvirt writes "+64055:+64055" as the label that it gives a guest's process."""
    for model in capabilities.iterfind("host/secmodel"):
        if text(model, "model") == "dac":
            found = re.fullmatch(r"\+(\d+):\+(\d+)", text(model, "baselabel"))
            if found:
                return int(found[1]), int(found[2])
    return None, None


def _entry(sysinfo: Element | None, part: str, name: str) -> str:
    if sysinfo is None:
        return ""
    return next((text(entry, ".") for entry in sysinfo.iterfind(f"{part}/entry[@name='{name}']")), "")


def _values(sheet: Element | None, path: str, enum: str) -> tuple[str, ...]:
    element = sheet.find(path) if sheet is not None else None
    if element is None or element.get("supported") != "yes":
        return ()
    return tuple((value.text or "").strip() for value in element.iterfind(f"enum[@name='{enum}']/value"))


def _tpm(sheet: Element | None) -> tuple[str, ...]:
    return _values(sheet, "devices/tpm", "backendModel")


def _supported(sheet: Element | None, path: str) -> bool:
    return sheet is not None and attribute(sheet, path, "supported") == "yes"
