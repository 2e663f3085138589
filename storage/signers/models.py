"""Keys that an administrator trusts to sign lists of checksums."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class SignerKey(models.Model):
    """An OpenPGP public key. `data` is the key itself, as gpgv wants it in a keyring."""

    fingerprint = models.CharField(max_length=64, unique=True)  # upper-case hexadecimal, without blanks
    name = models.CharField(max_length=200, blank=True)  # what the key says of its owner, which proves nothing
    data = models.BinaryField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["name", "fingerprint"]

    def __str__(self) -> str:
        return self.name or self.spaced

    @property
    def spaced(self) -> str:
        """The fingerprint as people compare it."""
        return spaced(self.fingerprint)


def spaced(fingerprint: str) -> str:
    """A fingerprint in groups of four."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
