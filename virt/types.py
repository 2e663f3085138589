"""What libvirt told us, as frozen values. Units are in the names; uuids are lower-case strings."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

Uuid: TypeAlias = str | UUID
"""How functions here take a uuid; values that come back carry it as a string."""


class DomainState(enum.StrEnum):
    """States of a guest. https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainState"""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    SHUTTING_DOWN = "shutting_down"
    SUSPENDED = "suspended"  # asleep by its own wish (ACPI S3); "paused" is what we did to it

    @property
    def is_active(self) -> bool:
        """Whether the guest has a QEMU process."""
        return self not in (DomainState.SHUTOFF, DomainState.CRASHED)


# --- guests -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DomainStatus:
    """The cheap part: which state a guest is in and how it came there ("booted", "destroyed", "crashed" …)."""

    uuid: str
    name: str
    state: DomainState
    reason: str


@dataclass(frozen=True, kw_only=True)
class DomainInfo:
    """A guest with its definition.

    `xml` is what it will be at its next start (for a transient guest: what it is now), `live_xml` what it is now or
    None when it is off. `id` is libvirt's number while it runs.
    """

    uuid: str
    name: str
    state: DomainState
    reason: str
    xml: str
    live_xml: str | None
    is_persistent: bool
    autostart: bool
    has_managed_save: bool
    id: int | None

    @property
    def is_active(self) -> bool:
        return self.live_xml is not None


@dataclass(frozen=True, kw_only=True)
class BlockStats:
    """Counters of one disk since the guest's start."""

    target: str
    read_bytes: int = 0
    write_bytes: int = 0
    read_requests: int = 0
    write_requests: int = 0
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class NetStats:
    """Counters of one interface, as the host sees them (rx is what the guest received)."""

    target: str
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_packets: int = 0
    tx_packets: int = 0
    rx_drops: int = 0
    tx_drops: int = 0


@dataclass(frozen=True, kw_only=True)
class DomainStats:
    """One sample of a guest. Counters only grow; rates are the difference of two samples divided by the time between.

    `memory_used_kib` is known when the guest's balloon driver reports (it is current - usable).
    """

    uuid: str
    name: str
    state: DomainState
    reason: str
    sampled_at: float  # time.monotonic()
    cpu_time_ns: int | None = None
    vcpus: int | None = None
    memory_max_kib: int | None = None
    memory_current_kib: int | None = None
    memory_rss_kib: int | None = None
    memory_unused_kib: int | None = None
    memory_available_kib: int | None = None
    memory_usable_kib: int | None = None
    blocks: tuple[BlockStats, ...] = ()
    nets: tuple[NetStats, ...] = ()

    @property
    def memory_used_kib(self) -> int | None:
        total = self.memory_available_kib or self.memory_current_kib
        free = self.memory_usable_kib if self.memory_usable_kib is not None else self.memory_unused_kib
        return None if total is None or free is None else max(0, total - free)


@dataclass(frozen=True, kw_only=True)
class GuestAddress:
    """An address of a guest, and who says so: "lease" (dnsmasq of a virtual network) or "agent" (the guest itself)."""

    interface: str
    mac: str
    address: str
    prefix: int
    family: str  # "ipv4" or "ipv6"
    source: str


# --- what a domain XML says --------------------------------------------------------------------------------------------


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


# --- hosts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What a host is. Versions are like "9.0.0"; `machine_types` are those of the host's own architecture."""

    hostname: str
    uuid: str
    arch: str
    cpu_model: str
    cpu_vendor: str
    sockets: int
    cores_per_socket: int
    threads_per_core: int
    cpus: int  # logical ones, on line
    numa_nodes: int
    memory_mib: int
    libvirt_version: str
    hypervisor_version: str
    hypervisor: str  # QEMU, TEST …
    kvm_offered: bool  # QEMU offers it; whether a guest boots on it is what kvm_probe finds out
    machine_types: tuple[str, ...]
    secure_models: tuple[str, ...]  # apparmor, selinux, dac


@dataclass(frozen=True, kw_only=True)
class HostCpuTimes:
    """Counters of the host's processors since its start, all processors added up."""

    busy_ns: int
    total_ns: int


@dataclass(frozen=True, kw_only=True)
class HostUsage:
    """`cpu_percent` is None on the first reading: it takes two."""

    times: HostCpuTimes
    cpu_percent: float | None
    memory_total_mib: int
    memory_used_mib: int
    memory_free_mib: int  # what guests could still get: free, buffers and page cache


@dataclass(frozen=True, kw_only=True)
class CompatSheet:
    """What a host can give a guest of one architecture, machine and type. From its domain capabilities.

    https://libvirt.org/formatdomaincaps.html
    """

    arch: str
    machine: str  # the canonical name, pc-q35-7.2
    domain_type: str
    emulator: str
    max_vcpus: int
    firmwares: tuple[str, ...]  # some of bios, uefi, uefi-secure
    efi_loaders: tuple[str, ...]
    cpu_modes: tuple[str, ...]  # host-passthrough, host-model, maximum, custom
    disk_buses: tuple[str, ...]
    graphics: tuple[str, ...]
    videos: tuple[str, ...]
    tpm_models: tuple[str, ...]
    tpm_versions: tuple[str, ...]
    rng_models: tuple[str, ...]
    hyperv_features: tuple[str, ...]

    @property
    def has_tpm(self) -> bool:
        """Whether swtpm is there to emulate one."""
        return bool(self.tpm_models)


@dataclass(frozen=True, kw_only=True)
class KvmProbe:
    """Whether a stock guest really boots with KVM. `reason` is a sentence for the user."""

    accelerated: bool
    reason: str
    seconds: float


# --- storage ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PoolInfo:
    """A storage pool. Sizes are as of its last refresh and 0 while it is inactive."""

    uuid: str
    name: str
    type: str  # dir, fs, netfs, logical …
    is_active: bool
    is_persistent: bool
    autostart: bool
    path: str
    capacity_bytes: int
    allocation_bytes: int
    available_bytes: int


@dataclass(frozen=True, kw_only=True)
class VolumeInfo:
    """A volume. `format` is raw, qcow2, iso …; `backing_path` the image that a qcow2 overlay lies on."""

    pool: str
    name: str
    key: str
    path: str
    type: str  # file, block, dir, network
    format: str | None
    capacity_bytes: int
    allocation_bytes: int
    backing_path: str | None


# --- networks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NetworkInfo:
    """A virtual network. `forward` is nat, route, open, bridge, isolated …; `ipv4` a CIDR like 192.168.122.1/24."""

    uuid: str
    name: str
    bridge: str | None
    forward: str
    is_active: bool
    is_persistent: bool
    autostart: bool
    ipv4: str | None
    dhcp_start: str | None
    dhcp_end: str | None
    domain: str | None
    xml: str


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A DHCP lease that a virtual network gave out. `expires_at` is a Unix time, None for ever."""

    mac: str
    address: str
    prefix: int
    hostname: str
    family: str
    expires_at: int | None


@dataclass(frozen=True, kw_only=True)
class BridgeInfo:
    """A bridge device of the host. `network` is the virtual network it belongs to, None for one that people made."""

    name: str
    mac: str
    is_active: bool
    ports: tuple[str, ...]
    addresses: tuple[str, ...]
    network: str | None


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something happened to an object. `data` has what libvirt added (the device, the reason, the new size)."""

    uuid: str
    name: str
    kind: str
    detail: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DomainEvent(Event):
    """`kind`: defined, undefined, started, suspended, resumed, stopped, shutdown, pmsuspended, crashed (with libvirt's
    reason in `detail`), rebooted, rtc_changed, device_added, device_removed, device_removal_failed, balloon, agent, block_job,
    tray, disk_changed, media_changed, metadata, io_error, watchdog, graphics, job_completed, block_threshold, memory_failure,
    memory_device_size, control_error, tunable."""


@dataclass(frozen=True, kw_only=True)
class NetworkEvent(Event):
    """`kind`: defined, undefined, started, stopped, metadata."""


@dataclass(frozen=True, kw_only=True)
class PoolEvent(Event):
    """`kind`: defined, undefined, started, stopped, created, deleted, refreshed."""


@dataclass(frozen=True, kw_only=True)
class NodeDeviceEvent(Event):
    """A device of the host. `kind`: created, deleted, defined, undefined, updated; `uuid` is empty."""


@dataclass(frozen=True, kw_only=True)
class ConnectionClosed(Event):
    """The connection is gone and all registrations with it. `kind`: error, eof, keepalive, client."""


# --- systems ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class IsoHeader:
    """What the first kilobytes of an ISO image say. https://wiki.osdev.org/ISO_9660"""

    volume_id: str
    system_id: str
    publisher_id: str
    application_id: str
    size_bytes: int
    boots_bios: bool
    boots_uefi: bool
    arch: str | None  # x86_64, aarch64 … where the image says so
    is_udf: bool = False

    @property
    def is_bootable(self) -> bool:
        return self.boots_bios or self.boots_uefi


@dataclass(frozen=True, kw_only=True)
class OsMatch:
    """The system that an installation medium carries. `confidence`: exact, nearest (another version of it) or guess."""

    id: str
    short_id: str
    name: str
    version: str
    family: str  # linux, windows, bsd, other
    eol: bool
    arch: str | None
    confidence: str


@dataclass(frozen=True, kw_only=True)
class OsChoice:
    """One line of the picker."""

    id: str
    short_id: str
    name: str
    family: str
    distro: str
    version: str
    eol: bool
    released: str  # ISO date or empty


@dataclass(frozen=True, kw_only=True)
class OsTraits:
    """What a system needs and which devices it has drivers for out of the box."""

    id: str
    short_id: str
    name: str
    family: str
    distro: str
    version: str
    min_memory_mib: int
    min_vcpus: int
    min_disk_gib: int
    memory_mib: int  # recommended, as are the next two
    vcpus: int
    disk_gib: int
    virtio_disk: bool
    virtio_net: bool
    virtio_rng: bool
    virtio_balloon: bool
    usb_tablet: bool
    q35: bool
    needs_uefi: bool
    needs_secure_boot: bool
    needs_tpm: bool
