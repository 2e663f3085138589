"""Guests: list them, read them, define and undefine them. What starts and stops them is in `virt.power`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import libvirt

from virt import validate
from virt.connection import Connection
from virt.domain_guard import check_domain
from virt.domain_xml import DomainXML
from virt.errors import GuestNotFound, NotSupported, WrongState
from virt.host import host_memory_mib
from virt.libvirt_errors import from_libvirt
from virt.types import DomainInfo, DomainState, DomainStatus, Uuid

T = TypeVar("T")

PROBE_PREFIX = "kvmweb-probe-"
"""Guests of this name are ours, live for seconds (`virt.kvm_probe`), and appear in no list and no event."""
COPY_PREFIX = "kvmweb-copy-"
"""So are these: they copy a disk (`virt.disk_copy`) and never run anything."""

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: DomainState.RUNNING,  # drivers that do not tell, for a guest that is there
    libvirt.VIR_DOMAIN_RUNNING: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: DomainState.SHUTTING_DOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: DomainState.SHUTOFF,
    libvirt.VIR_DOMAIN_CRASHED: DomainState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: DomainState.SUSPENDED,
}

# https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainRunningReason and its neighbours, by number
_REASONS: dict[DomainState, tuple[str, ...]] = {
    DomainState.RUNNING: (
        "unknown", "booted", "migrated", "restored", "from_snapshot", "unpaused", "migration_canceled", "save_canceled",
        "wakeup", "crashed", "postcopy", "postcopy_failed",
    ),
    DomainState.PAUSED: (
        "unknown", "user", "migration", "save", "dump", "io_error", "watchdog", "from_snapshot", "shutting_down",
        "snapshot", "crashed", "starting_up", "postcopy", "postcopy_failed", "api_error",
    ),
    DomainState.SHUTTING_DOWN: ("unknown", "user"),
    DomainState.SHUTOFF: (
        "unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot", "daemon",
    ),
    DomainState.CRASHED: ("unknown", "panicked"),
    DomainState.SUSPENDED: ("unknown",),
}  # fmt: skip


def domain_state_of(state: int, reason: int) -> tuple[DomainState, str]:
    """Our words for libvirt's two numbers."""
    known = _STATES.get(state, DomainState.RUNNING)
    reasons = _REASONS[known]
    return known, reasons[reason] if 0 <= reason < len(reasons) else "unknown"


def is_probe(name: str) -> bool:
    """Whether a guest of that name is our own short-lived one."""
    return name.startswith((PROBE_PREFIX, COPY_PREFIX))


def on_guest(
    conn: Connection, uuid: Uuid, verb: str, action: Callable[[libvirt.virDomain], T], *, timeout_s: float | None = None
) -> T:
    """Look the guest up and run `action` on it; errors name it. `verb` completes "Could not …": "start guest {}"."""

    def work(handle: libvirt.virConnect) -> T:
        domain = handle.lookupByUUIDString(str(uuid))
        try:
            return action(domain)
        except libvirt.libvirtError as exc:
            raise from_libvirt(exc, verb.format(domain.name())) from exc

    return conn.call(work, verb.format(uuid), timeout_s=timeout_s)


def domain_info(conn: Connection, uuid: Uuid) -> DomainInfo:
    """One guest with its definition. Raises GuestNotFound."""
    return on_guest(conn, uuid, "read guest {}", _info)


def domain_states(conn: Connection) -> list[DomainStatus]:
    """State of every guest in a single call, about 10 ms for 1,000 guests."""

    def work(handle: libvirt.virConnect) -> list[DomainStatus]:
        rows = handle.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0)
        return [
            _status(domain, int(stats["state.state"]), int(stats["state.reason"]))
            for domain, stats in rows
            if not is_probe(domain.name())
        ]

    return conn.call(work, "list the guests")


def domain_state(conn: Connection, uuid: Uuid) -> DomainStatus:
    """State of one guest. Raises GuestNotFound."""
    return on_guest(conn, uuid, "read guest {}", lambda domain: _status(domain, *domain.state()))


def find_domain(conn: Connection, name: str) -> DomainStatus | None:
    """The guest of that name, or None."""
    try:
        return conn.call(
            lambda handle: _status(domain := handle.lookupByName(name), *domain.state()), f"look up guest {name}"
        )
    except GuestNotFound:
        return None


def domain_xml(conn: Connection, uuid: Uuid, *, live: bool = False, secure: bool = False) -> str:
    """The definition: of the next start, or with `live` of now (the same while it is off).

    `secure` adds passwords, which libvirt leaves out otherwise; needed for XML that goes back into `define`.
    """
    flags = 0 if live else libvirt.VIR_DOMAIN_XML_INACTIVE
    if secure:
        flags |= libvirt.VIR_DOMAIN_XML_SECURE
    return on_guest(conn, uuid, "read guest {}", lambda domain: str(domain.XMLDesc(flags)))


def define(conn: Connection, xml: str) -> str:
    """Define a guest or redefine it (same uuid) and return its uuid.

    The XML is checked against libvirt's schema. Raises GuestExists (the name belongs to another), Invalid (numbers that
    no host can have) or DefinitionRefused. https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainDefineXMLFlags
    """
    name = check_domain(xml)
    return conn.call(
        lambda handle: str(handle.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE).UUIDString()),
        f"define guest {name}",
    )


def undefine(conn: Connection, uuid: Uuid, *, keep_nvram: bool = False, keep_tpm: bool = False) -> bool:
    """Remove the definition with what libvirt keeps beside it: managed save, snapshot and checkpoint metadata, NVRAM,
    TPM.

    Disks stay. A running guest goes on as a transient one. Returns False when there is no definition (any more).
    """

    def action(domain: libvirt.virDomain) -> bool:
        if not domain.isPersistent():
            return False
        domain.undefineFlags(_undefine_flags(domain.connect().getLibVersion(), keep_nvram, keep_tpm))
        return True

    try:
        return on_guest(conn, uuid, "undefine guest {}", action, timeout_s=60)
    except GuestNotFound:
        return False


def set_autostart(conn: Connection, uuid: Uuid, on: bool) -> None:
    """Start the guest with its host, or no longer. Raises WrongState for a transient guest."""
    on_guest(conn, uuid, "set autostart of guest {}", lambda domain: domain.setAutostart(int(on)))


def rename(conn: Connection, uuid: Uuid, name: str) -> None:
    """Give a shut-off guest another name. Raises WrongState while it is active, GuestExists when the name is taken."""
    validate.guest_name(name)

    def action(domain: libvirt.virDomain) -> None:
        if domain.isActive():
            raise WrongState(f"Guest {domain.name()} runs. Shut it down, then rename it.")
        if domain.name() != name:
            domain.rename(name, 0)

    on_guest(conn, uuid, f"rename guest {{}} to {_braces(name)}", action)


def set_memory(conn: Connection, uuid: Uuid, memory_mib: int, *, live: bool = False) -> None:
    """Memory from the next start on; with `live` also the balloon of the running guest, within its maximum.

    Raises Invalid (bounds, also those of the host) or WrongState (`live` above what the guest was started with).
    """
    validate.memory_mib(memory_mib)

    def action(domain: libvirt.virDomain) -> None:
        validate.memory_mib(memory_mib, host_mib=host_memory_mib(domain.connect()))
        if live and domain.isActive():
            if memory_mib * 1024 > domain.maxMemory():
                limit = domain.maxMemory() // 1024
                raise WrongState(
                    f"Guest {domain.name()} was started with {limit} MiB. More takes effect at its next start."
                )
            domain.setMemoryFlags(memory_mib * 1024, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        if domain.isPersistent():
            document = _definition(domain)
            document.memory_mib = memory_mib
            _redefine(domain, document)

    on_guest(conn, uuid, "set the memory of guest {}", action)


def set_vcpus(conn: Connection, uuid: Uuid, vcpus: int, *, live: bool = False) -> None:
    """vCPUs from the next start on; with `live` also added to the running guest, within its maximum.

    Taking vCPUs out of a running guest is refused: few guests let go of one, and emulated ones crash.
    Raises Invalid, WrongState or NotSupported.
    """
    validate.vcpus(vcpus)

    def action(domain: libvirt.virDomain) -> None:
        if live and domain.isActive():
            if vcpus > domain.maxVcpus():
                raise WrongState(
                    f"Guest {domain.name()} was started with at most {domain.maxVcpus()} vCPUs. "
                    "More take effect at its next start."
                )
            if vcpus < domain.vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE):
                raise NotSupported(
                    f"vCPUs cannot be taken out of guest {domain.name()} while it runs. Shut it down first."
                )
            domain.setVcpusFlags(vcpus, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        if domain.isPersistent():
            document = _definition(domain)
            document.vcpus = vcpus
            _redefine(domain, document)

    on_guest(conn, uuid, "set the vCPUs of guest {}", action)


def _info(domain: libvirt.virDomain) -> DomainInfo:
    read_at = time.time()
    state, reason = domain_state_of(*domain.state())
    is_active, is_persistent = bool(domain.isActive()), bool(domain.isPersistent())
    live_xml = domain.XMLDesc(0) if is_active else None
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if is_persistent or live_xml is None else live_xml
    return DomainInfo(
        uuid=domain.UUIDString(),
        name=domain.name(),
        state=state,
        reason=reason,
        xml=xml,
        live_xml=live_xml,
        is_persistent=is_persistent,
        autostart=is_persistent and bool(domain.autostart()),
        has_managed_save=is_persistent and bool(domain.hasManagedSaveImage(0)),
        id=domain.ID() if is_active and domain.ID() >= 0 else None,
        read_at=read_at,
    )


def _definition(domain: libvirt.virDomain) -> DomainXML:
    return DomainXML(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))


def _redefine(domain: libvirt.virDomain, document: DomainXML) -> None:
    domain.connect().defineXMLFlags(document.to_xml(), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)


def _status(domain: libvirt.virDomain, state: int, reason: int) -> DomainStatus:
    known, why = domain_state_of(state, reason)
    return DomainStatus(uuid=domain.UUIDString(), name=domain.name(), state=known, reason=why)


def _undefine_flags(library_version: int, keep_nvram: bool, keep_tpm: bool) -> int:
    flags = [
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE,
        libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA,
        libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA,
        libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM if keep_nvram else libvirt.VIR_DOMAIN_UNDEFINE_NVRAM,
    ]
    if library_version >= 8_009_000:  # the first that knows the two
        flags.append(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM if keep_tpm else libvirt.VIR_DOMAIN_UNDEFINE_TPM)
    return sum(flags)


def _braces(value: str) -> str:
    return value.replace("{", "{{").replace("}", "}}")
