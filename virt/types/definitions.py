"""What a definition says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DiskSummary:
    """One <disk>. `source` is the path or device, or "pool/volume" for kind volume; empty for an empty drive."""

    target: str
    bus: str
    device: str  # disk, cdrom, floppy, lun
    kind: str  # file, block, volume, network, dir, nvme, vhostuser
    source: str
    pool: str | None
    volume: str | None
    format: str | None
    readonly: bool
    shareable: bool
    boot_order: int | None
    backing_paths: tuple[str, ...] = ()  # the images below it, as far as libvirt has looked


@dataclass(frozen=True, kw_only=True)
class NicSummary:
    """One <interface>. `source` names the network, bridge or host device; `target` the tap device while it runs."""

    mac: str
    kind: str  # network, bridge, user, direct, ethernet, hostdev …
    source: str
    model: str | None
    target: str | None
    link_up: bool
    boot_order: int | None


@dataclass(frozen=True, kw_only=True)
class GraphicsSummary:
    """One <graphics>. `listen` is none, address, socket or network; `port` is set for a running TCP listener."""

    type: str  # vnc, spice …
    listen: str
    address: str | None
    port: int | None
    socket: str | None
    has_password: bool


@dataclass(frozen=True, kw_only=True)
class DomainSummary:
    """What pages show of a domain XML."""

    name: str
    uuid: str
    title: str
    description: str
    domain_type: str  # kvm, qemu …
    memory_mib: int  # at start; the balloon may take some away while it runs
    max_memory_mib: int  # with memory hotplug, else the same as memory_mib
    vcpus: int  # at start
    max_vcpus: int
    os_type: str
    arch: str
    machine: str
    firmware: str  # bios, uefi, uefi-secure
    cpu_mode: str | None
    osinfo_id: str | None
    disks: tuple[DiskSummary, ...]
    nics: tuple[NicSummary, ...]
    graphics: tuple[GraphicsSummary, ...]
    boot_devices: tuple[str, ...]
    has_serial: bool
    has_agent_channel: bool
    has_tpm: bool

    @property
    def is_emulated(self) -> bool:
        """Without hardware help: every instruction is translated, many times slower."""
        return self.domain_type == "qemu"
