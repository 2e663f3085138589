"""What a guest's agent said last."""

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AgentReport(models.Model):
    """What the agent of a guest said last, and whether it still answers. All times but `users` are by our own clock."""

    class State(models.TextChoices):
        ANSWERS = "answers", _("Answers")
        ABSENT = "absent", _("Not running")
        SILENT = "silent", _("Does not answer")

    guest = models.OneToOneField("guests.Guest", models.CASCADE, primary_key=True, related_name="agent")
    state = models.CharField(max_length=16, choices=State)
    state_since = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True, blank=True)  # None: never yet
    hostname = models.CharField(max_length=255, blank=True)
    os_id = models.CharField(max_length=255, blank=True)  # debian, mswindows …
    os_name = models.CharField(max_length=255, blank=True)
    os_version = models.CharField(max_length=255, blank=True)
    kernel = models.CharField(max_length=255, blank=True)
    timezone = models.CharField(max_length=255, blank=True)
    utc_offset_s = models.IntegerField(null=True, blank=True)
    users = models.JSONField(default=list)  # virt.types.GuestUser
    filesystems = models.JSONField(default=list)  # virt.types.GuestFilesystem
    interfaces = models.JSONField(default=list)  # [{"name": "eth0", "mac": "…", "addresses": ["10.0.0.5/24"]}]

    def __str__(self) -> str:
        return f"{self.guest_id}: {self.state}"

    @property
    def answers(self) -> bool:
        return self.state == self.State.ANSWERS

    @property
    def disks(self) -> list[dict[str, Any]]:
        """Filesystems of which the size is known, the fullest first."""
        sized = [each for each in self.filesystems if each["total_bytes"]]
        return sorted(sized, key=lambda each: -(each["used_bytes"] or 0) / each["total_bytes"])

    @property
    def unsized(self) -> list[dict[str, Any]]:
        """Those of which it is not known."""
        return [each for each in self.filesystems if not each["total_bytes"]]
