"""Disks and network interfaces to put into a guest, and their elements.
https://libvirt.org/formatdomain.html#devices
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from virt import validate
from virt.errors import Invalid
from virt.volume_xml import luks_element
from virt.xmltree import E, Element

DISK_BUSES = ("virtio", "sata", "scsi", "usb", "ide", "fdc")
NIC_MODELS = ("virtio", "e1000e", "e1000", "rtl8139", "igb", "vmxnet3")
_PREFIXES = {"virtio": "vd", "sata": "sd", "scsi": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}
FORMATS = ("raw", "qcow2")


@dataclass(frozen=True, kw_only=True)
class DiskSpec:
    """A disk of a guest. `path` is where the volume is (VolumeInfo.path); `bus` None takes what the system has drivers
    for.

    A volume that only QEMU reaches, over the network, is named by `pool` and `volume`, as libvirt names
    them, instead of the path.
    A cdrom with `path` None is an empty drive. An `encryption` of "luks" is opened with the passphrase that the host
    has for that path, or with the secret of the UUID `luks_secret`.
    """

    path: str | None
    format: str = "qcow2"
    device: str = "disk"  # or cdrom
    bus: str | None = None
    is_block: bool = False
    readonly: bool = False
    boot_order: int | None = None
    encryption: str = ""
    luks_secret: str = ""
    pool: str = ""
    volume: str = ""


@dataclass(frozen=True, kw_only=True)
class NicSpec:
    """A network interface of a guest: on a virtual network, or on a bridge of the host, or (with neither) on QEMU's own
    user-mode network, which needs no rights and reaches outwards only. `model` None takes what the system has drivers
    for.
    """

    network: str | None = None
    bridge: str | None = None
    model: str | None = None
    mac: str | None = None
    boot_order: int | None = None


def mac_address() -> str:
    """A random address of QEMU's prefix. One in 16 million: compare with those of the host's guests before using it."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def disk_element(spec: DiskSpec, *, bus: str, target: str) -> Element:
    """The <disk>. Raises Invalid."""
    if bus not in DISK_BUSES:
        raise Invalid(f"A disk can be on {', '.join(DISK_BUSES)}, not on {bus}.", field="bus")
    if spec.format not in FORMATS:
        raise Invalid(f"A disk image can be {' or '.join(FORMATS)}, not {spec.format}.", field="format")
    if spec.device not in ("disk", "cdrom"):
        raise Invalid(f"A drive can be a disk or a cdrom, not {spec.device}.", field="device")
    kind = "volume" if spec.volume else "block" if spec.is_block else "file"
    disk: Element = E.disk(type=kind, device=spec.device)
    is_cdrom = spec.device == "cdrom"
    disk.append(E.driver(name="qemu", type="raw" if is_cdrom else spec.format))
    if not is_cdrom:
        disk[0].set("discard", "unmap")
    if spec.volume:
        disk.append(E.source(pool=spec.pool, volume=spec.volume))
    elif spec.path:
        source = source_element(spec.path, is_block=spec.is_block)
        if spec.encryption:
            source.append(luks_element(**_luks_secret(spec)))
        disk.append(source)
    elif not is_cdrom:
        raise Invalid("A disk needs an image.", field="path")
    disk.append(E.target(dev=target, bus=bus))
    if is_cdrom or spec.readonly:
        disk.append(E.readonly())
    if spec.boot_order:
        disk.append(E.boot(order=str(spec.boot_order)))
    return disk


def _luks_secret(spec: DiskSpec) -> dict[str, str]:
    """By path it is found whichever UUID it has: a host that lost it may be given it again."""
    if spec.encryption != "luks":
        raise Invalid(f"Disks are encrypted with luks here, not with {spec.encryption}.", field="encryption")
    if spec.luks_secret:
        return {"uuid": validate.uuid(spec.luks_secret)}
    return {"usage": validate.absolute_path(spec.path or "")}


def source_element(path: str, *, is_block: bool) -> Element:
    """The <source> of a disk."""
    path = validate.absolute_path(path)
    source: Element = E.source(dev=path) if is_block else E.source(file=path)
    return source


def nic_element(spec: NicSpec, *, model: str) -> Element:
    """The <interface>; the address is made up where the spec has none. Raises Invalid."""
    if model not in NIC_MODELS:
        raise Invalid(f"A network card can be {', '.join(NIC_MODELS)}, not {model}.", field="model")
    if spec.network and spec.bridge:
        raise Invalid("A network card is on a virtual network or on a bridge, not on both.", field="network")
    mac = validate.mac(spec.mac) if spec.mac else mac_address()
    if spec.network:
        nic: Element = E.interface(E.mac(address=mac), E.source(network=spec.network), type="network")
    elif spec.bridge:
        bridge = validate.device_name(spec.bridge)
        nic = E.interface(E.mac(address=mac), E.source(bridge=bridge), type="bridge")
    else:
        nic = E.interface(E.mac(address=mac), type="user")
    nic.append(E.model(type=model))
    if spec.boot_order:
        nic.append(E.boot(order=str(spec.boot_order)))
    return nic


def free_target(bus: str, taken: Iterable[str]) -> str:
    """The first free name of a drive on that bus: vda, vdb … vdz, vdaa. Raises Invalid when there is no room."""
    used, prefix = set(taken), _PREFIXES.get(bus, "vd")
    for n in range(702):
        name = prefix + (chr(97 + n // 26 - 1) if n >= 26 else "") + chr(97 + n % 26)
        if name not in used:
            return name
    raise Invalid("The guest has no room for another drive.", field="bus")
