"""REST of what a machine is made of."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema

from accounts.rest import ERRORS, Problem, actor
from hosts.models import Host

from .listing import devices_of, peers_of
from .models import HostDevice, HostReport

router = Router(tags=["hosts"])
MOST = 500


class DeviceOut(Schema):
    """A device of a host."""

    name: str = Field(description="libvirt's name of it: pci_0000_3b_00_0")
    kind: str = Field(description="pci, usb, net, disk or mdev")
    address: str = Field(description="0000:3b:00.0; bus:device of USB; the interface; the path of a disk; a UUID")
    parent: str
    vendor: str
    vendor_id: str
    product: str
    product_id: str
    driver: str
    iommu_group: int | None
    shares_group_with: list[str] = Field(description="Addresses of the other devices of its IOMMU group.")
    numa_node: int | None
    details: dict[str, Any] = Field(description="What devices of its kind have: MAC, MTU, size, virtual functions …")


class DevicesOut(Schema):
    items: list[DeviceOut]
    count: int


class FactsOut(Schema):
    """What a host is."""

    facts: dict[str, Any]
    details: dict[str, Any] = Field(description="NUMA cells, hugepages, caches, CPU features, firmware, TPM …")
    details_at: datetime | None


def _host(request: HttpRequest, host_id: int) -> Host:
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), "view"), pk=host_id)
    return host


@router.get("/{int:host_id}/facts", response={200: FactsOut, ERRORS: Problem})
def get_facts(request: HttpRequest, host_id: int) -> FactsOut:
    """What the machine is, in detail, as libvirt last told."""
    host = _host(request, host_id)
    report = HostReport.objects.filter(host=host).first() or HostReport(host=host)
    return FactsOut(facts=host.facts, details=report.details, details_at=report.details_at)


@router.get("/{int:host_id}/devices", response={200: DevicesOut, ERRORS: Problem})
def list_devices(
    request: HttpRequest,
    host_id: int,
    kind: HostDevice.Kind | None = None,
    search: str = "",
    limit: Annotated[int, Field(ge=1, le=MOST)] = 100,
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0,
) -> DevicesOut:
    """PCI and USB devices, interfaces, disks and mediated devices, by kind and address."""
    host = _host(request, host_id)
    devices = devices_of(host, kind=kind or "", search=search)
    listed = list(devices[offset : offset + limit])
    peers = peers_of(host, listed)
    return DevicesOut(count=devices.count(), items=[_out(device, peers) for device in listed])


def _out(device: HostDevice, peers: dict[int, list[str]]) -> DeviceOut:
    group = device.iommu_group
    members = peers.get(group, []) if group is not None else []
    return DeviceOut(
        name=device.name,
        kind=device.kind,
        address=device.address,
        parent=device.parent,
        vendor=device.vendor,
        vendor_id=device.vendor_id,
        product=device.product,
        product_id=device.product_id,
        driver=device.driver,
        iommu_group=group,
        shares_group_with=[address for address in members if address != device.address],
        numa_node=device.numa_node,
        details=device.details,
    )
