"""Storage pools, volumes, ISO images and uploads."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.permissions import PermittedQuerySet
from hosts.mixins import OnHost, OnHostQuerySet

# Of what the storage itself divided into volumes: such a pool is always full, which is nothing to warn of.
FULL_POOLS = frozenset({"iscsi", "iscsi-direct", "scsi", "mpath"})


class Pool(OnHost):
    """A libvirt storage pool. https://libvirt.org/formatstorage.html"""

    uuid = models.UUIDField()
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=32)  # libvirt's: dir, logical, netfs …
    is_active = models.BooleanField(default=False)
    autostart = models.BooleanField(default=False)
    target_path = models.CharField(max_length=4096, blank=True)
    capacity_bytes = models.PositiveBigIntegerField(default=0)
    allocation_bytes = models.PositiveBigIntegerField(default=0)
    available_bytes = models.PositiveBigIntegerField(default=0)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    xml = models.TextField(blank=True)  # its definition, without how full it is
    warn_percent = models.PositiveSmallIntegerField(default=90)  # fuller than that, people are told; 0: never
    closed_to_qemu = models.CharField(max_length=4096, blank=True)  # the directory on the way that QEMU may not enter

    objects = OnHostQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["host", "uuid"], name="pool_once_per_host")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("storage:pool", args=[self.pk])

    @property
    def used_percent(self) -> int | None:
        return self.allocation_bytes * 100 // self.capacity_bytes if self.capacity_bytes else None

    @property
    def is_too_full(self) -> bool:
        """Whether it is fuller than people want it to be."""
        full = 100 - self.available_bytes * 100 // self.capacity_bytes if self.capacity_bytes else 0
        return self.is_active and self.can_fill_up and 0 < self.warn_percent <= full

    @property
    def can_fill_up(self) -> bool:
        """Whether it is ever anything but full."""
        return self.type not in FULL_POOLS


class StorageSheet(models.Model):
    """What pools a host can have, as its libvirt said last."""

    host = models.OneToOneField("hosts.Host", models.CASCADE, related_name="storage_sheet")
    kinds = models.JSONField(default=list)  # virt.pool_types.PoolKind
    read_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"storage of {self.host}"


class VolumeQuerySet(PermittedQuerySet):
    scope_paths: ClassVar = {"host": "pool__host_id"}


class Volume(models.Model):
    """A volume in a pool, as last seen."""

    pool = models.ForeignKey(Pool, models.CASCADE, related_name="volumes")
    name = models.CharField(max_length=255)
    path = models.CharField(max_length=4096, blank=True, db_index=True)
    format = models.CharField(max_length=32, blank=True)  # raw, qcow2, iso …; "" where the pool has no formats
    capacity_bytes = models.PositiveBigIntegerField(default=0)
    allocation_bytes = models.PositiveBigIntegerField(default=0)
    backing_path = models.CharField(max_length=4096, blank=True)
    encryption = models.CharField(max_length=16, blank=True)  # luks; "": it is not encrypted
    missing_since = models.DateTimeField(null=True, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    objects = VolumeQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        indexes: ClassVar = [
            models.Index(fields=["missing_since", "name"]),
            models.Index(fields=["backing_path"], condition=~models.Q(backing_path=""), name="volume_with_backing"),
        ]
        constraints: ClassVar = [models.UniqueConstraint(fields=["pool", "name"], name="volume_once_per_pool")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("storage:volume", args=[self.pk])


class IsoQuerySet(PermittedQuerySet):
    scope_paths: ClassVar = {"host": "volume__pool__host_id"}


class Iso(models.Model):
    """What we know of a volume that is an install disc: where it came from, what is on it, what boots it."""

    class Kind(models.TextChoices):
        ISO = "iso", _("Install disc")
        DRIVERS = "drivers", _("Driver disc")
        CLOUD = "cloud", _("Disk image")  # a disk with a system on it: cloud images, appliances' disks
        APPLIANCE = "appliance", _("Appliance")  # an OVA or a disk of another hypervisor: to be imported
        OTHER = "other", _("Other file")

    class Checksum(models.TextChoices):
        UNKNOWN = "unknown", _("Not computed")
        UNVERIFIED = "unverified", _("Unverified")  # somebody said what it should be, and nobody has looked yet
        COMPUTED = "computed", _("Computed")  # nobody said what it should be
        MATCHES = "matches", _("As published")
        DIFFERS = "differs", _("Does not match")

    volume = models.OneToOneField(Volume, models.CASCADE, related_name="iso")
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.ISO)
    edition = models.CharField(max_length=64, blank=True)  # netinst, DVD, Server …
    source_url = models.CharField(max_length=2000, blank=True)  # where kvmweb fetched it from
    entry = models.CharField(max_length=64, blank=True)  # of the catalogue, where it came from there
    published = models.CharField(max_length=128, blank=True)  # the vendor's checksum of what was fetched, packed or not
    found = models.JSONField(default=dict)  # what the import found in an appliance (storage.importing.inspect)
    sha256 = models.CharField(max_length=64, blank=True)
    sha256_expected = models.CharField(max_length=64, blank=True)
    # The fingerprint of the key that has signed the list with the checksum; "" where no signature was verified.
    signed_by = models.CharField(max_length=64, blank=True)
    inspected_at = models.DateTimeField(null=True, blank=True)
    is_iso9660 = models.BooleanField(null=True)  # None: not looked at yet
    label = models.CharField(max_length=64, blank=True)
    os_id = models.CharField(max_length=200, blank=True)  # libosinfo's: "http://debian.org/debian/12"
    os_name = models.CharField(max_length=200, blank=True)
    os_is_guess = models.BooleanField(default=False)  # the nearest known version, not the very one
    os_is_eol = models.BooleanField(default=False)  # its maker gives no updates any more
    os_set_by_hand = models.BooleanField(default=False)  # a new look at the image leaves the system as it is
    arch = models.CharField(max_length=32, blank=True)
    boots_bios = models.BooleanField(null=True)
    boots_uefi = models.BooleanField(null=True)
    checked_bytes = models.PositiveBigIntegerField(null=True, blank=True)  # its size when a check was last started
    # The size of the file itself, as it was read or written; the capacity of its volume is what a guest sees.
    file_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    added_at = models.DateTimeField(default=timezone.now)

    objects = IsoQuerySet.as_manager()

    class Meta:
        ordering = ["-added_at"]

    def __str__(self) -> str:
        return self.volume.name

    def get_absolute_url(self) -> str:
        return reverse("storage:iso", args=[self.pk])

    @property
    def name(self) -> str:
        return self.volume.name

    @property
    def checksum(self) -> "Iso.Checksum":
        """How far the SHA-256 can be trusted."""
        if not self.sha256:
            return self.Checksum.UNVERIFIED if self.sha256_expected else self.Checksum.UNKNOWN
        if not self.sha256_expected:
            return self.Checksum.COMPUTED
        return self.Checksum.MATCHES if self.sha256 == self.sha256_expected else self.Checksum.DIFFERS


class UploadQuerySet(PermittedQuerySet):
    """Uploads are their creator's; those who administer the host of the pool see them too."""

    scope_paths: ClassVar = {"host": "pool__host_id"}


class Upload(models.Model):
    """A file on its way into a pool. How much has arrived is the size of its part file, not a column."""

    class State(models.TextChoices):
        RECEIVING = "receiving", _("Receiving")
        FINISHING = "finishing", _("Finishing")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    pool = models.ForeignKey(Pool, models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=255)
    size_bytes = models.PositiveBigIntegerField()
    sha256_expected = models.CharField(max_length=64, blank=True)
    client_fingerprint = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.RECEIVING)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    touched_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    # Into a pool that only libvirt reaches: bytes that libvirt has confirmed. None: the size of the part file says it.
    streamed_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    iso = models.ForeignKey(Iso, models.SET_NULL, null=True, blank=True, related_name="+")
    job = models.ForeignKey("jobs.Job", models.SET_NULL, null=True, blank=True, related_name="+")

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["pool", "name"],
                condition=models.Q(state__in=["receiving", "finishing"]),
                name="one_upload_per_name",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Tree(models.Model):
    """An image whose files are published at /tree/<iso>/ for machines of the given networks."""

    iso = models.OneToOneField(Iso, models.CASCADE, related_name="tree")
    networks = models.JSONField(default=list)  # CIDR notation
    facts = models.JSONField(default=dict)  # virt.install_tree.TreeFacts: kernel, initrd, repositories
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    published_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.iso.volume.name


class ImageCopy(models.Model):
    """An image that another pool has, or should have, too. With `keep_in_step` it is copied again when it changes."""

    iso = models.ForeignKey(Iso, models.CASCADE, related_name="copies")
    pool = models.ForeignKey(Pool, models.CASCADE, related_name="+")
    keep_in_step = models.BooleanField(default=False)
    made_from = models.CharField(max_length=64, blank=True)  # the SHA-256 of what was copied last
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["iso", "pool"], name="one_copy_per_pool")]

    def __str__(self) -> str:
        return f"{self.iso.volume.name} → {self.pool.name}"


class Release(models.Model):
    """What the vendor offers now for an entry of the catalogue, as its checksum file said when it was last read."""

    key = models.CharField(max_length=64, unique=True)  # the entry in storage/catalogue/images.json
    url = models.CharField(max_length=2000)
    checksum = models.CharField(max_length=128)
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["key"]

    @property
    def filename(self) -> str:
        return self.url.rpartition("/")[2]

    def __str__(self) -> str:
        return self.url


from .current.models import FormerImage, KeptImage  # noqa: E402, F401 - Django looks for models here
from .secrets.models import HostSecret, PassingValue  # noqa: E402, F401
from .signers.models import SignerKey  # noqa: E402, F401
