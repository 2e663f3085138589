"""Images that are kept current, and the ones before them."""

import random
from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

DAY = timedelta(days=1)


def next_day() -> datetime:
    """In a day, an hour more or less: vendors are not asked for everything at once."""
    return timezone.now() + DAY + timedelta(seconds=random.uniform(-3600, 3600))  # noqa: S311 - nothing secret


def within_a_day() -> datetime:
    """Some time from now to tomorrow."""
    return timezone.now() + DAY * random.random()  # noqa: S311 - nothing secret


class KeptImage(models.Model):
    """An image of the catalogue that is fetched anew, into the same pool, when its vendor publishes another one."""

    iso = models.OneToOneField("storage.Iso", models.CASCADE, related_name="kept")  # the newest that was fetched
    pool = models.ForeignKey("storage.Pool", models.CASCADE, related_name="+")
    entry = models.CharField(max_length=64)  # in storage/catalogue/images.json
    keep_former = models.BooleanField(default=False)  # the one before stays, also when nothing uses it
    sha256 = models.CharField(max_length=64)  # of `iso` as it was fetched: another file under its name is not ours
    # The key that has signed the vendor's list for `iso`. What comes after a verified one must be verified, too.
    signed_by = models.CharField(max_length=64, blank=True)
    seen = models.JSONField(default=list)  # the vendor's checksums so far: a mirror that is behind names an older one
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    ask_at = models.DateTimeField(default=within_a_day, db_index=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True)  # why the last question led to nothing, as a sentence
    # The job that asks and fetches, or did not get that far; None: the last one led to `iso`.
    job = models.ForeignKey("jobs.Job", models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["entry", "pool"], name="entry_kept_once_per_pool")]

    def __str__(self) -> str:
        return f"{self.entry} in {self.pool}"


class FormerImage(models.Model):
    """An image that a newer one has taken the place of, here or as a copy in step: removed when nothing uses it."""

    iso = models.OneToOneField("storage.Iso", models.CASCADE, related_name="former")
    kept = models.ForeignKey(KeptImage, models.CASCADE, related_name="formers")
    sha256 = models.CharField(max_length=64)  # what was fetched: a file that was changed since is somebody's work
    since = models.DateTimeField(default=timezone.now)
    try_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self.iso}, followed by {self.kept.iso}"
