"""Hosts."""

from __future__ import annotations

from dataclasses import dataclass


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
    iowait_ns: int = 0  # idle, while something waited for a disk


@dataclass(frozen=True, kw_only=True)
class HostUsage:
    """The percentages are None on the first reading: they take two."""

    times: HostCpuTimes
    cpu_percent: float | None
    iowait_percent: float | None = None
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
