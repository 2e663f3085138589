"""What people add to guests so as to find them: folders, tags, saved views, columns of their own, and what to undo."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MOST_IN_PATH, MOST_IN_TAG, MOST_IN_VIEW = 200, 40, 60  # characters
HUES = 8


class Folder(models.Model):
    """A place for guests. `path` leads to it ("Production/Web"); the folders above it are rows too."""

    path = models.CharField(max_length=MOST_IN_PATH)
    key = models.CharField(max_length=3 * MOST_IN_PATH, unique=True)  # the path without regard to case

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class Tag(models.Model):
    """A word on guests. `hue` is the number of its colour, 1 to HUES."""

    name = models.CharField(max_length=MOST_IN_TAG)
    key = models.CharField(max_length=3 * MOST_IN_TAG, unique=True)  # the name without regard to case
    hue = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.name


class Density(models.TextChoices):
    """How high the rows of a list are."""

    DENSE = "dense", _("Dense")
    NORMAL = "normal", _("Normal")
    ROOMY = "roomy", _("Roomy")


class SavedView(models.Model):
    """A search with its order and columns under a name. Everybody may use a shared one; its owner changes it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="guest_views")
    name = models.CharField(max_length=MOST_IN_VIEW)
    query = models.CharField(max_length=500, blank=True)
    sort = models.CharField(max_length=32, blank=True)
    columns = models.JSONField(default=list)  # empty: those of whoever looks
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "pk"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "name"], name="one_guest_view_per_name")]

    def __str__(self) -> str:
        return self.name


class ListSettings(models.Model):
    """How one user wants the guest list."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="guest_list")
    columns = models.JSONField(default=list)  # names in order; empty: the usual ones
    density = models.CharField(max_length=16, choices=Density, default=Density.NORMAL)
    default_view = models.ForeignKey(SavedView, models.SET_NULL, null=True, blank=True, related_name="+")

    def __str__(self) -> str:
        return f"guest list of {self.user}"


class ListChange(models.Model):
    """A change of tags or folders that can be taken back. Only the last ones of each user are kept."""

    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    title = models.CharField(max_length=255)
    # {"tagged": {tag id: [guest ids]}, "untagged": {…}} or {"moved": {id of the folder before, or "": [guest ids]},
    # "to": id of the folder after, or null}
    steps = models.JSONField(default=dict)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.title
