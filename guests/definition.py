"""What a guest's columns, disks and network cards are: read from its two definitions, the running and the next one."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from virt import osinfo
from virt.domain_summary import parse_domain
from virt.types import DiskSummary, DomainInfo, DomainState, DomainSummary, NicSummary

from .models import Guest


@dataclass(frozen=True, kw_only=True)
class Definition:
    """`columns` are those of Guest that the definitions decide."""

    columns: dict[str, Any]
    disks: tuple[DiskSummary, ...]
    nics: tuple[NicSummary, ...]


def digest(info: DomainInfo) -> str:
    """Changes whenever what `read` reads changes; far cheaper than reading it."""
    text = info.xml if info.live_xml is None or info.live_xml == info.xml else f"{info.xml}\0{info.live_xml}"
    return hashlib.sha256(text.encode()).hexdigest()


def read(info: DomainInfo, digest: str) -> Definition:
    """What the guest is now and, while it is off, what it will be. `digest` is that of `info`."""
    then = parse_domain(info.xml)
    now = parse_domain(info.live_xml) if info.live_xml is not None and info.is_persistent else then
    changes = changes_at_restart(now, then) if now is not then else []
    columns = {
        "title": then.title[:255],
        "description": then.description,
        "vcpus": now.vcpus,
        "memory_mib": now.memory_mib,
        "arch": now.arch,
        "machine": now.machine,
        "firmware": now.firmware,
        "is_emulated": now.is_emulated,
        "os_id": (then.osinfo_id or "")[:200],
        "os_name": os_name(then.osinfo_id or ""),
        "graphics": next((screen.type for screen in now.graphics), ""),
        "has_serial": now.has_serial,
        "has_agent_channel": now.has_agent_channel,
        "needs_restart": bool(changes),
        "changes_at_restart": changes,
        "xml": info.xml,
        "digest": digest,
    }
    disks = {disk.target: disk for disk in (*then.disks, *now.disks)}
    nics = {nic.mac: nic for nic in (*then.nics, *now.nics)}
    return Definition(columns=columns, disks=tuple(disks.values()), nics=tuple(nics.values()))


def state_of(state: DomainState, reason: str, *, is_saved: bool) -> str:
    """The state that pages show. libvirt calls off what crashed and what has its memory saved; we tell them apart."""
    if state is DomainState.SHUTOFF:
        if is_saved:
            return Guest.State.SAVED
        if reason == "crashed":
            return Guest.State.CRASHED
    return str(state)


@lru_cache(maxsize=512)
def os_name(os_id: str) -> str:
    """The name of a system for people, or its id where the database does not know it; "" where nobody knows."""
    if os_id in ("", osinfo.UNKNOWN):
        return ""
    return (osinfo.traits(os_id).name or os_id.removeprefix("http://"))[:200]


def changes_at_restart(now: DomainSummary, then: DomainSummary) -> list[dict[str, str]]:
    """What of the next definition the running guest does not have yet: [{"what": "memory", "now": …, "then": …}].

    Left out is what libvirt itself writes differently into the two, and media, which are changed in both at once.
    """
    pairs = [
        ("vCPUs", _vcpus(now), _vcpus(then)),
        ("memory", f"{now.max_memory_mib} MiB", f"{then.max_memory_mib} MiB"),
        ("machine", now.machine, then.machine),
        ("firmware", _firmware(now), _firmware(then)),
        ("type", now.domain_type, then.domain_type),
        ("display", _screens(now), _screens(then)),
        ("boot order", _boot(now), _boot(then)),
        ("TPM", str(now.has_tpm), str(then.has_tpm)),
    ]
    if then.cpu_mode != "host-model":  # a running guest shows the model that was chosen for it
        pairs.append(("CPU", now.cpu_mode or "", then.cpu_mode or ""))
    pairs += _pairs("disk", _disks(now), _disks(then))
    pairs += _pairs("network card", _nics(now), _nics(then))
    return [{"what": what, "now": before, "then": after} for what, before, after in pairs if before != after]


def _vcpus(summary: DomainSummary) -> str:
    more = f" of {summary.max_vcpus}" if summary.max_vcpus != summary.vcpus else ""
    return f"{summary.vcpus}{more}"


def _firmware(summary: DomainSummary) -> str:
    return "uefi" if summary.firmware.startswith("uefi") else summary.firmware


def _screens(summary: DomainSummary) -> str:
    return ", ".join(screen.type for screen in summary.graphics)


def _boot(summary: DomainSummary) -> str:
    ordered = [(disk.boot_order, disk.target) for disk in summary.disks if disk.boot_order]
    ordered += [(nic.boot_order, nic.mac) for nic in summary.nics if nic.boot_order]
    return ", ".join([*summary.boot_devices, *(name for _order, name in sorted(ordered))])


def _disks(summary: DomainSummary) -> dict[str, str]:
    return {disk.target: " ".join(filter(None, _disk(disk))) for disk in summary.disks}


def _disk(disk: DiskSummary) -> tuple[str | None, ...]:
    if disk.device in ("disk", "lun"):
        return disk.bus, disk.format, disk.source
    return disk.bus, disk.device


def _nics(summary: DomainSummary) -> dict[str, str]:
    return {nic.mac: " ".join(filter(None, [nic.kind, nic.source, nic.model])) for nic in summary.nics}


def _pairs(kind: str, now: dict[str, str], then: dict[str, str]) -> list[tuple[str, str, str]]:
    return [(f"{kind} {key}", now.get(key, ""), then.get(key, "")) for key in sorted({*now, *then})]
