"""Image files in no pool, as a job found them last."""

from django.db import models
from django.utils import timezone


class StrayFiles(models.Model):
    """`found` is a list of {"path", "format", "size_bytes", "allocation_bytes", "changed_at"}, the largest first;
    `problem` says what could not be looked at.
    """

    host = models.OneToOneField("hosts.Host", models.CASCADE, related_name="stray_files")
    found = models.JSONField(default=list)
    problem = models.TextField(blank=True)
    looked_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{len(self.found)} on {self.host}"
