"""Which guests start with their host, in which order, and which boot of a host was dealt with."""

from typing import ClassVar

from django.db import models
from django.utils import timezone


class AutostartEntry(models.Model):
    """A guest in the order of its host. Its libvirt autostart is off: it would start at once, and out of turn."""

    guest = models.OneToOneField("guests.Guest", models.CASCADE, related_name="autostart_entry")
    position = models.PositiveIntegerField()
    delay_s = models.PositiveIntegerField(default=0)  # how long to wait after the guest before it was started

    class Meta:
        ordering: ClassVar = ["position", "pk"]

    def __str__(self) -> str:
        return f"{self.position}: guest {self.guest_id}"


class HostBoot(models.Model):
    """The boot of a host that kvmweb saw last; another one means that the host was started again since."""

    host = models.OneToOneField("hosts.Host", models.CASCADE, related_name="boot")
    boot_id = models.CharField(max_length=64)
    seen_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.boot_id
