"""Users, their grants and API tokens, and the audit log."""

import hashlib
import secrets
from datetime import timedelta
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .permissions import PermittedQuerySet


class User(AbstractUser):
    """A person or a script that logs in. What they may do is in their grants."""

    class Theme(models.TextChoices):
        AUTO = "auto", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    theme = models.CharField(max_length=8, choices=Theme, default=Theme.AUTO)
    token: "ApiToken | None" = None  # set when this request came with a token; narrows what it may do

    class Meta(AbstractUser.Meta):
        ordering = ["username"]

    @property
    def role(self) -> str:
        """The user's role on everything, or "" where grants are on single objects only."""
        if self.is_superuser:
            return str(Grant.Role.ADMINISTRATOR)
        grant = self.grants.filter(scope_kind=Grant.Scope.ALL).first()
        return grant.role if grant else ""


class Grant(models.Model):
    """A role of a user on everything, on one host (and all that is on it) or on one guest."""

    class Role(models.TextChoices):
        VIEWER = "viewer", _("Viewer")
        OPERATOR = "operator", _("Operator")
        ADMINISTRATOR = "administrator", _("Administrator")

    class Scope(models.TextChoices):
        ALL = "all", _("Everything")
        HOST = "host", _("Host")
        GUEST = "guest", _("Guest")

    user = models.ForeignKey(User, models.CASCADE, related_name="grants")
    role = models.CharField(max_length=16, choices=Role)
    scope_kind = models.CharField(max_length=16, choices=Scope, default=Scope.ALL)
    scope_id = models.PositiveBigIntegerField(default=0)  # row id of the host or guest; 0 for everything

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "scope_kind", "scope_id"], name="one_role_per_scope")
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} on {self.scope_kind} {self.scope_id or ''}".strip()


class ApiToken(models.Model):
    """A secret with which a script acts as a user, within a scope. We keep only its hash."""

    class Scope(models.TextChoices):
        READ = "read", _("Read")
        OPERATE = "operate", _("Read and operate")
        ADMINISTER = "administer", _("Everything the user may do")

    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True)
    sha256 = models.CharField(max_length=64)
    scope = models.CharField(max_length=16, choices=Scope, default=Scope.OPERATE)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def issue(
        cls, user: User, name: str, scope: str = Scope.OPERATE, lifetime: timedelta | None = None
    ) -> tuple["ApiToken", str]:
        """A new token and its secret, "kvmweb_<prefix>_<256 random bits>", which is shown once and never kept."""
        prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        raw = f"kvmweb_{prefix}_{secret}"
        expires_at = timezone.now() + lifetime if lifetime else None
        token = cls.objects.create(
            user=user, name=name, prefix=prefix, sha256=cls.digest(raw), scope=scope, expires_at=expires_at
        )
        return token, raw

    @staticmethod
    def digest(raw: str) -> str:
        """SHA-256 of a secret. It is 256 random bits, so a slow hash would add nothing."""
        return hashlib.sha256(raw.encode()).hexdigest()

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


class AuditQuerySet(PermittedQuerySet):
    """Only those who administer everything read the audit log."""


class AuditEntry(models.Model):
    """Who did what to which object, from where, and how it ended. Rows are only ever added."""

    class Result(models.TextChoices):
        STARTED = "started", _("Started")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        REFUSED = "refused", _("Refused")

    at = models.DateTimeField(default=timezone.now, db_index=True)
    user = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    actor = models.CharField(max_length=200)  # the name as it was: it stays when the user is removed
    action = models.CharField(max_length=64)
    object_kind = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=255, blank=True)
    remote_address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=32, blank=True)
    job_id = models.PositiveBigIntegerField(null=True, blank=True)
    result = models.CharField(max_length=16, choices=Result)
    detail = models.TextField(blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.actor} {self.action} {self.object_name} {self.result}"
