"""What a machine is, as its page tells it."""

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from hosts import words
from hosts.models import Host

from .models import HostReport

Pairs = list[tuple[str, object]]

# What each level of x86-64 asks for, as libvirt names it. https://gitlab.com/x86-psABIs/x86-64-ABI
LEVELS = [
    ("x86-64-v1", {"lm", "cx8", "cmov", "fxsr", "mmx", "sse", "sse2", "syscall"}),
    ("x86-64-v2", {"cx16", "lahf_lm", "popcnt", "pni", "sse4.1", "sse4.2", "ssse3"}),
    ("x86-64-v3", {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}),
    ("x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
]


@dataclass(frozen=True, kw_only=True)
class CpuFeature:
    name: str
    is_there: bool
    what_for: str


@dataclass(frozen=True, kw_only=True)
class CellRow:
    """A NUMA cell with its memory, processors and hugepages."""

    id: int
    memory_mib: int
    used_mib: int | None
    cpus: str
    pages: list[str]
    distances: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    system: Pairs
    processor: Pairs
    versions: Pairs
    security: Pairs
    features: list[CpuFeature] = field(default_factory=list)
    all_features: list[str] = field(default_factory=list)
    cells: list[CellRow] = field(default_factory=list)
    firmware: list[dict[str, Any]] = field(default_factory=list)
    machine_types: list[str] = field(default_factory=list)


def machine(host: Host, report: HostReport) -> Machine:
    """All that is known of the machine; what is not known is None."""
    facts, details, readings = host.facts, report.details, report.readings
    return Machine(
        system=_system(host, facts, details, readings),
        processor=_processor(facts, details, readings),
        versions=_versions(facts, details, readings),
        security=_security(facts, details, readings),
        features=_features(facts, details),
        all_features=list(details.get("cpu_features", ())),
        cells=[_cell(cell) for cell in details.get("cells", ())],
        firmware=list(details.get("firmware", ())),
        machine_types=list(facts.get("machine_types", ())),
    )


def level_of(features: set[str]) -> str:
    """The highest level of x86-64 that a processor with these features reaches; empty below the first."""
    reached = ""
    for name, wanted in LEVELS[1:]:
        if not wanted <= features:
            break
        reached = name
    return reached or (LEVELS[0][0] if "lm" in features else "")


def _first(readings: dict[str, list[str]], key: str) -> str | None:
    return next(iter(readings.get(key, ())), None)


def _system(host: Host, facts: dict[str, Any], details: dict[str, Any], readings: dict[str, list[str]]) -> Pairs:
    uptime = _first(readings, "uptime_s")
    return [
        (_("Name"), facts.get("hostname")),
        (_("Machine"), " ".join(filter(None, (details.get("machine_vendor"), details.get("machine_product"))))),
        (_("Firmware of the machine"), details.get("bios")),
        (_("Operating system"), _first(readings, "os_name")),
        (_("Kernel"), _first(readings, "kernel")),
        (_("Up, when checked"), words.span(int(uptime)) if uptime and uptime.isdigit() else None),
        (_("Memory"), words.size(host.memory_mib * 2**20) if host.memory_mib else None),
        (_("UUID"), str(host.uuid) if host.uuid else None),
    ]


def _processor(facts: dict[str, Any], details: dict[str, Any], readings: dict[str, list[str]]) -> Pairs:
    topology = None
    if facts.get("sockets"):
        topology = _("%(sockets)d × %(cores)d × %(threads)d = %(cpus)d") % {
            "sockets": facts["sockets"],
            "cores": facts["cores_per_socket"],
            "threads": facts["threads_per_core"],
            "cpus": facts["cpus"],
        }
    caches: dict[int, int] = {}
    for bank in details.get("caches", ()):
        caches[bank["level"]] = caches.get(bank["level"], 0) + bank["size_kib"]
    cache = ", ".join(f"L{level} {words.size(kib * 1024)}" for level, kib in sorted(caches.items()))
    return [
        (_("Processor"), details.get("cpu_name") or _first(readings, "cpu_name")),
        (_("Model for libvirt"), facts.get("cpu_model")),
        (_("Vendor"), facts.get("cpu_vendor")),
        (_("Sockets × cores × threads"), topology),
        (_("Architecture"), facts.get("arch")),
        (_("Level"), level_of(set(details.get("cpu_features", ())))),
        (_("Clock"), f"{details['cpu_mhz'] / 1000:.1f} GHz" if details.get("cpu_mhz") else None),
        (_("Cache"), cache),
        (
            _("Addresses"),
            _("%(bits)d bits") % {"bits": details["physical_bits"]} if details.get("physical_bits") else None,
        ),
        (_("Microcode"), details.get("microcode")),
    ]


def _versions(facts: dict[str, Any], details: dict[str, Any], readings: dict[str, list[str]]) -> Pairs:
    return [
        (_("libvirt"), facts.get("libvirt_version")),
        (str(facts.get("hypervisor") or "QEMU"), facts.get("hypervisor_version")),
        (_("Program"), details.get("emulator")),
        (_("Packages"), ", ".join(readings.get("package", ())) or None),
        (_("TPM for guests (swtpm)"), ", ".join(details.get("tpm_versions", ())) or None),
        (_("Newest machine"), details.get("default_machine")),
        (_("Most vCPUs of a guest"), details.get("max_vcpus")),
        (_("Migration over"), ", ".join(details.get("migration_transports", ())) or None),
    ]


def _security(facts: dict[str, Any], details: dict[str, Any], readings: dict[str, list[str]]) -> Pairs:
    yes, no = _("yes"), _("no")
    told = {True: yes, False: no}
    user = _first(readings, "qemu_user")
    uid = details.get("qemu_uid")
    return [
        (_("Guests are confined by"), ", ".join(facts.get("secure_models", ())) or None),
        (_("QEMU runs as"), f"{user} ({uid})" if user else uid),
        (_("IOMMU"), told.get(details.get("iommu"))),  # type: ignore[arg-type]
        (_("Encrypted memory (SEV)"), told.get(details.get("sev"))),  # type: ignore[arg-type]
        (_("Enclaves (SGX)"), told.get(details.get("sgx"))),  # type: ignore[arg-type]
    ]


def _features(facts: dict[str, Any], details: dict[str, Any]) -> list[CpuFeature]:
    """Those that decide what guests can do or how fast they are."""
    known = set(details.get("cpu_features", ()))
    if not known or facts.get("arch", "x86_64") not in ("x86_64", "i686"):
        return []
    wanted = {
        "svm" if facts.get("cpu_vendor") == "AMD" else "vmx": _("virtualisation; also for guests that are hosts"),
        "aes": _("encryption of disks and connections"),
        "sha-ni": _("checksums"),
        "avx2": _("numbers, video, machine learning"),
        "avx512f": _("numbers, machine learning"),
        "pdpe1gb": _("hugepages of 1 GiB"),
        "invtsc": _("a steady clock in guests"),
        "x2apic": _("interrupts of guests with many vCPUs"),
        "rdrand": _("random numbers"),
    }
    return [CpuFeature(name=name, is_there=name in known, what_for=what) for name, what in wanted.items()]


def _cell(cell: dict[str, Any]) -> CellRow:
    pages = []
    for pool in cell["pages"]:
        if pool["size_kib"] > 64:
            size = words.size(pool["size_kib"] * 1024)
            values = {"size": size, "total": pool["total"], "free": pool["free"]}
            pages.append(
                _("%(size)s: %(total)d") % values
                if pool["free"] is None
                else _("%(size)s: %(free)d free of %(total)d") % values
            )
    free = cell["free_mib"]
    return CellRow(
        id=cell["id"],
        memory_mib=cell["memory_mib"],
        used_mib=None if free is None else max(0, cell["memory_mib"] - free),
        cpus=cell["cpus"],
        pages=pages,
        distances=" ".join(str(distance) for distance in cell["distances"]),
    )
