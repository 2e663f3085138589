"""Guests as REST shows and takes them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema
from pydantic import SecretStr

from hosts.rest import HostRef

from .lists_rest import MAX_ID as MAX_ID
from .lists_rest import GuestsIn
from .models import Disk, Guest, Nic
from .plan import GuestPlan, NewGuest
from .plan_tree import NewTree


class AddressOut(Schema):
    address: str
    source: str = Field(description="agent (the guest itself), lease (of its network) or arp (its host heard it)")
    mac: str


class GuestOut(Schema):
    """A guest as last seen on its host."""

    id: int
    uuid: UUID
    name: str
    title: str
    host: HostRef
    state: str = Field(
        description="running, paused, shutting_down, shutoff, crashed, suspended, saved, missing or creating"
    )
    state_reason: str
    state_since: datetime
    missing_since: datetime | None
    persistent: bool
    autostart: bool
    vcpus: int
    memory_mib: int
    arch: str
    machine: str
    firmware: str = Field(description="bios, uefi or uefi-secure")
    is_emulated: bool
    os_id: str
    os_name: str
    graphics: str
    needs_restart: bool
    cpu_percent: float | None = Field(description="Of all its vCPUs; null while nobody knows.")
    memory_used_mib: int | None = Field(description="As the guest sees it.")
    memory_held_mib: int | None = Field(description="What its process holds on the host.")
    addresses: list[AddressOut]
    sampled_at: datetime | None
    tags: list[str]
    folder: str | None = Field(None, description="The path of the folder that it is in.")

    @staticmethod
    def resolve_tags(guest: Guest) -> list[str]:
        return sorted(tag.name for tag in guest.tags.all())

    @staticmethod
    def resolve_folder(guest: Guest) -> str | None:
        return guest.folder.path if guest.folder else None


class DiskOut(Schema):
    target: str
    bus: str
    device: str = Field(description="disk, cdrom, floppy or lun")
    source: str = Field(description="A path, or pool/volume; empty for an empty drive.")
    volume: int | None = Field(None, description="Row id of the volume, where it is one.")
    format: str
    is_readonly: bool
    boot_order: int | None
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None

    @staticmethod
    def resolve_volume(disk: Disk) -> int | None:
        return disk.volume_id

    @staticmethod
    def resolve_capacity_bytes(disk: Disk) -> int | None:
        return disk.volume.capacity_bytes if disk.volume else None

    @staticmethod
    def resolve_allocation_bytes(disk: Disk) -> int | None:
        return disk.volume.allocation_bytes if disk.volume else None


class NicOut(Schema):
    mac: str
    kind: str = Field(description="network, bridge, direct, user …")
    source: str
    model: str
    is_link_up: bool
    network: int | None = Field(None, description="Row id of the virtual network, where it is on one.")
    bridge: int | None = Field(None, description="Row id of the host's bridge, where it is on one.")

    @staticmethod
    def resolve_network(nic: Nic) -> int | None:
        return nic.network_id

    @staticmethod
    def resolve_bridge(nic: Nic) -> int | None:
        return nic.bridge_id


class PendingOut(Schema):
    what: str
    now: str
    then: str


class GuestDetailOut(GuestOut):
    """A guest with what it is made of."""

    description: str
    has_serial: bool
    has_agent_channel: bool
    changes_at_restart: list[PendingOut]
    disks: list[DiskOut]
    nics: list[NicOut]

    @staticmethod
    def resolve_disks(guest: Guest) -> list[Any]:
        return list(guest.disks.select_related("volume"))

    @staticmethod
    def resolve_nics(guest: Guest) -> list[Any]:
        return list(guest.nics.all())


class GuestIn(Schema):
    """A guest to make. What is left out is chosen for its system and host. Ids are those that the lists give."""

    name: str
    host: int | None = Field(None, ge=0, le=MAX_ID, description="May be left out where there is one only.")
    os: str = Field("", description="Id or short id of a system, e.g. debian12; empty: that of the ISO.")
    title: str = ""
    description: str = ""
    vcpus: int | None = None
    memory_mib: int | None = None
    iso: int | None = Field(None, ge=0, le=MAX_ID, description="An install disc to boot from.")
    boots_from_network: bool = Field(False, description="PXE, after its disk.")
    tree: int | None = Field(
        None, ge=0, le=MAX_ID, description="An ISO that is published as an install tree: its installer boots once."
    )
    tree_url: str = Field("", description="Or the address of a distribution's tree, http or https.")
    tree_base: str = Field(
        "", description="kvmweb as the guest reaches it, http://192.168.122.1:8000; empty: as this request called it."
    )
    tree_arguments: str = Field("", description="For the installer's kernel, such as inst.ks=…")
    volume: int | None = Field(None, ge=0, le=MAX_ID, description="An existing volume as its disk.")
    pool: int | None = Field(None, ge=0, le=MAX_ID, description="Where its new disk is made.")
    disk_gib: float | None = Field(None, description="Size of its new disk; 0: no disk.")
    format: str = Field("", description="qcow2 or raw")
    encryption: str = Field("", description="luks, of its new disk; empty: none")
    passphrase: SecretStr = Field(SecretStr(""), description="Of an encrypted new disk; nobody can read it back.")
    keep_passphrase: bool = Field(True, description="The host keeps it when its libvirt is restarted.")
    network: int | None = Field(None, ge=0, le=MAX_ID)
    bridge: int | None = Field(None, ge=0, le=MAX_ID, description="A bridge of the host instead of a network.")
    has_network: bool = True
    firmware: str = Field("", description="bios, uefi or uefi-secure")
    start: bool = True

    def wanted(self, origin: str) -> NewGuest:
        """`origin` is kvmweb as the request called it."""
        values = self.dict(exclude={"passphrase", "keep_passphrase"})
        if self.tree is not None:
            values["tree_base"] = self.tree_base or origin
        return NewGuest(**values)


class TreePlanOut(Schema):
    """What the first start boots, of an address as far as it is known before anybody looked."""

    url: str
    pool: str
    kernel: str = Field(description="The volume for it, which goes after the start; so does `initrd`.")
    initrd: str
    arguments: str


class CheckOut(Schema):
    verdict: str = Field(description="ok, warn or info")
    text: str


class PlanOut(Schema):
    """What would be made. UUID and MAC are drawn anew when it really is."""

    name: str
    host: HostRef
    os_id: str
    os_name: str
    vcpus: int
    memory_mib: int
    firmware: str
    machine: str
    is_emulated: bool
    disk: dict[str, Any] | None
    tree: TreePlanOut | None
    network: str | None
    bridge: str | None
    checks: list[CheckOut]
    xml: str
    first_xml: str = Field(description="Of the first start, where it installs from a tree; else empty.")

    @classmethod
    def of(cls, plan: GuestPlan) -> "PlanOut":
        return cls(
            name=plan.name,
            host=HostRef(id=plan.host.pk, name=plan.host.name),
            os_id=plan.os.id,
            os_name=plan.os.name,
            vcpus=plan.vcpus,
            memory_mib=plan.memory_mib,
            firmware=plan.firmware,
            machine=plan.machine,
            is_emulated=plan.is_emulated,
            disk=plan.disk.as_argument() if plan.disk else None,
            tree=_tree(plan.tree) if plan.tree else None,
            network=plan.network.name if plan.network else None,
            bridge=plan.bridge.name if plan.bridge else None,
            checks=[CheckOut(verdict=check.verdict, text=check.text) for check in plan.checks],
            xml=plan.xml,
            first_xml=plan.first_xml,
        )


def _tree(tree: NewTree) -> TreePlanOut:
    return TreePlanOut(
        url=f"{tree.url}/", pool=tree.pool.name, kernel=tree.kernel, initrd=tree.initrd, arguments=tree.arguments
    )


class GuestPatch(Schema):
    """What is given is changed, all of it or nothing."""

    name: str | None = None
    title: str | None = None
    description: str | None = None
    autostart: bool | None = None
    vcpus: int | None = None
    memory_mib: int | None = None


class MediaIn(Schema):
    target: str = Field(description="The drive, e.g. sda.")
    iso: int | None = Field(None, ge=0, le=MAX_ID, description="Row id of the ISO; null ejects what is in it.")


class PowerIn(GuestsIn):
    """One verb for many guests. Those that are busy are left out and named when the job ends."""

    verb: str = Field(description="start, shutdown, reboot, suspend, resume, save, reset or destroy")


class XmlOut(Schema):
    xml: str
