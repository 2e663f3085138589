"""The rows of details and devices, from what libvirt says. Called by the watcher and by jobs, never by a request."""

import json
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.utils import timezone

from hosts.models import Host
from jobs.live import publish
from virt.connection import Connection
from virt.host_details import host_details
from virt.nodedev import list_devices
from virt.types import NodeDevice

from .models import HostDevice, HostReport

MOST_DEVICES = 10_000  # what a host claims is bounded
BATCH = 500
_LENGTHS = {"name": 255, "address": 255, "parent": 255, "vendor": 255, "product": 255, "driver": 64}
_LENGTHS |= {"vendor_id": 16, "product_id": 16, "kind": 8}
_FIELDS = [*_LENGTHS, "iommu_group", "numa_node", "details", "words"]


def refresh(host: Host, conn: Connection) -> bool:
    """Read details and devices. Returns whether something changed that a page shows. Raises VirtError."""
    changed = [refresh_details(host, conn), refresh_devices(host, conn)]
    if any(changed):
        publish(f"host-{host.pk}")
    return any(changed)


def refresh_details(host: Host, conn: Connection) -> bool:
    """Read what the host is in detail. Returns whether anything changed but free memory. Raises VirtError."""
    details = json.loads(json.dumps(asdict(host_details(conn))))
    known = HostReport.objects.filter(host=host).first()
    HostReport.objects.update_or_create(host=host, defaults={"details": details, "details_at": timezone.now()})
    return known is None or _lasting(known.details) != _lasting(details)


def refresh_devices(host: Host, conn: Connection) -> bool:
    """Bring the rows of devices in step. Returns whether one came, went or changed. Raises VirtError."""
    found = {device.name: _row(host, device) for device in list_devices(conn)[:MOST_DEVICES]}
    with transaction.atomic():
        known = {row.name: row for row in HostDevice.objects.filter(host=host)}
        gone = [row.pk for name, row in known.items() if name not in found]
        new = [row for name, row in found.items() if name not in known]
        changed = []
        for name, row in found.items():
            if name in known and any(getattr(row, field) != getattr(known[name], field) for field in _FIELDS):
                row.pk = known[name].pk
                changed.append(row)
        for start in range(0, len(gone), BATCH):
            HostDevice.objects.filter(pk__in=gone[start : start + BATCH]).delete()
        HostDevice.objects.bulk_create(new, batch_size=BATCH)
        HostDevice.objects.bulk_update(changed, _FIELDS, batch_size=BATCH)
        HostReport.objects.update_or_create(host=host, defaults={"devices_at": timezone.now()})
    return bool(gone or new or changed)


def _row(host: Host, device: NodeDevice) -> HostDevice:
    details: dict[str, Any] = json.loads(json.dumps(asdict(device.details))) if device.details else {}
    texts = {field: str(getattr(device, field))[:length] for field, length in _LENGTHS.items()}
    return HostDevice(
        host=host,
        iommu_group=device.iommu_group,
        numa_node=device.numa_node,
        details=details,
        words=_words(device, details),
        **texts,
    )


def _words(device: NodeDevice, details: dict[str, Any]) -> str:
    told = [device.address, device.name, device.vendor, device.product, device.driver]
    told += [device.vendor_id, device.product_id]
    told += [str(details[name]) for name in ("mac", "serial", "bridge", "type", "bus") if details.get(name)]
    told += [f"{device.vendor_id[2:]}:{device.product_id[2:]}"] if device.vendor_id and device.product_id else []
    return " ".join(filter(None, told)).lower()[:2000]


def _lasting(details: dict[str, Any]) -> dict[str, Any]:
    """Without what changes all the time, so that open pages are not told of every page of memory."""
    cells = [
        {
            **cell,
            "free_mib": None,
            "pages": [{**pages, "free": pages["free"] if pages["size_kib"] > 64 else None} for pages in cell["pages"]],
        }
        for cell in details.get("cells", [])
    ]
    return {**details, "cells": cells}
