"""Guests (libvirt domains) with their disks and network cards, as last seen."""

from datetime import datetime
from typing import Any, ClassVar, Self

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts.mixins import OnHost, OnHostQuerySet
from hosts.models import Host
from networking.models import Bridge, Network
from storage.models import Volume

from .agents.models import AgentReport
from .autostart.models import AutostartEntry, HostBoot
from .definitions.models import DefinitionText, DefinitionVersion
from .leftovers.models import Leftovers
from .list_models import Folder, ListChange, ListSettings, SavedView, Tag
from .strays.models import StrayFiles
from .usage.models import Usage

__all__ = [
    "AgentReport",
    "AutostartEntry",
    "DefinitionText",
    "DefinitionVersion",
    "Disk",
    "Folder",
    "Guest",
    "GuestQuerySet",
    "HostBoot",
    "Leftovers",
    "ListChange",
    "ListSettings",
    "Nic",
    "SavedView",
    "Sheet",
    "StrayFiles",
    "Tag",
    "Usage",
]
DELETED = "deleted"  # the reason of the state "missing" where somebody deleted the guest here, on purpose


class GuestQuerySet(OnHostQuerySet):
    scope_paths: ClassVar = {"host": "host_id", "guest": "pk"}

    def listed(self) -> Self:
        """Without those that were deleted on purpose: their pages stay for the history, lists leave them out."""
        return self.filter(trouble__lt=TROUBLE_DELETED)


# The default order of lists: what needs somebody comes first, deleted guests last.
TROUBLE_NONE, TROUBLE_DELETED = 5, 9
_TROUBLE = {"crashed": 0, "missing": 1, "creating": 2, "shutting_down": 2, "paused": 3, "suspended": 3}


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
    changes_at_restart = models.JSONField(default=list)  # [{"what": "memory", "now": "1 GiB", "then": "2 GiB"}]
    xml = models.TextField(blank=True)  # the definition that the next start uses
    digest = models.CharField(max_length=64, blank=True)  # of the XML that the columns were read from

    # What people add to it, for their lists.
    folder = models.ForeignKey(Folder, models.SET_NULL, null=True, blank=True, related_name="guests")
    tags = models.ManyToManyField(Tag, blank=True, related_name="guests")

    # Sampled while it runs.
    cpu_percent = models.FloatField(null=True)  # of all its vCPUs
    cpu_wait_percent = models.FloatField(null=True)  # of the time: ready to run, while the host was busy with others
    cpu_recent = models.BinaryField(default=b"")  # its last half hour, for history.recent
    memory_used_mib = models.PositiveBigIntegerField(null=True)  # as the guest sees it; None without a balloon driver
    memory_held_mib = models.PositiveBigIntegerField(null=True)  # what its process holds on the host
    disk_read_bytes_per_s = models.PositiveBigIntegerField(null=True)
    disk_write_bytes_per_s = models.PositiveBigIntegerField(null=True)
    net_rx_bytes_per_s = models.PositiveBigIntegerField(null=True)  # what it received
    net_tx_bytes_per_s = models.PositiveBigIntegerField(null=True)
    addresses = models.JSONField(default=list)  # [{"address": "192.168.122.5", "source": "lease", "mac": "…"}]
    sampled_at = models.DateTimeField(null=True, blank=True)

    trouble = models.GeneratedField(
        expression=models.Case(
            models.When(state="missing", state_reason=DELETED, then=models.Value(TROUBLE_DELETED)),
            *(models.When(state=state, then=models.Value(rank)) for state, rank in _TROUBLE.items()),
            default=models.Value(TROUBLE_NONE),
        ),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )

    objects = GuestQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        indexes: ClassVar = [
            models.Index(fields=["name"]),
            models.Index(fields=["state", "name"]),
            models.Index(fields=["trouble", "name", "id"]),
            models.Index(fields=["state", "trouble", "needs_restart"], name="guest_tallies"),
            models.Index(fields=["missing_since"]),
            models.Index(fields=["name"], condition=models.Q(needs_restart=True), name="guest_needs_restart"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["host", "uuid"], name="guest_once_per_host"),
            models.UniqueConstraint(
                fields=["host", "name"], condition=models.Q(state="creating"), name="guest_created_once_per_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("guests:detail", args=[self.pk])

    @property
    def is_on(self) -> bool:
        return self.state in self.ON

    @classmethod
    def when_lost(cls, now: datetime) -> dict[str, Any]:
        return super().when_lost(now) | {"state": cls.State.MISSING, "state_reason": "", "state_since": now}

    @property
    def is_deleted(self) -> bool:
        """Whether somebody deleted it here, on purpose; other missing guests vanished by themselves."""
        return self.state == self.State.MISSING and self.state_reason == DELETED


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


class Sheet(models.Model):
    """What a host can give guests of one type and machine, as libvirt said when the host was connected."""

    host = models.ForeignKey(Host, models.CASCADE, related_name="guest_sheets")
    domain_type = models.CharField(max_length=16)  # kvm or qemu
    machine = models.CharField(max_length=32)  # as it was asked for: q35, pc, virt
    data = models.JSONField(default=dict)  # virt.types.CompatSheet
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["host", "domain_type", "machine"], name="one_sheet_per_kind")
        ]

    def __str__(self) -> str:
        return f"{self.domain_type} {self.machine} on {self.host}"
