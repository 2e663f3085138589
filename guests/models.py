"""Guests (libvirt domains) with their disks and network cards, as last seen."""

from typing import ClassVar

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts.mixins import OnHost, OnHostQuerySet
from networking.models import Bridge, Network
from storage.models import Volume


class GuestQuerySet(OnHostQuerySet):
    scope_paths: ClassVar = {"host": "host_id", "guest": "pk"}


class Guest(OnHost):
    """A libvirt domain as last seen on its host. libvirt is the truth; this row is our memory of it."""

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        PAUSED = "paused", _("Paused")
        SHUTTING_DOWN = "shutting_down", _("Shutting down")
        SHUTOFF = "shutoff", _("Shut off")
        CRASHED = "crashed", _("Crashed")
        SUSPENDED = "suspended", _("Suspended")
        SAVED = "saved", _("Saved")
        MISSING = "missing", _("Missing")  # not on the host at the last sync; the row and its grants stay
        CREATING = "creating", _("Being created")

    ON: ClassVar = (State.RUNNING, State.PAUSED, State.SHUTTING_DOWN, State.SUSPENDED)

    uuid = models.UUIDField()  # unique per host only: during a migration two hosts have it
    name = models.CharField(max_length=255)
    title = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.SHUTOFF)
    state_reason = models.CharField(max_length=64, blank=True)
    state_since = models.DateTimeField(default=timezone.now)
    persistent = models.BooleanField(default=True)
    autostart = models.BooleanField(default=False)

    vcpus = models.PositiveIntegerField(default=1)
    memory_mib = models.PositiveBigIntegerField(default=0)
    arch = models.CharField(max_length=32, blank=True)
    machine = models.CharField(max_length=64, blank=True)
    firmware = models.CharField(max_length=16, blank=True)  # bios, uefi, uefi-secure
    is_emulated = models.BooleanField(default=False)  # type='qemu': works, slowly
    os_id = models.CharField(max_length=200, blank=True)
    os_name = models.CharField(max_length=200, blank=True)
    graphics = models.CharField(max_length=16, blank=True)  # vnc, spice or ""
    has_serial = models.BooleanField(default=False)
    has_agent_channel = models.BooleanField(default=False)
    needs_restart = models.BooleanField(default=False)  # the definition differs from what runs
    xml = models.TextField(blank=True)  # the definition that the next start uses

    # Sampled while it runs.
    cpu_percent = models.FloatField(null=True)  # of all its vCPUs
    memory_used_mib = models.PositiveBigIntegerField(null=True)  # as the guest sees it; None without a balloon driver
    memory_held_mib = models.PositiveBigIntegerField(null=True)  # what its process holds on the host
    addresses = models.JSONField(default=list)  # [{"address": "192.168.122.5", "source": "lease", "mac": "…"}]
    sampled_at = models.DateTimeField(null=True, blank=True)

    objects = GuestQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        indexes: ClassVar = [models.Index(fields=["name"]), models.Index(fields=["state", "name"])]
        constraints: ClassVar = [models.UniqueConstraint(fields=["host", "uuid"], name="guest_once_per_host")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("guests:detail", args=[self.pk])

    @property
    def is_on(self) -> bool:
        return self.state in self.ON


class Disk(models.Model):
    """A disk or CD-ROM drive of a guest."""

    guest = models.ForeignKey(Guest, models.CASCADE, related_name="disks")
    target = models.CharField(max_length=16)  # vda
    bus = models.CharField(max_length=16, blank=True)
    device = models.CharField(max_length=16, default="disk")  # disk, cdrom, floppy, lun
    source = models.CharField(max_length=4096, blank=True)  # a path or pool/volume; "" where a drive is empty
    volume = models.ForeignKey(Volume, models.SET_NULL, null=True, blank=True, related_name="used_by")
    format = models.CharField(max_length=32, blank=True)
    is_readonly = models.BooleanField(default=False)
    boot_order = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["target"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["guest", "target"], name="one_disk_per_target")]

    def __str__(self) -> str:
        return f"{self.target}: {self.source}"


class Nic(models.Model):
    """A network card of a guest."""

    guest = models.ForeignKey(Guest, models.CASCADE, related_name="nics")
    position = models.PositiveSmallIntegerField(default=0)
    mac = models.CharField(max_length=17, db_index=True)
    kind = models.CharField(max_length=16)  # network, bridge, direct, user
    source = models.CharField(max_length=255, blank=True)
    network = models.ForeignKey(Network, models.SET_NULL, null=True, blank=True, related_name="nics")
    bridge = models.ForeignKey(Bridge, models.SET_NULL, null=True, blank=True, related_name="nics")
    model = models.CharField(max_length=32, blank=True)
    is_link_up = models.BooleanField(default=True)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.mac} on {self.source}"
