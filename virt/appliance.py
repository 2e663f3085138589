"""What is in an OVA, or in a disk of another hypervisor, read from headers only: nothing is unpacked or opened by QEMU.

An OVA is a tar archive of an OVF description and disks. https://www.dmtf.org/standards/ovf
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from virt import image_guard, vhdx
from virt.errors import Invalid, NotImportable
from virt.first_bytes import first_bytes
from virt.xmltree import Element, number, parse

Read = Callable[[int, int], bytes]
BLOCK = 512
MAX_MEMBERS = 1000
MAX_OVF_BYTES = 4 * 1024 * 1024
MAX_DISKS = 64
_CONTROLLERS = {"5": "ide", "6": "scsi", "20": "sata"}  # CIM's resource types
_UNITS = {"": 1, "byte": 1, "kilobytes": 2**10, "megabytes": 2**20, "gigabytes": 2**30}
_EFI_PARTITION = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
_RESERVED_PARTITION = bytes.fromhex("16e3c9e35c0bb84d817df92df00215ae")
_NTFS = 0x07


@dataclass(frozen=True, kw_only=True)
class FoundDisk:
    """A disk: `length` bytes from `offset` of the file (0: all of it). `bus` is the one that it had, "" not known."""

    name: str
    format: str
    offset: int
    length: int
    capacity_bytes: int  # what a guest sees; 0 where the header does not say
    bus: str = ""


@dataclass(frozen=True, kw_only=True)
class Appliance:
    """A machine to import. What the description does not say is empty or 0. `warnings` are sentences for a person."""

    name: str = ""
    system: str = ""
    firmware: str = ""  # uefi or bios
    vcpus: int = 0
    memory_mib: int = 0
    nics: int = 0
    suggested_bus: str = "virtio"
    disks: list[FoundDisk] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def inspect(read: Read, size: int, name: str) -> Appliance:
    """Look into a file of `size` bytes. Raises NotImportable, ReferenceRefused (it leads to other files) or Invalid."""
    head = read(0, image_guard.HEAD_BYTES)
    image_guard.check_references(head, name)
    kind = image_guard.kind_of(head)
    if kind == "tar":
        return _ova(read, size, name)
    if head.lstrip()[:5] == b"<?xml" and name.lower().endswith(".ovf"):
        raise NotImportable("An OVF alone has no disks in it. Export the machine as one OVA file, and bring that.")
    disk = _disk(read, name, 0, size, kind or _by_footer(read, size))
    start = first_bytes(read, size, disk.format)
    found = Appliance(name=name.rpartition(".")[0] or name, firmware=_firmware(start), disks=[disk])
    return _with_advice(found, start)


def _disk(read: Read, name: str, offset: int, length: int, kind: str) -> FoundDisk:
    if kind in ("tar", "iso", "qed"):
        raise NotImportable(f"{name} is no disk of a machine.")
    if kind == "vhdx":
        disk = vhdx.read_vhdx(_part(read, offset, length), length, name)
        return FoundDisk(name=name, format=kind, offset=offset, length=length, capacity_bytes=disk.capacity_bytes)
    _check_whole(name, length >= BLOCK)
    found = kind if kind in ("qcow2", "vmdk", "vdi", "vhd") else "raw"
    if found == "raw" and offset and length % BLOCK:
        raise NotImportable(
            f"{name} is no disk: its size is no whole number of sectors. If it is packed, export the machine without "
            "compression."
        )
    head = read(offset, BLOCK)
    capacity = length
    if found == "qcow2":
        (capacity,) = struct.unpack_from(">Q", head, 24)
    elif found == "vmdk":
        capacity = struct.unpack_from("<Q", head, 12)[0] * BLOCK
    elif found == "vdi":
        (capacity,) = struct.unpack_from("<Q", head, 368)
        (data_at,), (block, _extra, _blocks, used) = (
            struct.unpack_from("<I", head, 344),
            struct.unpack_from("<4I", head, 376),
        )
        _check_whole(name, data_at + block * used <= length)  # QEMU would read what is missing as zeros
    elif found == "vhd":
        footer = read(offset + length - BLOCK, BLOCK)
        _check_whole(name, footer.startswith(b"conectix"))
        (capacity,) = struct.unpack_from(">Q", footer, 48)
    return FoundDisk(name=name, format=found, offset=offset, length=length, capacity_bytes=capacity)


def _part(read: Read, offset: int, length: int) -> Read:
    """Reads what lies in a file as if it were one."""
    return lambda at, count: read(offset + at, max(min(count, length - at), 0))


def _check_whole(name: str, is_whole: bool) -> None:
    if not is_whole:
        raise NotImportable(f"{name} is cut off: a part of the disk is missing. Get it again.")


def _by_footer(read: Read, size: int) -> str:
    """A VHD of fixed size is known by its last sector only."""
    if size > BLOCK:
        footer = read(size - BLOCK, BLOCK)
        if footer.startswith(b"conectix"):
            image_guard.check_references(footer, "the disk")
            return "vhd"
    return ""


def _firmware(head: bytes) -> str:
    if head[512:520] == b"EFI PART":
        return "uefi" if _EFI_PARTITION in _gpt_kinds(head) else "bios"
    if head[510:512] == b"\x55\xaa":
        return "uefi" if 0xEF in (head[446 + 16 * n + 4] for n in range(4)) else "bios"
    return ""


def _is_windows(start: bytes) -> bool:
    """Whether the partition table is one that Windows makes: with its reserved partition, or started from NTFS."""
    if start[512:520] == b"EFI PART":
        return _RESERVED_PARTITION in _gpt_kinds(start)
    entries = [start[446 + 16 * n : 462 + 16 * n] for n in range(4)] if start[510:512] == b"\x55\xaa" else []
    return any(entry[0] == 0x80 and entry[4] == _NTFS for entry in entries)


def _gpt_kinds(start: bytes) -> list[bytes]:
    entries = start[1024 : 1024 + 128 * 128]
    return [entries[at : at + 16] for at in range(0, len(entries), 128)]


# --- OVA --------------------------------------------------------------------------------------------------------------
def _ova(read: Read, size: int, name: str) -> Appliance:
    members = _members(read, size)
    ovf = next((member for member in members if member[0].lower().endswith(".ovf")), None)
    if ovf is None or ovf[2] > MAX_OVF_BYTES:
        raise NotImportable(f"{name} has no OVF description in it, so it is no OVA.")
    places = {member[0].rpartition("/")[2]: member for member in members}
    try:
        described = parse(read(ovf[1], ovf[2]))
    except Invalid as error:
        raise NotImportable(f"The description in {name} is damaged. Get it again.", details=error.details) from error
    return _described(described, places, read)


def _members(read: Read, size: int) -> list[tuple[str, int, int]]:
    """(name, offset, length) of the regular files of a tar archive, by its headers."""
    found: list[tuple[str, int, int]] = []
    at = 0
    for _number in range(MAX_MEMBERS):
        header = read(at, BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            return found
        length = _octal(header[124:136])
        if header[257:262] != b"ustar" or at + BLOCK + length > size:
            raise NotImportable("The archive is damaged or cut off. Get it again.")
        if header[156:157] in (b"0", b"\0"):
            found.append((header[:100].rstrip(b"\0").decode("utf-8", "replace"), at + BLOCK, length))
        at += BLOCK + (length + BLOCK - 1) // BLOCK * BLOCK
    raise NotImportable(f"The archive has more than {MAX_MEMBERS} files in it. An OVA has a few.")


def _octal(raw: bytes) -> int:
    if raw[0] & 0x80:  # a number too large for octal digits
        return int.from_bytes(raw[1:], "big")
    text = raw.strip(b"\0 ")
    if text and not re.fullmatch(rb"[0-7]+", text):
        raise NotImportable("The archive is damaged: the size of a file in it is no number.")
    return int(text, 8) if text else 0


def _described(root: Element, places: dict[str, tuple[str, int, int]], read: Read) -> Appliance:
    files = {_get(node, "id"): node for node in _all(root, "File")}
    disks = {_get(node, "diskId"): node for node in _all(root, "Disk")}
    items = [_item(node) for node in _all(root, "Item") + _all(root, "StorageItem") + _all(root, "EthernetPortItem")]
    buses = {
        item["InstanceID"]: _CONTROLLERS[item["ResourceType"]]
        for item in items
        if item.get("ResourceType") in _CONTROLLERS
    }
    found = []
    for item in items:
        source = item.get("HostResource", "").rpartition("/")[2]
        if item.get("ResourceType") not in ("17", "31") or source not in disks:
            continue
        found.append(_disk_of(disks[source], files, places, read, buses.get(item.get("Parent", ""), "")))
        if len(found) > MAX_DISKS:
            raise NotImportable(f"The machine has more than {MAX_DISKS} disks.")
    if not found:
        raise NotImportable("The description names no disk that is in the archive.")
    start = first_bytes(_part(read, found[0].offset, found[0].length), found[0].length, found[0].format)
    appliance = Appliance(
        name=_first(root, "Name")[:200],
        system=(_first(root, "OperatingSystemSection/Description") or _first(root, "Product"))[:200],
        firmware=_said_firmware(root) or _firmware(start) or "bios",
        vcpus=_quantity(items, "3"),
        memory_mib=_quantity(items, "4"),
        nics=sum(item.get("ResourceType") == "10" for item in items),
        disks=found,
    )
    return _with_advice(appliance, start)


def _said_firmware(root: Element) -> str:
    """As VMware or VirtualBox wrote it down; "" where they did not, which VMware leaves out for BIOS now and then."""
    config = {_get(node, "key"): _get(node, "value") for node in _all(root, "Config")}
    said = config.get("firmware") or next((_get(node, "type") for node in _all(root, "Firmware")), "")
    if said.lower().startswith("efi"):
        return "uefi"
    return "bios" if said.lower() == "bios" else ""


def _disk_of(
    disk: Element, files: dict[str, Element], places: dict[str, tuple[str, int, int]], read: Read, bus: str
) -> FoundDisk:
    file = files.get(_get(disk, "fileRef"))
    if file is None:
        raise NotImportable("A disk of the machine is empty: the description names no file for it.")
    href = _get(file, "href")
    if "://" in href or href.rpartition("/")[2] not in places:
        raise NotImportable(f"The disk {href[:100]} is not in the archive. Export the machine as one OVA file.")
    if _get(file, "compression") not in ("", "identity"):
        raise NotImportable(f"The disk {href[:100]} is packed in the archive. Export the machine without compression.")
    name, offset, length = places[href.rpartition("/")[2]]
    _check_whole(name, _get(file, "size") in ("", str(length)))
    head = read(offset, min(length, image_guard.HEAD_BYTES))
    image_guard.check_references(head, name)
    found = _disk(read, name, offset, length, image_guard.kind_of(head))
    unit = _get(disk, "capacityAllocationUnits").lower()
    power = re.fullmatch(r"byte\s*\*\s*2\^(\d{1,2})", unit)
    said = number(_get(disk, "capacity")) * (2 ** int(power[1]) if power else _UNITS.get(unit, 1))
    return FoundDisk(**{**asdict(found), "capacity_bytes": found.capacity_bytes or said, "bus": bus})


def _with_advice(found: Appliance, start: bytes) -> Appliance:
    """With what the description and the `start` of the first disk let expect."""
    warnings, words = [], f"{found.system} {found.name}".lower()
    bus = "virtio"
    if "windows" in words or "win" in re.split(r"[^a-z]+", words) or _is_windows(start):
        bus = "sata"
        warnings.append(
            "Windows starts from virtio disks only when it has their drivers. Choose its version as the system of the "
            "guest: the disk is on SATA then. Change that once the drivers of virtio-win are installed in it."
        )
    elif any(disk.bus == "ide" for disk in found.disks):
        warnings.append(
            "Its disks were on IDE. An old system may lack the drivers of virtio: choose it as the guest's system: "
            "the disks are such as it knows, then."
        )
    if found.firmware == "uefi":
        warnings.append("It starts by UEFI: choose UEFI as the firmware of the guest.")
    return Appliance(**{**found.__dict__, "suggested_bus": bus, "warnings": warnings})


def _all(root: Element, tag: str) -> list[Element]:
    """Elements by name, whatever namespace the writer's version of OVF has."""
    return [node for node in root.iter() if isinstance(node.tag, str) and _local(node.tag) == tag]


def _first(root: Element, path: str) -> str:
    *above, tag = path.split("/")
    for node in _all(root, tag):
        parent = node.getparent()
        if not above or (parent is not None and _local(str(parent.tag)) == above[-1]):
            return (node.text or "").strip()
    return ""


def _item(node: Element) -> dict[str, str]:
    return {_local(str(child.tag)): (child.text or "").strip() for child in node}


def _quantity(items: list[dict[str, str]], kind: str) -> int:
    text = next((item.get("VirtualQuantity", "") for item in items if item.get("ResourceType") == kind), "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _get(node: Element, name: str) -> str:
    return next((str(value) for key, value in node.attrib.items() if _local(str(key)) == name), "")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
