"""Pools, volumes and images as REST shows them, and what it takes. What is shown is a line of a list (`rows.py`)."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Schema
from pydantic import SecretStr

from accounts.rest import Pages

from .chains import backing_chain
from .iso_rows import IsoLine
from .rows import VolumeLine, guests_of

MAX_BYTES = 2**63 - 1


class Ref(Schema):
    """Another object, by row id and name."""

    id: int
    name: str


class PoolOut(Schema):
    """A storage pool as last seen. Sizes are those of its last refresh, also while it is stopped."""

    id: int = Field(validation_alias="pool.pk")
    uuid: str
    name: str = Field(validation_alias="pool.name")
    host: Ref = Field(validation_alias="pool.host")
    type: str = Field(validation_alias="pool.type", description="libvirt's: dir, logical, netfs …")
    state: str = Field(description="active, inactive or missing")
    autostart: bool = Field(validation_alias="pool.autostart")
    target_path: str = Field(validation_alias="pool.target_path")
    capacity_bytes: int = Field(validation_alias="pool.capacity_bytes")
    allocation_bytes: int = Field(validation_alias="pool.allocation_bytes")
    available_bytes: int = Field(validation_alias="pool.available_bytes")
    volume_count: int = Field(validation_alias="pool.volume_count")
    promised_bytes: int = Field(description="What its volumes may grow to, all together.")
    warn_percent: int = Field(
        validation_alias="pool.warn_percent", description="Fuller than that is too full; 0: never."
    )
    closed_to_qemu: str = Field(
        validation_alias="pool.closed_to_qemu", description="The directory that QEMU may not enter; empty: none."
    )
    refreshed_at: datetime | None = Field(
        validation_alias="pool.refreshed_at", description="When libvirt last looked at the files."
    )
    job_id: int | None = Field(description="The unfinished job that changes it.")

    @staticmethod
    def resolve_uuid(line: Any) -> str:
        return str(line.pool.uuid)


class VolumeOut(Schema):
    """A volume as last seen."""

    id: int = Field(validation_alias="volume.pk")
    name: str = Field(validation_alias="volume.name")
    pool: Ref = Field(validation_alias="volume.pool")
    host: Ref = Field(validation_alias="volume.pool.host")
    path: str = Field(validation_alias="volume.path")
    format: str = Field(
        validation_alias="volume.format", description="raw, qcow2, iso …; empty where the pool has no formats"
    )
    encryption: str = Field(validation_alias="volume.encryption", description="luks; empty: it is not encrypted")
    capacity_bytes: int = Field(validation_alias="volume.capacity_bytes", description="What a guest sees.")
    allocation_bytes: int = Field(validation_alias="volume.allocation_bytes", description="What the host holds.")
    backing_path: str = Field(validation_alias="volume.backing_path", description="The image that it lies on.")
    used_by_count: int = Field(description="How many guests have it.")
    iso_id: int | None = Field(description="The same file in the ISO library.")
    missing_since: datetime | None = Field(validation_alias="volume.missing_since")
    first_seen_at: datetime = Field(validation_alias="volume.first_seen_at")
    job_id: int | None = Field(description="The unfinished job that changes it.")


class VolumeDetailOut(VolumeOut):
    """A volume, who has it and what it lies on."""

    used_by: list[Ref] = Field(description="At most 50 of them.")
    backing_chain: list[str] = Field(description="Paths, the next one first, as far as they are known.")
    chain_problem: str = Field(description="What is wrong with the end of the chain; empty: nothing that is known.")

    @staticmethod
    def resolve_used_by(line: VolumeLine) -> list[Any]:
        return guests_of(line.volume)[0]

    @staticmethod
    def resolve_backing_chain(line: VolumeLine) -> list[str]:
        return [link.path for link in backing_chain(line.volume)]

    @staticmethod
    def resolve_chain_problem(line: VolumeLine) -> str:
        chain = backing_chain(line.volume)
        return chain[-1].problem if chain else ""


class IsoOut(Schema):
    """An install disc: where it lies, what is on it, whether it is what it should be."""

    id: int = Field(validation_alias="iso.pk")
    name: str = Field(validation_alias="iso.volume.name")
    volume_id: int = Field(validation_alias="iso.volume_id")
    pool: Ref = Field(validation_alias="iso.volume.pool")
    host: Ref = Field(validation_alias="iso.volume.pool.host")
    size_bytes: int = Field(validation_alias="iso.volume.capacity_bytes")
    file_bytes: int | None = Field(
        validation_alias="iso.file_bytes",
        description="The size of the file itself, where size_bytes is what a guest sees of it; null: not known.",
    )
    is_iso9660: bool | None = Field(
        validation_alias="iso.is_iso9660",
        description="null: nobody has looked yet; false: kept as a file, nothing can be installed from it",
    )
    label: str = Field(validation_alias="iso.label")
    os_id: str = Field(
        validation_alias="iso.os_id", description="libosinfo's: http://debian.org/debian/12; empty where not known"
    )
    os_name: str = Field(validation_alias="iso.os_name")
    os_is_guess: bool = Field(
        validation_alias="iso.os_is_guess", description="The nearest system that is known, not this very version."
    )
    os_is_eol: bool = Field(validation_alias="iso.os_is_eol", description="Its maker gives no updates any more.")
    os_set_by_hand: bool = Field(validation_alias="iso.os_set_by_hand")
    arch: str = Field(validation_alias="iso.arch")
    boots_bios: bool | None = Field(validation_alias="iso.boots_bios")
    boots_uefi: bool | None = Field(validation_alias="iso.boots_uefi")
    would_be_emulated: bool = Field(description="It is for another kind of processor than the host's.")
    sha256: str = Field(validation_alias="iso.sha256", description="Empty until a job has computed it.")
    sha256_expected: str = Field(validation_alias="iso.sha256_expected")
    checksum: str = Field(
        validation_alias="iso.checksum", description="unknown, unverified, computed, matches or differs"
    )
    signed_by: str = Field(
        validation_alias="iso.signed_by",
        description="The fingerprint of the key that has signed the vendor's list; empty: no signature was verified.",
    )
    used_by_count: int = Field(description="How many guests have it in a drive.")
    inspected_at: datetime | None = Field(validation_alias="iso.inspected_at")
    added_at: datetime = Field(validation_alias="iso.added_at")
    added_by: str | None = Field(description="null: found in the pool")
    kept_current: bool = Field(description="It is fetched anew when its vendor publishes another one.")
    missing_since: datetime | None = Field(validation_alias="iso.volume.missing_since")
    job_id: int | None = Field(description="The unfinished job that changes it.")


class IsoDetailOut(IsoOut):
    """An image and the guests that have it in a drive."""

    used_by: list[Ref] = Field(description="At most 50 of them.")

    @staticmethod
    def resolve_used_by(line: IsoLine) -> list[Any]:
        return guests_of(line.iso.volume)[0]


class SystemOut(Schema):
    """A system that an image can be set to."""

    id: str
    name: str
    family: str
    eol: bool


class PoolPatch(Schema):
    autostart: bool


class VolumeIn(Schema):
    pool: int = Field(description="Row id of the pool.", ge=0, le=MAX_BYTES)
    name: str = Field("", description="Empty in a pool of the type disk only: the kernel names partitions.")
    capacity_bytes: int = Field(ge=-MAX_BYTES, le=MAX_BYTES)
    format: str = Field("qcow2", description="qcow2, raw, or luks: raw and encrypted")
    preallocation: str = Field(
        "none", description="full takes all the space now, metadata that of a qcow2's tables, none as it is written to"
    )
    backing: int | None = Field(
        None, ge=0, le=MAX_BYTES, description="Row id of a volume of the host: the new one holds only what differs."
    )
    encryption: str = Field("", description="luks, of qcow2 or raw; empty: none")
    passphrase: SecretStr = Field(SecretStr(""), description="Of an encrypted one; nobody can read it back.")
    keep_passphrase: bool = Field(True, description="false: the host forgets it when its libvirt is restarted")


class IsoPatch(Schema):
    os_id: str | None = Field(
        None, description="One of GET /isos/systems; empty: as it is recognised at the next check."
    )
    sha256_expected: str | None = Field(None, description="What it should be; empty: nobody knows.")


class Lines(Pages):
    """Pages of lines: what each needs besides its row is gathered for the whole page at once.

    The endpoint returns the rows and the function that makes lines of them.
    """

    def paginate_queryset(self, queryset: Any, pagination: Any, request: HttpRequest, **params: Any) -> Any:
        rows, gather = queryset
        page = super().paginate_queryset(rows, pagination, request, **params)
        return {**page, "items": gather(page["items"])}
