"""Devices of a host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MediatedType:
    """A kind of mediated device that a card can be split into, such as one size of virtual GPU."""

    id: str
    name: str
    api: str  # vfio-pci, vfio-ccw …
    available: int  # how many more can be made


@dataclass(frozen=True, kw_only=True)
class PciDetails:
    """`physical_function` and `virtual_functions` are addresses; they are of SR-IOV."""

    class_id: str  # 0x030000; empty where libvirt is older than 5.2
    is_bridge: bool
    is_express: bool
    physical_function: str
    virtual_functions: tuple[str, ...]
    virtual_functions_max: int
    mediated_types: tuple[MediatedType, ...]


@dataclass(frozen=True, kw_only=True)
class NetDetails:
    """`type` is ethernet, bridge, bond, vlan, wireless or loopback; `bridge` is the one whose port it is."""

    type: str
    mac: str
    state: str  # up, down, unknown …
    speed_mbit: int | None
    mtu: int | None
    bridge: str
    is_virtual: bool


@dataclass(frozen=True, kw_only=True)
class DiskDetails:
    """`type` is disk, cdrom, floppy …; a drive without a medium has size None."""

    type: str
    bus: str
    serial: str
    size_bytes: int | None
    is_removable: bool


@dataclass(frozen=True, kw_only=True)
class MediatedDetails:
    type: str
    uuid: str


@dataclass(frozen=True, kw_only=True)
class NodeDevice:
    """A device of the host. `address` is what people call it by: 0000:01:00.0, bus:device of USB (002:005), the name of
    an interface, the path of a disk, the UUID of a mediated device.
    """

    name: str  # libvirt's: pci_0000_01_00_0
    kind: str  # pci, usb, net, disk, mdev
    address: str
    parent: str = ""
    vendor: str = ""
    vendor_id: str = ""  # 0x8086
    product: str = ""
    product_id: str = ""
    driver: str = ""
    iommu_group: int | None = None
    numa_node: int | None = None
    details: PciDetails | NetDetails | DiskDetails | MediatedDetails | None = None
