"""What a host is, in detail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PagePool:
    """Memory pages of one size. Normal pages (4 KiB) are in it too."""

    size_kib: int
    total: int
    free: int | None


@dataclass(frozen=True, kw_only=True)
class NumaCell:
    id: int
    memory_mib: int
    free_mib: int | None
    cpus: str  # "0-3,8-11"
    pages: tuple[PagePool, ...]
    distances: tuple[int, ...]  # to each cell, in order; 10 is here


@dataclass(frozen=True, kw_only=True)
class CacheBank:
    level: int
    type: str  # both, data, code
    size_kib: int
    cpus: str


@dataclass(frozen=True, kw_only=True)
class FirmwareImage:
    """A UEFI build that guests can start from. libvirt does not tell of each whether it does Secure Boot: `secure` is
    by the names that distributions give them.
    """

    path: str
    machine: str
    secure: bool


@dataclass(frozen=True, kw_only=True)
class HostDetails:
    """`iommu` is None where libvirt does not say. `qemu_uid` and `qemu_gid` are those that guests run under."""

    cpu_name: str  # as printed on it, where the machine has SMBIOS data
    cpu_features: tuple[str, ...]  # all, those of the model too
    cpu_mhz: int
    microcode: str
    physical_bits: int | None
    caches: tuple[CacheBank, ...]
    cells: tuple[NumaCell, ...]
    iommu: bool | None
    machine_vendor: str
    machine_product: str
    bios: str
    emulator: str
    default_machine: str  # what "q35" or "virt" stands for
    max_vcpus: int | None
    firmware: tuple[FirmwareImage, ...]
    tpm_models: tuple[str, ...]
    tpm_versions: tuple[str, ...]
    sev: bool
    sgx: bool
    virtiofs: bool
    memfd: bool
    incremental_backup: bool
    external_snapshots: bool
    migration_transports: tuple[str, ...]
    qemu_uid: int | None
    qemu_gid: int | None
