"""What a host is, what it can give a guest, and how busy it is."""

from __future__ import annotations

import libvirt

from virt.connection import Connection
from virt.errors import DefinitionRefused, NotSupported
from virt.types import CompatSheet, HostCpuTimes, HostFacts, HostUsage
from virt.xmltree import Element, attribute, number, parse, text

# The first question after libvirtd's start makes it run each installed QEMU once to see what it can do.
CAPABILITIES_TIMEOUT_S = 120.0


def host_facts(conn: Connection) -> HostFacts:
    """What libvirt knows of its machine. It changes with upgrades and reboots only: read it once per connection.

    https://libvirt.org/formatcaps.html
    """

    def work(handle: libvirt.virConnect) -> HostFacts:
        capabilities = parse(handle.getCapabilities())
        _model, _mib, cpus, _mhz, nodes, sockets, cores, threads = handle.getInfo()
        arch = text(capabilities, "host/cpu/arch", "x86_64")
        guest_arch = _guest_arch(capabilities, arch)
        return HostFacts(
            hostname=handle.getHostname(),
            uuid=text(capabilities, "host/uuid"),
            arch=arch,
            cpu_model=text(capabilities, "host/cpu/model"),
            cpu_vendor=text(capabilities, "host/cpu/vendor"),
            sockets=sockets * nodes,
            cores_per_socket=cores,
            threads_per_core=threads,
            cpus=cpus,
            numa_nodes=nodes,
            memory_mib=host_memory_mib(handle),
            libvirt_version=version(handle.getLibVersion()),
            hypervisor_version=version(handle.getVersion()),
            hypervisor=handle.getType(),
            kvm_offered=any(d.get("type") == "kvm" for d in _all(guest_arch, "domain")),
            machine_types=tuple(dict.fromkeys((m.text or "").strip() for m in _all(guest_arch, "machine"))),
            secure_models=tuple(text(model, "model") for model in capabilities.iterfind("host/secmodel")),
        )

    return conn.call(work, "read what the host is", timeout_s=CAPABILITIES_TIMEOUT_S)


def host_usage(conn: Connection, previous: HostCpuTimes | None = None) -> HostUsage:
    """Load and memory now. The percentage is that of the time since `previous`: pass the `times` of the last reading.

    https://libvirt.org/html/libvirt-libvirt-host.html#virNodeGetCPUStats
    """

    def work(handle: libvirt.virConnect) -> HostUsage:
        times = _cpu_times(handle.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0))
        memory = handle.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0)
        total, free = memory.get("total", 0), memory.get("free", 0)
        free += memory.get("buffers", 0) + memory.get("cached", 0)
        free = min(free, total)
        return HostUsage(
            times=times,
            cpu_percent=cpu_percent(previous, times),
            iowait_percent=_iowait_percent(previous, times),
            memory_total_mib=total // 1024,
            memory_used_mib=(total - free) // 1024,
            memory_free_mib=free // 1024,
        )

    try:
        return conn.call(work, "read the load of the host")
    except NotSupported:  # libvirt's test driver has no such numbers
        mib = conn.call(host_memory_mib, "read the memory of the host")
        times = HostCpuTimes(busy_ns=0, total_ns=0)
        return HostUsage(times=times, cpu_percent=None, memory_total_mib=mib, memory_used_mib=0, memory_free_mib=mib)


def compat_sheet(
    conn: Connection, *, arch: str | None = None, machine: str | None = "q35", domain_type: str = "kvm"
) -> CompatSheet:
    """What a guest of that kind can have on this host. Raises NotSupported where QEMU lacks the architecture, machine
    or type.

    https://libvirt.org/html/libvirt-libvirt-domain.html#virConnectGetDomainCapabilities
    """
    what = f"ask what {domain_type} guests can have"
    try:
        xml = conn.call(
            lambda handle: handle.getDomainCapabilities(None, arch, machine, domain_type, 0),
            what,
            timeout_s=CAPABILITIES_TIMEOUT_S,
        )
    except DefinitionRefused as exc:
        raise NotSupported(
            f"This host has no {domain_type} guests of machine {machine} and architecture {arch or 'its own'}.",
            details=exc.details,
        ) from exc
    return read_domain_capabilities(xml)


def read_domain_capabilities(xml: str) -> CompatSheet:
    """The sheet that a <domainCapabilities> document describes. https://libvirt.org/formatdomaincaps.html"""
    root = parse(xml)
    loaders = tuple((value.text or "").strip() for value in root.iterfind("os/loader/value"))
    return CompatSheet(
        arch=text(root, "arch"),
        machine=text(root, "machine"),
        domain_type=text(root, "domain"),
        emulator=text(root, "path"),
        max_vcpus=number(attribute(root, "vcpu", "max"), 1),
        firmwares=_firmwares(root, loaders),
        efi_loaders=loaders,
        cpu_modes=tuple(str(m.get("name")) for m in root.iterfind("cpu/mode") if m.get("supported") == "yes"),
        disk_buses=_values(root, "devices/disk", "bus"),
        graphics=_values(root, "devices/graphics", "type"),
        videos=_values(root, "devices/video", "modelType"),
        tpm_models=_values(root, "devices/tpm", "model") if _has_emulated_tpm(root) else (),
        tpm_versions=_values(root, "devices/tpm", "backendVersion"),
        rng_models=_values(root, "devices/rng", "model"),
        hyperv_features=_values(root, "features/hyperv", "features"),
    )


def host_memory_mib(handle: libvirt.virConnect) -> int:
    """Memory of the host. The plain node information can count the first memory bank only, the statistics count all."""
    try:
        return int(handle.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0)["total"]) // 1024
    except (libvirt.libvirtError, KeyError):
        return int(handle.getInfo()[1])


def cpu_percent(previous: HostCpuTimes | None, now: HostCpuTimes) -> float | None:
    """The share of busy time between two readings; None without a first one or after a restart of the host."""
    if previous is None or now.total_ns <= previous.total_ns or now.busy_ns < previous.busy_ns:
        return None
    return round(min(100.0, 100 * (now.busy_ns - previous.busy_ns) / (now.total_ns - previous.total_ns)), 1)


def _iowait_percent(previous: HostCpuTimes | None, now: HostCpuTimes) -> float | None:
    if previous is None or now.total_ns <= previous.total_ns or now.iowait_ns < previous.iowait_ns:
        return None
    return round(min(100.0, 100 * (now.iowait_ns - previous.iowait_ns) / (now.total_ns - previous.total_ns)), 1)


def version(packed: int) -> str:
    """libvirt packs 9.0.0 as 9000000."""
    return f"{packed // 1_000_000}.{packed // 1000 % 1000}.{packed % 1000}"


def _cpu_times(stats: dict[str, int]) -> HostCpuTimes:
    idle = stats.get("idle", 0) + stats.get("iowait", 0)
    busy = stats.get("user", 0) + stats.get("kernel", stats.get("system", 0)) + stats.get("intr", 0)
    return HostCpuTimes(busy_ns=busy, total_ns=busy + idle, iowait_ns=stats.get("iowait", 0))


def _guest_arch(capabilities: Element, arch: str) -> Element | None:
    return next((e for e in capabilities.iterfind("guest/arch") if e.get("name") == arch), None)


def _all(element: Element | None, path: str) -> list[Element]:
    return [] if element is None else element.findall(path)


def _values(root: Element, path: str, enum: str) -> tuple[str, ...]:
    element = root.find(path)
    if element is None or element.get("supported") != "yes":
        return ()
    return tuple((value.text or "").strip() for value in element.iterfind(f"enum[@name='{enum}']/value"))


def _has_emulated_tpm(root: Element) -> bool:
    return "emulator" in _values(root, "devices/tpm", "backendModel")


def _firmwares(root: Element, loaders: tuple[str, ...]) -> tuple[str, ...]:
    arch = text(root, "arch")
    found = ["bios"] if arch in ("x86_64", "i686", "ppc64le", "s390x") else []
    automatic = [(value.text or "").strip() for value in root.iterfind("os/enum[@name='firmware']/value")]
    if "efi" in automatic or loaders:
        found.append("uefi")
    # Secure Boot takes SMM, which only q35 has, and a build with Microsoft's keys in its variables.
    secure = [(value.text or "").strip() for value in root.iterfind("os/loader/enum[@name='secure']/value")]
    if "uefi" in found and "yes" in secure and "q35" in text(root, "machine"):
        found.append("uefi-secure")
    return tuple(found)
