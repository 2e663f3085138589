"""What a new guest will be, worked out and checked from rows alone, before anything is made."""

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotAllowed
from hosts.maintenance import require_open
from hosts.models import Host
from hosts.reaching.address import vnc_listen
from hosts.services import require_enabled
from networking.models import Bridge, Network
from storage.models import Iso, Volume
from storage.rules import FILE_POOLS, NETWORK_POOLS
from virt import validate
from virt.errors import GuestExists, Invalid, WrongState
from virt.new_guest import DiskSpec, GuestSpec, NicSpec, default_firmware, guest_xml, mac_address
from virt.tree_boot import first_start_xml
from virt.types import CompatSheet, OsTraits

from . import plan_disks, plan_tree, sheets
from .checks import Check, checks_of
from .models import Guest, Nic
from .plan_disks import NewDisk
from .plan_tree import NewTree
from .systems import find_os

FIRMWARES = ("bios", "uefi", "uefi-secure")
LONGEST = {"title": 255, "description": 8_000}


@dataclass(frozen=True, kw_only=True)
class NewGuest:
    """What somebody asks for. Ids are those of rows; what is None or "" is chosen for the system and the host.

    The disk is an existing volume, or a new one of `disk_gib` in a pool; 0: none.
    """

    name: str
    host: int | None = None
    os: str = ""  # libosinfo's id or short id
    title: str = ""
    description: str = ""
    vcpus: int | None = None
    memory_mib: int | None = None
    iso: int | None = None
    boots_from_network: bool = False
    tree: int | None = None  # an image that is published as an install tree
    tree_url: str = ""  # or the address of a distribution's
    tree_base: str = ""  # kvmweb as the guest reaches it, for a published one
    tree_arguments: str = ""  # for the installer's kernel, beside those that lead it to the tree
    volume: int | None = None
    pool: int | None = None
    disk_gib: float | None = None
    format: str = ""
    encryption: str = ""  # luks, of the new disk; its passphrase goes to the service beside this, and is never kept
    network: int | None = None
    bridge: int | None = None
    has_network: bool = True
    firmware: str = ""
    start: bool = True

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class GuestPlan:
    """A guest that can be made. UUID and MAC are drawn now, so that what is taken back later is exactly this one."""

    wanted: NewGuest
    host: Host
    uuid: UUID
    name: str
    title: str
    description: str
    os: OsTraits
    vcpus: int
    memory_mib: int
    firmware: str
    machine: str
    is_emulated: bool
    iso: Iso | None
    disk: NewDisk | None
    volume: Volume | None
    tree: NewTree | None
    network: Network | None
    bridge: Bridge | None
    mac: str
    xml: str
    first_xml: str = ""  # of the one start that boots the tree's kernel
    checks: tuple[Check, ...] = field(default=())


def plan_guest(wanted: NewGuest, *, by: User) -> GuestPlan:
    """Work out and check what `wanted` means. Asks no libvirt.

    Raises NotAllowed, Invalid (with the field), GuestExists, VolumeInUse, PoolFull, AddressRefused, WrongState (a pool
    or network is stopped), HostDisabled, HostInMaintenance or NotReady (the host was never connected).
    """
    host = host_for(wanted.host, by)
    require_enabled(host)
    require_open(host)
    name = _free_name(host, wanted.name)
    iso = plan_disks.iso_for(host, wanted.iso, by)
    os = find_os(wanted.os or (iso.os_id if iso else "") or plan_tree.os_of(wanted, by))
    sheet = sheets.sheet_for(host, os)
    firmware = _firmware(wanted.firmware, os, sheet, iso)
    volume = plan_disks.existing_volume(host, wanted.volume, by)
    disk, warning = (None, "") if volume else plan_disks.new_disk(host, name, os, wanted, by)
    if wanted.encryption and not disk:
        raise Invalid(_("There is no new disk that could be encrypted."), field="encryption")
    network, bridge = _network(host, wanted, by)
    tree = plan_tree.tree_for(host, name, os, wanted, by, pool=disk.pool if disk else None, network=network)
    vcpus = validate.vcpus(
        min(os.vcpus, max(1, host.cpus)) if wanted.vcpus is None else wanted.vcpus, host_max=sheet.max_vcpus
    )
    memory_mib = validate.memory_mib(
        default_memory_mib(os, host) if wanted.memory_mib is None else wanted.memory_mib,
        host_mib=host.memory_mib or None,
    )
    uuid, mac = uuid4(), _free_mac()
    plan = GuestPlan(
        wanted=wanted,
        host=host,
        uuid=uuid,
        name=name,
        title=checked_text("title", wanted.title),
        description=checked_text("description", wanted.description),
        os=os,
        vcpus=vcpus,
        memory_mib=memory_mib,
        firmware=firmware,
        machine=sheet.machine,
        is_emulated=sheet.domain_type == "qemu",
        iso=iso,
        disk=disk,
        volume=volume,
        tree=tree,
        network=network,
        bridge=bridge,
        mac=mac,
        xml="",
    )
    return _complete(plan, sheet, warning)


def host_for(host_id: int | None, by: User) -> Host:
    """The host to make a guest on: the one asked for, or the only one. Raises NotAllowed or Invalid ("host")."""
    hosts = Host.objects.permitted(by, "create").present()
    if host_id is not None:
        host: Host | None = hosts.filter(pk=host_id).first()
        if host is None and hosts.exists():
            raise Invalid(_("There is no such host."), field="host")
    else:
        found = list(hosts[:2])
        if len(found) > 1:
            raise Invalid(_("Say which host it is to run on."), field="host")
        host = found[0] if found else None
    if host is None:
        if Host.objects.exists():
            raise NotAllowed(_("You may not create guests. It needs the role operator on a host."))
        raise Invalid(_("There is no host yet on which a guest could be made."), field="host")
    return host


def default_memory_mib(os: OsTraits, host: Host) -> int:
    """What the system is comfortable with, but at most half of the host, and not less than the system needs."""
    half = host.memory_mib // 2 if host.memory_mib else os.memory_mib
    return max(min(os.memory_mib, half), min(os.min_memory_mib, host.memory_mib or os.min_memory_mib), 64)


def default_network(host: Host) -> Network | None:
    """The network to offer first: libvirt's own where it runs."""
    running = Network.objects.filter(host=host, missing_since=None, is_active=True)
    return running.filter(name="default").first() or running.first()


def _free_name(host: Host, name: str) -> str:
    name = validate.guest_name(name)
    if Guest.objects.filter(host=host, name=name, missing_since=None).exists():
        sentence = _("%(host)s has a guest named %(name)s already. Choose another name.")
        raise GuestExists(sentence % {"host": host.name, "name": name}, field="name")
    return name


def _firmware(wanted: str, os: OsTraits, sheet: CompatSheet, iso: Iso | None) -> str:
    if wanted and wanted not in FIRMWARES:
        raise Invalid(_("The firmware must be one of: %(names)s.") % {"names": ", ".join(FIRMWARES)}, field="firmware")
    if wanted and wanted not in sheet.firmwares:
        sentence = _("This host has no %(wanted)s firmware. It has: %(names)s.")
        raise Invalid(sentence % {"wanted": wanted, "names": ", ".join(sheet.firmwares)}, field="firmware")
    if not wanted and iso and iso.boots_bios is False and "uefi" in sheet.firmwares and not os.needs_secure_boot:
        return "uefi"
    return wanted or default_firmware(os, sheet)


def _network(host: Host, wanted: NewGuest, by: User) -> tuple[Network | None, Bridge | None]:
    if not wanted.has_network:
        return None, None
    if wanted.network is not None and wanted.bridge is not None:
        raise Invalid(_("A network card is on a virtual network or on a bridge, not on both."), field="bridge")
    if wanted.bridge is not None:
        bridges = Bridge.objects.permitted(by, "view").filter(host=host, missing_since=None)
        bridge = bridges.filter(pk=wanted.bridge).first()
        if bridge is None:
            raise Invalid(_("There is no such bridge on %(host)s.") % {"host": host.name}, field="bridge")
        return None, bridge
    if wanted.network is None:
        return default_network(host), None
    networks = Network.objects.permitted(by, "view").filter(host=host, missing_since=None)
    network = networks.filter(pk=wanted.network).first()
    if network is None:
        raise Invalid(_("There is no such network on %(host)s.") % {"host": host.name}, field="network")
    if wanted.start and not network.is_active:
        sentence = _("The network %(network)s is stopped: a guest on it does not start. Start it, or choose another.")
        raise WrongState(sentence % {"network": network.name}, field="network")
    return network, None


def checked_text(field: str, text: str) -> str:
    """A title or a description, without blanks around it. Raises Invalid."""
    text = validate.xml_text(text.strip(), field=field)
    if len(text) > LONGEST[field]:
        raise Invalid(_("This text can have %(most)d characters at most.") % {"most": LONGEST[field]}, field=field)
    if field == "title" and "\n" in text:
        raise Invalid(_("A title is one line."), field=field)
    return text


def _free_mac() -> str:
    while Nic.objects.filter(mac=(address := mac_address())).exists():
        continue
    return address


def _complete(plan: GuestPlan, sheet: CompatSheet, warning: str) -> GuestPlan:
    """Add the XML and what is worth knowing about it."""
    spec = GuestSpec(
        name=plan.name,
        uuid=str(plan.uuid),
        title=plan.title,
        description=plan.description,
        os=plan.os,
        vcpus=plan.vcpus,
        memory_mib=plan.memory_mib,
        disks=_disks(plan),
        cdrom=plan.iso.volume.path if plan.iso else None,
        nics=_nics(plan),
        domain_type=sheet.domain_type,
        firmware=plan.firmware,
        vnc_listen=vnc_listen(plan.host.uri),
    )
    values = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    xml, tree = guest_xml(spec, sheet), plan.tree
    if tree:
        kernel, initrd = tree.path(tree.kernel), tree.path(tree.initrd)
        values["first_xml"] = first_start_xml(xml, kernel=kernel, initrd=initrd, arguments=tree.arguments)
    return GuestPlan(**{**values, "xml": xml, "checks": tuple(checks_of(plan, sheet, warning))})


def _disks(plan: GuestPlan) -> tuple[DiskSpec, ...]:
    order = 1 if plan.wanted.boots_from_network else None
    if plan.disk:
        is_block = plan.disk.pool.type not in FILE_POOLS
        made = DiskSpec(
            path=plan.disk.path,
            format=plan.disk.format,
            is_block=is_block,
            boot_order=order,
            encryption=plan.disk.encryption,
        )
        return (made,)
    if plan.volume:
        pool = plan.volume.pool
        if pool.type in NETWORK_POOLS:
            named = DiskSpec(
                path=None, format=plan.volume.format, pool=pool.name, volume=plan.volume.name, boot_order=order
            )
            return (named,)
        is_block = pool.type not in FILE_POOLS
        disk = DiskSpec(
            path=plan.volume.path,
            format=plan.volume.format,
            is_block=is_block,
            boot_order=order,
            encryption=plan.volume.encryption,
        )
        return (disk,)
    return ()


def _nics(plan: GuestPlan) -> tuple[NicSpec, ...]:
    """A blank disk does not boot, so the network comes second and still installs."""
    if not plan.network and not plan.bridge:
        return ()
    order = 2 if plan.wanted.boots_from_network else None
    network, bridge = (each.name if each else None for each in (plan.network, plan.bridge))
    return (NicSpec(network=network, bridge=bridge, mac=plan.mac, boot_order=order),)
