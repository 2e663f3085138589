"""What is known of a host's secrets, which is never what is in them; and values on their way to a host."""

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.mixins import OnHostQuerySet
from hosts.secrets import seal, unseal
from virt.errors import UserError

KEPT_FOR = timedelta(days=1)  # a job that waits longer than that asks for the value again


class ValueGone(UserError):
    """The value that a job was to bring to a host is not there (any more)."""

    code, status = "value_gone", 409


class HostSecret(models.Model):
    """A libvirt secret as last seen on its host. The row goes when the secret does. https://libvirt.org/formatsecret.html"""

    class Usage(models.TextChoices):
        VOLUME = "volume", gettext_lazy("Encrypted disk")
        CEPH = "ceph", gettext_lazy("Ceph")
        ISCSI = "iscsi", gettext_lazy("iSCSI")
        TLS = "tls", gettext_lazy("TLS key")
        VTPM = "vtpm", gettext_lazy("Virtual TPM")
        NONE = "", gettext_lazy("Nothing in particular")

    host = models.ForeignKey("hosts.Host", models.CASCADE, related_name="secrets")
    uuid = models.UUIDField()
    usage = models.CharField(max_length=16, blank=True)  # libvirt's, most often one of Usage
    usage_id = models.CharField(max_length=4096, blank=True)  # a path, or the name by which pools and disks ask for it
    description = models.CharField(max_length=1000, blank=True)
    is_ephemeral = models.BooleanField(default=False)
    is_private = models.BooleanField(default=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    objects = OnHostQuerySet.as_manager()

    class Meta:
        ordering = ["usage", "usage_id", "pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["host", "uuid"], name="secret_once_per_host")]

    def __str__(self) -> str:
        return self.usage_id or str(self.uuid)

    @property
    def usage_text(self) -> str:
        """What it is for, in words."""
        known = {choice.value: choice.label for choice in self.Usage}
        return str(known.get(self.usage, self.usage))


class PassingValue(models.Model):
    """A value that somebody gave and that a job brings to a host: sealed, taken once, and put away after a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    sealed = models.TextField()
    given_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def give(cls, value: str) -> str:
        """Keep `value` for a job, and return the word by which the job takes it."""
        return str(cls.objects.create(sealed=seal(value)).pk)

    @classmethod
    def put_away_old(cls) -> None:
        """Those that no job came for: it was cancelled while it waited."""
        cls.objects.filter(given_at__lt=timezone.now() - KEPT_FOR).delete()

    @classmethod
    def take(cls, word: str) -> str:
        """The value, which is not in the database from then on. Raises ValueGone or SecretLost."""
        with transaction.atomic():
            found = cls.objects.select_for_update().filter(pk=word).first()
            if found is None:
                raise ValueGone(_("The passphrase or key is not kept any more: a job takes it once. Enter it again."))
            found.delete()
        return unseal(found.sealed)
