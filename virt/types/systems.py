"""Installation media and operating systems."""

from __future__ import annotations

from dataclasses import dataclass


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
