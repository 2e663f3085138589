"""The kept definitions of guests. What is bounded: MOST_VERSIONS a guest, each text once, large ones compressed."""

import zlib
from hashlib import sha256
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.permissions import PermittedQuerySet

MOST_VERSIONS = 50  # of a guest; the oldest go first. A usual definition takes 1 to 2 KiB: at most 100 KiB a guest
COMPRESSED_FROM = 1024  # bytes


class DefinitionText(models.Model):
    """The XML of one definition of a guest, kept once for all versions that say the same.

    It never holds passwords: it is read without them, as libvirt gives it to everybody who may only look.
    """

    guest = models.ForeignKey("guests.Guest", models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    data = models.BinaryField()
    is_compressed = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["guest", "digest"], name="one_text_per_definition")]

    def __str__(self) -> str:
        return self.digest

    @classmethod
    def of(cls, guest_id: int, xml: str) -> "DefinitionText":
        """A row, not saved."""
        raw = xml.encode()
        is_large = len(raw) >= COMPRESSED_FROM
        data = zlib.compress(raw, 6) if is_large else raw
        return cls(guest_id=guest_id, digest=digest_of(xml), data=data, is_compressed=is_large)

    @property
    def xml(self) -> str:
        raw = bytes(self.data)
        return (zlib.decompress(raw) if self.is_compressed else raw).decode()


def digest_of(xml: str) -> str:
    """What tells two definitions apart."""
    return sha256(xml.encode()).hexdigest()


class DefinitionQuerySet(PermittedQuerySet):
    scope_paths: ClassVar = {"host": "guest__host_id", "guest": "guest_id"}

    def drift(self) -> "DefinitionQuerySet":
        """Changes that nobody made in kvmweb and that nobody has acknowledged yet, of guests that are there."""
        outside = DefinitionVersion.Origin.OUTSIDE
        return self.filter(origin=outside, acknowledged_at=None, guest__missing_since=None)


class DefinitionVersion(models.Model):
    """What the next start of a guest used from `seen_at` on, until the version after it."""

    class Origin(models.TextChoices):
        FIRST = "first", _("As kvmweb first saw it")
        KVMWEB = "kvmweb", _("Changed by kvmweb")
        OUTSIDE = "outside", _("Changed outside kvmweb")
        UPGRADE = "upgrade", _("Changed with a new version of libvirt")

    guest = models.ForeignKey("guests.Guest", models.CASCADE, related_name="definitions")
    number = models.PositiveIntegerField()  # 1 is the oldest that was ever seen
    text = models.ForeignKey(DefinitionText, models.RESTRICT, related_name="versions")
    seen_at = models.DateTimeField()  # when it was read from the host
    earliest_at = models.DateTimeField(null=True, blank=True)  # when the one before was read last: made since then
    origin = models.CharField(max_length=16, choices=Origin)
    job = models.ForeignKey("jobs.Job", models.SET_NULL, null=True, blank=True, related_name="+")
    job_title = models.CharField(max_length=255, blank=True)  # they stay when the job or the user goes
    actor = models.CharField(max_length=200, blank=True)
    libvirt_version = models.CharField(max_length=32, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = DefinitionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-number"]
        indexes: ClassVar = [
            models.Index(
                fields=["seen_at"],
                condition=models.Q(origin="outside", acknowledged_at=None),
                name="definition_drift",
            )
        ]
        constraints: ClassVar = [models.UniqueConstraint(fields=["guest", "number"], name="one_version_per_number")]

    def __str__(self) -> str:
        return f"{self.number} of guest {self.guest_id}"

    def get_absolute_url(self) -> str:
        return reverse("guests:definition", args=[self.guest_id, self.number])

    @property
    def is_drift(self) -> bool:
        """Whether it waits for somebody to acknowledge that nobody in kvmweb made it."""
        return self.origin == self.Origin.OUTSIDE and self.acknowledged_at is None
