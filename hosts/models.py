"""Machines with libvirtd."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.permissions import PermittedQuerySet

if TYPE_CHECKING:
    from virt.connection import Connection


STALE_AFTER = timedelta(seconds=60)


class HostTag(models.Model):
    """A word under which hosts are found together: a site, a rack, a purpose."""

    name = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class HostQuerySet(PermittedQuerySet):
    scope_paths: ClassVar = {"host": "pk"}

    def present(self) -> "HostQuerySet":
        """Without those that somebody removed; their rows stay for what happened on them."""
        return self.filter(removed_at=None)


class Host(models.Model):
    """A machine with libvirtd, as last seen. `state` is what the watcher knows about the way to it."""

    class State(models.TextChoices):
        CONNECTING = "connecting", _("Connecting")
        CONNECTED = "connected", _("Connected")
        UNREACHABLE = "unreachable", _("No contact")
        DISABLED = "disabled", _("Disabled")

    name = models.CharField(max_length=255, unique=True)
    uri = models.CharField(max_length=500, unique=True)
    uuid = models.UUIDField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.CONNECTING)
    state_since = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(null=True, blank=True)  # the last time that its rows were compared with libvirt
    error = models.TextField(blank=True)  # why there is no contact: a sentence
    error_details = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)  # somebody removed it; it is disabled too, then
    tags = models.ManyToManyField(HostTag, blank=True, related_name="hosts")
    prepared_at = models.DateTimeField(null=True, blank=True)  # when its pools and network were first set up
    check_requested_at = models.DateTimeField(null=True, blank=True)  # somebody wants the watcher to look again, now
    maintenance_since = models.DateTimeField(null=True, blank=True)  # nothing new is placed on it from then on
    maintenance_reason = models.CharField(max_length=500, blank=True)
    maintenance_by = models.CharField(max_length=150, blank=True)  # a user's name: it stays when the user goes

    # What it is: from libvirt, once per connection. `facts` is virt.host.HostFacts as JSON.
    facts = models.JSONField(default=dict)
    # Whether a stock guest boots on its KVM: tried once per boot of the host.
    kvm_works = models.BooleanField(null=True)
    kvm_reason = models.TextField(blank=True)
    kvm_probed_at = models.DateTimeField(null=True, blank=True)
    kvm_probed_boot = models.CharField(max_length=64, blank=True)  # which boot of the host was probed

    # How it does: sampled.
    cpus = models.PositiveIntegerField(default=0)  # threads
    memory_mib = models.PositiveBigIntegerField(default=0)
    cpu_percent = models.FloatField(null=True)
    cpu_recent = models.BinaryField(default=b"")  # its last half hour, for history.recent
    memory_used_mib = models.PositiveBigIntegerField(null=True)
    load = models.FloatField(null=True)  # the average of one minute; local hosts only, as are the next three
    pressure_cpu_percent = models.FloatField(null=True)  # of the time, something waited for a processor
    pressure_memory_percent = models.FloatField(null=True)
    pressure_io_percent = models.FloatField(null=True)
    sampled_at = models.DateTimeField(null=True, blank=True)

    objects = HostQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("hosts:detail", args=[self.pk])

    @property
    def is_connected(self) -> bool:
        return self.state == self.State.CONNECTED

    @property
    def is_in_maintenance(self) -> bool:
        """Whether nothing new is to be placed on it. What is there goes on."""
        return self.maintenance_since is not None

    @property
    def is_stale(self) -> bool:
        """Whether its rows are old: no contact, or the watcher has not compared them for a while."""
        return not self.is_connected or self.is_unattended

    @property
    def is_unattended(self) -> bool:
        """Whether the watcher ought to have told something of it for a while, and has not: it does not run."""
        last = {self.State.CONNECTED: self.seen_at, self.State.CONNECTING: self.state_since}.get(self.State(self.state))
        return last is not None and timezone.now() - last > STALE_AFTER

    @property
    def is_local(self) -> bool:
        """Whether its files and sockets are those of the machine that kvmweb runs on."""
        from virt.connection import is_plain_local

        return is_plain_local(self.uri)

    def open(self, *, timeout_s: float | None = None, events: bool = True) -> "Connection":
        """A connection of its own to this host, with its login; for workers and the watcher, never for a request.

        `events` as in `virt.connection.connect`. Raises virt.errors.HostUnreachable, HostTimeout, HostKeyRefused or
        PermissionRefused.
        """
        from virt.connection import connect

        from .reaching.access import access_to

        timeout_s = timeout_s or settings.LIBVIRT_TIMEOUT_S
        return connect(self.uri, timeout_s=timeout_s, access=access_to(self), events=events)

    @contextmanager
    def connect(self, *, timeout_s: float | None = None, events: bool = True) -> "Iterator[Connection]":
        """The same for a `with` statement, which closes it."""
        with self.open(timeout_s=timeout_s, events=events) as connection:
            yield connection


from .hardware.models import HostDevice, HostReport  # noqa: E402, F401 - Django looks for models here
from .reaching.models import Attempt, Credentials  # noqa: E402, F401 - Django looks for models here
