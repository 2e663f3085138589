"""Files on a host that no guest of it has any more, as a job found them last."""

from django.db import models
from django.utils import timezone


class Leftovers(models.Model):
    """`found` is a list of {"kind", "path", "size_bytes", "changed_at"}; `problem` says what could not be looked at.

    `snapshots` are those that lack a file: {"uuid", "guest", "snapshot", "path"}.
    """

    host = models.OneToOneField("hosts.Host", models.CASCADE, related_name="leftovers")
    found = models.JSONField(default=list)
    snapshots = models.JSONField(default=list)
    problem = models.TextField(blank=True)
    looked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{len(self.found)} on {self.host}"
