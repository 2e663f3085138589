"""How hosts are logged in to, and attempts to reach one."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from hosts import secrets

if TYPE_CHECKING:
    from .address import Address


class Login(models.Model):
    """What is needed besides an address. Secrets are stored sealed; `password` and `tls_key` read and write them."""

    username = models.CharField(max_length=255, blank=True)  # libvirt's own login (SASL)
    sealed_password = models.TextField(blank=True)
    tls_ca = models.TextField(blank=True)  # PEM, as are the next two
    tls_certificate = models.TextField(blank=True)
    sealed_tls_key = models.TextField(blank=True)
    host_keys = models.TextField(blank=True)  # SSH keys that somebody confirmed: "ssh-ed25519 AAAA…", one a line

    class Meta:
        abstract = True

    @property
    def password(self) -> str:
        return secrets.unseal(self.sealed_password)

    @password.setter
    def password(self, value: str) -> None:
        self.sealed_password = secrets.seal(value)

    @property
    def tls_key(self) -> str:
        return secrets.unseal(self.sealed_tls_key)

    @tls_key.setter
    def tls_key(self, value: str) -> None:
        self.sealed_tls_key = secrets.seal(value)


LOGIN_FIELDS = ("username", "sealed_password", "tls_ca", "tls_certificate", "sealed_tls_key", "host_keys")


class Credentials(Login):
    """The login of a host that was added."""

    host = models.OneToOneField("hosts.Host", models.CASCADE, related_name="credentials")

    def __str__(self) -> str:
        return f"login of {self.host_id}"


class Attempt(Login):
    """Somebody wants to add a host, or to reach one in another way. `steps` is how far that came.

    With `saves`, the host is added or changed when every step went well. `host_keys` are those that were confirmed,
    `offered_keys` those that the machine showed last.
    """

    host = models.ForeignKey("hosts.Host", models.SET_NULL, null=True, blank=True, related_name="attempts")
    name = models.CharField(max_length=255, blank=True)
    uri = models.CharField(max_length=500)
    tags = models.JSONField(default=list)
    saves = models.BooleanField(default=True)
    allows_twin = models.BooleanField(default=False)  # another host may have the same UUID
    offered_keys = models.TextField(blank=True)
    steps = models.JSONField(default=list)
    job = models.ForeignKey("jobs.Job", models.SET_NULL, null=True, blank=True, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name or self.uri

    def get_absolute_url(self) -> str:
        return reverse("hosts:attempt", args=[self.pk])

    @property
    def address(self) -> "Address":
        from .address import Address

        return Address.parse(self.uri)
