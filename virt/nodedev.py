"""Devices of the host: PCI, USB, interfaces, disks, mediated ones. https://libvirt.org/formatnode.html"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import libvirt

from virt.connection import Connection
from virt.errors import NotSupported
from virt.types import DiskDetails, MediatedDetails, MediatedType, NetDetails, NodeDevice, PciDetails
from virt.xmltree import Element, attribute, number, parse, text

LIST_TIMEOUT_S = 60.0
_KINDS = (
    libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_STORAGE
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_MDEV
)
_SPEED_UNKNOWN = 2**31  # the kernel's -1 as libvirt 9.0 writes it is 4294967295
# Hosts without the package of PCI names tell numbers only. https://pci-ids.ucw.cz
_VENDORS = {
    "0x1002": "AMD/ATI",
    "0x1022": "AMD",
    "0x10de": "NVIDIA",
    "0x14e4": "Broadcom",
    "0x15b3": "Mellanox",
    "0x1af4": "Red Hat (virtio)",
    "0x1b36": "Red Hat (QEMU)",
    "0x8086": "Intel",
}
_ADDRESS = "{:04x}:{:02x}:{:02x}.{:x}"


def list_devices(conn: Connection) -> list[NodeDevice]:
    """All devices, sorted by kind and address; not those that libvirt makes for guests. Empty where the host's libvirt
    knows none.

    Bridges, bonds and VLANs come from the interface driver: there are no node devices of them.
    """

    def documents(handle: libvirt.virConnect) -> list[str]:
        found = []
        for device in handle.listAllDevices(_KINDS):
            try:
                found.append(device.XMLDesc(0))
            except libvirt.libvirtError as exc:
                if exc.get_error_code() != libvirt.VIR_ERR_NO_NODE_DEVICE:  # they come and go
                    raise
        return found

    try:
        listed = conn.call(documents, "list the devices of the host", timeout_s=LIST_TIMEOUT_S)
    except NotSupported:
        return []
    read = [device for xml in listed if (device := read_device(xml)) and not is_of_guest(device.name)]
    return sorted(_with_interfaces(read, _interfaces(conn)), key=lambda device: (device.kind, device.address))


def is_of_guest(name: str) -> bool:
    """Whether a node device of that name is a guest's end of a network, which libvirt makes and takes away itself."""
    return name.startswith(("net_vnet", "net_macvtap", "net_macvlan"))


def read_device(xml: str) -> NodeDevice | None:
    """The device that a <device> document describes; None for a kind that we do not show."""
    root = parse(xml)
    for capability in root.iterfind("capability"):
        reader = _READERS.get(str(capability.get("type", "")))
        if reader:
            common = NodeDevice(
                name=text(root, "name"),
                kind="",
                address="",
                parent=text(root, "parent"),
                driver=text(root, "driver/name"),
                vendor=text(capability, "vendor") or _VENDORS.get(attribute(capability, "vendor", "id"), ""),
                vendor_id=attribute(capability, "vendor", "id"),
                product=text(capability, "product"),
                product_id=attribute(capability, "product", "id"),
                numa_node=_optional(attribute(capability, "numa", "node")),
            )
            return reader(common, capability, text(root, "path"))
    return None


def read_interface(xml: str, *, mac: str = "") -> NodeDevice:
    """An interface as the interface driver describes it. https://libvirt.org/format.html (interface)"""
    root = parse(xml)
    name = str(root.get("name", ""))
    return NodeDevice(
        name=f"interface_{name}",
        kind="net",
        address=name,
        details=NetDetails(
            type=str(root.get("type", "ethernet")),
            mac=attribute(root, "mac", "address", mac),
            state=attribute(root, "link", "state", "unknown"),
            speed_mbit=_speed(attribute(root, "link", "speed")),
            mtu=_optional(attribute(root, "mtu", "size")),
            bridge="",
            is_virtual=root.get("type") in ("bridge", "bond", "vlan"),
        ),
    )


def bridge_ports(xml: str) -> dict[str, str]:
    """Which interface is a port of which bridge, as a bridge's document tells."""
    root = parse(xml)
    return {str(port.get("name", "")): str(root.get("name", "")) for port in root.iterfind("bridge/interface")}


def _interfaces(conn: Connection) -> list[tuple[str, bool, str]]:
    """Document, whether active, and MAC of each interface; empty where the host's libvirt has no such driver."""

    def documents(handle: libvirt.virConnect) -> list[tuple[str, bool, str]]:
        found = []
        for interface in handle.listAllInterfaces(0):
            try:
                found.append((interface.XMLDesc(0), bool(interface.isActive()), interface.MACString()))
            except libvirt.libvirtError as exc:
                if exc.get_error_code() != libvirt.VIR_ERR_NO_INTERFACE:
                    raise
        return found

    try:
        return conn.call(documents, "list the interfaces of the host", timeout_s=LIST_TIMEOUT_S)
    except NotSupported:
        return []


def _with_interfaces(devices: list[NodeDevice], interfaces: Iterable[tuple[str, bool, str]]) -> list[NodeDevice]:
    known: dict[str, NetDetails] = {}
    extra: dict[str, NodeDevice] = {}
    bridges: dict[str, str] = {}
    for xml, is_active, mac in interfaces:
        bridges |= bridge_ports(xml)
        interface = read_interface(xml, mac=mac)
        details = interface.details
        if not isinstance(details, NetDetails):
            continue
        if details.state == "unknown" and details.type == "bridge":
            details = replace(details, state="up" if is_active else "down")
        known[interface.address] = details
        if details.type in ("bridge", "bond", "vlan"):
            extra[interface.address] = replace(interface, details=details)
    merged = []
    for device in devices:
        if isinstance(device.details, NetDetails):
            extra.pop(device.address, None)
            seen = known.get(device.address)
            device = replace(
                device,
                details=replace(
                    device.details,
                    type=seen.type if seen and device.details.type == "ethernet" else device.details.type,
                    mtu=seen.mtu if seen else None,
                    bridge=bridges.get(device.address, ""),
                ),
            )
        merged.append(device)
    ports = [
        replace(device, details=replace(device.details, bridge=bridges.get(device.address, "")))
        for device in extra.values()
        if isinstance(device.details, NetDetails)
    ]
    return merged + ports


def _pci(common: NodeDevice, capability: Element, _path: str) -> NodeDevice:
    parts = {name: number(text(capability, name), 0) for name in ("domain", "bus", "slot", "function")}
    nested = {str(inner.get("type", "")): inner for inner in capability.iterfind("capability")}
    physical, virtual = nested.get("phys_function"), nested.get("virt_functions")
    types = nested.get("mdev_types")
    class_id = text(capability, "class")
    return replace(
        common,
        kind="pci",
        address=_ADDRESS.format(parts["domain"], parts["bus"], parts["slot"], parts["function"]),
        iommu_group=_optional(attribute(capability, "iommuGroup", "number")),
        details=PciDetails(
            class_id=class_id,
            is_bridge=class_id.startswith("0x06") or "pci-bridge" in nested,
            is_express=capability.find("pci-express") is not None,
            physical_function=next(iter(_addresses(physical)), ""),
            virtual_functions=_addresses(virtual),
            virtual_functions_max=number(virtual.get("maxCount"), 0) if virtual is not None else 0,
            mediated_types=tuple(_mediated_type(element) for element in types.iterfind("type"))
            if types is not None
            else (),
        ),
    )


def _mediated_type(element: Element) -> MediatedType:
    return MediatedType(
        id=str(element.get("id", "")),
        name=text(element, "name"),
        api=text(element, "deviceAPI"),
        available=number(text(element, "availableInstances")),
    )


def _usb(common: NodeDevice, capability: Element, _path: str) -> NodeDevice:
    bus, device = number(text(capability, "bus")), number(text(capability, "device"))
    return replace(common, kind="usb", address=f"{bus:03d}:{device:03d}")


def _net(common: NodeDevice, capability: Element, path: str) -> NodeDevice:
    name = text(capability, "interface")
    wireless = any(inner.get("type") == "80211" for inner in capability.iterfind("capability"))
    kind = "loopback" if name == "lo" else "wireless" if wireless else "ethernet"
    return replace(
        common,
        kind="net",
        address=name,
        details=NetDetails(
            type=kind,
            mac=text(capability, "address"),
            state=attribute(capability, "link", "state", "unknown"),
            speed_mbit=_speed(attribute(capability, "link", "speed")),
            mtu=None,
            bridge="",
            is_virtual=path.startswith("/sys/devices/virtual/"),
        ),
    )


def _disk(common: NodeDevice, capability: Element, _path: str) -> NodeDevice:
    removable = next((c for c in capability.iterfind("capability") if c.get("type") == "removable"), None)
    size = text(capability, "size") or (text(removable, "media_size") if removable is not None else "")
    return replace(
        common,
        kind="disk",
        address=text(capability, "block"),
        product=text(capability, "model"),
        vendor=text(capability, "vendor"),
        details=DiskDetails(
            type=text(capability, "drive_type", "disk"),
            bus=text(capability, "bus"),
            serial=text(capability, "serial"),
            size_bytes=_optional(size) or None,
            is_removable=removable is not None,
        ),
    )


def _mediated(common: NodeDevice, capability: Element, _path: str) -> NodeDevice:
    kind, uuid = attribute(capability, "type", "id"), text(capability, "uuid")
    return replace(
        common,
        kind="mdev",
        address=uuid or common.name.removeprefix("mdev_"),
        product=kind,
        iommu_group=_optional(attribute(capability, "iommuGroup", "number")),
        details=MediatedDetails(type=kind, uuid=uuid),
    )


_READERS = {"pci": _pci, "usb_device": _usb, "net": _net, "storage": _disk, "mdev": _mediated}


def _addresses(capability: Element | None) -> tuple[str, ...]:
    if capability is None:
        return ()
    return tuple(_address(element) for element in capability.iterfind("address"))


def _address(element: Element) -> str:
    return _ADDRESS.format(*(_hex(element.get(name)) for name in ("domain", "bus", "slot", "function")))


def _hex(value: str | None) -> int:
    try:
        return max(0, int(value or "0", 16))
    except ValueError:
        return 0


def _optional(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() else None


def _speed(value: str) -> int | None:
    speed = _optional(value)
    return speed if speed is not None and 0 < speed < _SPEED_UNKNOWN else None
