"""What the rows of everything that lives on a host have in common."""

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from accounts.permissions import PermittedQuerySet

from .models import Host


class OnHostQuerySet(PermittedQuerySet):
    """Objects that a grant on their host reaches."""

    scope_paths: ClassVar = {"host": "host_id"}


class OnHost(models.Model):
    """A libvirt object as last seen on its host. Rows of what vanished are marked missing, not deleted."""

    host = models.ForeignKey(Host, models.PROTECT, related_name="%(class)ss")
    missing_since = models.DateTimeField(null=True, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    @property
    def is_missing(self) -> bool:
        return self.missing_since is not None

    @classmethod
    def when_lost(cls, now: datetime) -> dict[str, Any]:
        """The columns of a row whose object is not there any more, or whose host is not looked after any more."""
        return {"missing_since": now}
