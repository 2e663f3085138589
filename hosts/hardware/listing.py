"""Lists of devices, for the page and REST: found by words, with who shares an IOMMU group, in a few queries."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from hosts import words
from hosts.models import Host

from .models import HostDevice

MOST_WORDS, LONGEST_SEARCH = 8, 200
MOST_PEERS = 2000
# By base class and subclass, then by base class. https://pci-ids.ucw.cz/read/PD
_CLASSES: dict[str, Promise] = {
    "0106": gettext_lazy("SATA controller"),
    "0107": gettext_lazy("SAS controller"),
    "0108": gettext_lazy("NVMe controller"),
    "01": gettext_lazy("Storage controller"),
    "0207": gettext_lazy("InfiniBand controller"),
    "02": gettext_lazy("Network controller"),
    "03": gettext_lazy("Graphics"),
    "0403": gettext_lazy("Sound"),
    "04": gettext_lazy("Multimedia"),
    "05": gettext_lazy("Memory controller"),
    "0600": gettext_lazy("Host bridge"),
    "0604": gettext_lazy("PCI bridge"),
    "06": gettext_lazy("Bridge"),
    "07": gettext_lazy("Communication controller"),
    "08": gettext_lazy("System device"),
    "0c03": gettext_lazy("USB controller"),
    "0c": gettext_lazy("Serial bus controller"),
    "0d": gettext_lazy("Wireless controller"),
    "10": gettext_lazy("Encryption"),
    "12": gettext_lazy("Accelerator"),
}


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """A device as a page shows it. `peers` are the other devices of its IOMMU group."""

    device: HostDevice
    title: str
    sort: str
    peers: list[str]
    more: list[str]

    @property
    def group(self) -> str:
        return "" if self.device.iommu_group is None else str(self.device.iommu_group)

    @property
    def net(self) -> dict[str, Any]:
        """What a table of interfaces shows beyond."""
        details = self.device.details
        speed = details.get("speed_mbit")
        return {**details, "speed": words.speed(speed) if speed else ""}


def devices_of(host: Host, *, kind: str = "", search: str = "") -> "QuerySet[HostDevice]":
    """Devices of that kind (all where there is no such kind) in which every word of `search` is found."""
    devices = HostDevice.objects.filter(host=host)
    if kind in HostDevice.Kind.values:
        devices = devices.filter(kind=kind)
    for word in search.replace("\0", "").lower()[:LONGEST_SEARCH].split()[:MOST_WORDS]:
        devices = devices.filter(words__contains=word)
    return devices


def kinds_of(host: Host) -> list[tuple[str, str, int]]:
    """Kind, its name, and how many there are; kinds without devices are left out."""
    counts = dict(HostDevice.objects.filter(host=host).values_list("kind").annotate(n=Count("pk")).order_by())
    return [(kind.value, str(kind.label), counts[kind.value]) for kind in HostDevice.Kind if kind.value in counts]


def peers_of(host: Host, devices: Iterable[HostDevice]) -> dict[int, list[str]]:
    """The addresses of all devices in the IOMMU groups of these devices, by group. One query."""
    groups = {device.iommu_group for device in devices if device.iommu_group is not None}
    members = HostDevice.objects.filter(host=host, iommu_group__in=groups).values_list("iommu_group", "address")
    found: dict[int, list[str]] = {}
    for group, address in members[:MOST_PEERS]:
        if group is not None:
            found.setdefault(group, []).append(address)
    return found


def shown_rows(host: Host, devices: Iterable[HostDevice]) -> list[DeviceRow]:
    """The devices as a page shows them."""
    listed = list(devices)
    peers = peers_of(host, listed)
    return [
        DeviceRow(
            device=device,
            title=device.product or device.product_id or device.address,
            sort=_sort(device),
            peers=[address for address in peers.get(device.iommu_group or 0, []) if address != device.address]
            if device.iommu_group is not None
            else [],
            more=_more(device),
        )
        for device in listed
    ]


def _address(name: str) -> str:
    """libvirt's pci_0000_3b_00_0 is 0000:3b:00.0."""
    found = re.fullmatch(r"pci_([0-9a-f]{4})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])", name)
    return "{}:{}:{}.{}".format(*found.groups()) if found else name


def _sort(device: HostDevice) -> str:
    """What it is, in a word or two."""
    match device.kind:
        case "usb":
            return "USB"
        case "net":
            return _("Interface")
        case "mdev":
            return _("Mediated device")
        case "disk":
            words = {"disk": _("Disk"), "cdrom": _("CD drive"), "floppy": _("Floppy drive")}
            return words.get(device.details.get("type", ""), _("Drive"))
    code = device.details.get("class_id", "").removeprefix("0x")
    if name := _CLASSES.get(code[:4]) or _CLASSES.get(code[:2]):
        return str(name)
    return _("Bridge") if device.details.get("is_bridge") else "PCI"


def _more(device: HostDevice) -> list[str]:
    """What else is worth saying of it, in short."""
    details = device.details
    match device.kind:
        case "pci":
            return _more_of_pci(details)
        case "net":
            return _more_of_net(details)
        case "disk":
            size = words.size(details["size_bytes"]) if details.get("size_bytes") else _("no medium")
            return [size, *filter(None, (str(details.get("bus", "")), str(details.get("serial", ""))))]
        case "mdev":
            return [_("made by %(parent)s") % {"parent": _address(device.parent)}]
    return []


def _more_of_pci(details: dict[str, Any]) -> list[str]:
    told = []
    most, made = details.get("virtual_functions_max") or 0, len(details.get("virtual_functions") or ())
    if most or made:
        told.append(_("SR-IOV: %(made)d of %(most)d virtual functions") % {"made": made, "most": max(most, made)})
    if details.get("physical_function"):
        told.append(_("virtual function of %(card)s") % {"card": details["physical_function"]})
    kinds = details.get("mediated_types") or []
    if kinds:
        count = ngettext("%(count)d kind of mediated device", "%(count)d kinds of mediated devices", len(kinds))
        told.append(count % {"count": len(kinds)})
    return told


def _more_of_net(details: dict[str, Any]) -> list[str]:
    told = [str(details.get("state") or ""), str(details.get("mac") or "")]
    if details.get("speed_mbit"):
        told.append(words.speed(details["speed_mbit"]))
    if details.get("mtu"):
        told.append(f"MTU {details['mtu']}")
    if details.get("bridge"):
        told.append(_("port of %(bridge)s") % {"bridge": details["bridge"]})
    return [word for word in told if word]
