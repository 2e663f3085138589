"""What guests used over a time, summed up from their history so that lists can be sorted by it."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Usage(models.Model):
    """One guest over one period until `measured_at`. What is not known is None.

    Figures of what it took from its host count the time that it was off as zero; percentages are those of the time that
    it was on.
    """

    class Period(models.TextChoices):
        DAY = "day", _("Day")
        WEEK = "week", _("Week")
        FORTNIGHT = "fortnight", _("Two weeks")

    guest = models.ForeignKey("guests.Guest", models.CASCADE, related_name="usage")
    period = models.CharField(max_length=16, choices=Period)
    measured_at = models.DateTimeField()
    known_hours = models.FloatField(default=0.0)  # of the period: it was on, and kvmweb saw it
    since = models.DateTimeField(null=True)  # the first of them

    # What it took from its host.
    busy_vcpus = models.FloatField(null=True)
    held_bytes = models.PositiveBigIntegerField(null=True)
    disk_bytes_per_s = models.PositiveBigIntegerField(null=True)
    net_bytes_per_s = models.PositiveBigIntegerField(null=True)

    # How it did. p95: in 95 of 100 steps (an hour each in two weeks) it was not more.
    cpu_percent = models.FloatField(null=True)
    cpu_p95_percent = models.FloatField(null=True)  # of the averages
    cpu_peak_p95_percent = models.FloatField(null=True)  # of the highest ten seconds of each step
    cpu_peak_percent = models.FloatField(null=True)
    cpu_wait_p95_percent = models.FloatField(null=True)
    used_p95_bytes = models.PositiveBigIntegerField(null=True)
    used_peak_p95_bytes = models.PositiveBigIntegerField(null=True)
    used_peak_bytes = models.PositiveBigIntegerField(null=True)

    # What follows from two weeks: see guests.usage.sizing.
    vcpus_advised = models.PositiveIntegerField(null=True)
    memory_advised_mib = models.PositiveBigIntegerField(null=True)
    is_idle = models.BooleanField(default=False)
    is_crowded = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["guest", "period"], name="usage_once_per_period")]
        indexes: ClassVar = [models.Index(fields=["period", "guest"])]

    def __str__(self) -> str:
        return f"{self.guest} over a {self.period}"
