"""Rows of what a machine is made of, and of what was read on it."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.permissions import PermittedQuerySet


class HostReport(models.Model):
    """What pages of one host show and lists do not: so lists need not read it.

    `details` is virt.types.HostDetails as JSON. `readings` is what the fixed command of the checks told, empty before
    it was run; `readings_error` says why the last attempt told nothing.
    """

    host = models.OneToOneField("hosts.Host", models.CASCADE, primary_key=True, related_name="report")
    details = models.JSONField(default=dict)
    details_at = models.DateTimeField(null=True)
    devices_at = models.DateTimeField(null=True)
    readings = models.JSONField(default=dict)
    readings_at = models.DateTimeField(null=True)
    readings_error = models.TextField(blank=True)
    readings_tried_at = models.DateTimeField(null=True)
    # How many checks were so when they were last run, for lists; the host's page counts them anew.
    failed_count = models.PositiveIntegerField(null=True)
    warning_count = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return f"report of host {self.pk}"


class HostDeviceQuerySet(PermittedQuerySet):
    scope_paths: ClassVar = {"host": "host_id"}


class HostDevice(models.Model):
    """A device of a host as last seen. The row goes with the device: nothing of ours hangs on it.

    `details` are those of its kind: virt.types.PciDetails, NetDetails, DiskDetails or MediatedDetails as JSON.
    """

    class Kind(models.TextChoices):
        PCI = "pci", _("PCI")
        USB = "usb", _("USB")
        NET = "net", _("Interfaces")
        DISK = "disk", _("Disks")
        MDEV = "mdev", _("Mediated devices")

    host = models.ForeignKey("hosts.Host", models.CASCADE, related_name="devices")
    name = models.CharField(max_length=255)  # libvirt's
    kind = models.CharField(max_length=8, choices=Kind)
    address = models.CharField(max_length=255)
    parent = models.CharField(max_length=255, blank=True)
    vendor = models.CharField(max_length=255, blank=True)
    vendor_id = models.CharField(max_length=16, blank=True)
    product = models.CharField(max_length=255, blank=True)
    product_id = models.CharField(max_length=16, blank=True)
    driver = models.CharField(max_length=64, blank=True)
    iommu_group = models.PositiveIntegerField(null=True)
    numa_node = models.PositiveIntegerField(null=True)
    details = models.JSONField(default=dict)
    words = models.TextField(blank=True)  # what a search looks at, in lower case

    objects = HostDeviceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["kind", "address", "name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["host", "name"], name="host_device_once")]
        indexes: ClassVar = [models.Index(fields=["host", "kind", "address"], name="host_device_listed")]

    def __str__(self) -> str:
        return self.address
