"""Virtual networks and host bridges, as last seen."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hosts.mixins import OnHost, OnHostQuerySet


class NetworkingQuerySet(OnHostQuerySet):
    """What guests can be plugged into."""

    def with_guest_count(self) -> Self:
        """Each with `guest_count`: how many guests have a card on it."""
        there = Q(nics__guest__missing_since=None)
        return self.annotate(guest_count=Count("nics__guest", filter=there, distinct=True))

    def listed(self) -> Self:
        """With guest counts, and without what is gone from its host, unless a guest still wants it."""
        return self.with_guest_count().filter(Q(missing_since=None) | Q(guest_count__gt=0))


class Network(OnHost):
    """A libvirt network. https://libvirt.org/formatnetwork.html"""

    class Forward(models.TextChoices):
        NAT = "nat", _("NAT")
        ROUTE = "route", _("Routed")
        OPEN = "open", pgettext_lazy("forward mode", "Open")
        BRIDGE = "bridge", _("Bridge")
        ISOLATED = "isolated", _("Isolated")
        OTHER = "other", _("Other")

    uuid = models.UUIDField()
    name = models.CharField(max_length=255)
    is_active = models.BooleanField(default=False)
    autostart = models.BooleanField(default=False)
    persistent = models.BooleanField(default=True)
    forward = models.CharField(max_length=16, choices=Forward, default=Forward.ISOLATED)
    bridge = models.CharField(max_length=64, blank=True)
    cidr = models.CharField(max_length=64, blank=True)  # IPv4, "192.168.122.1/24"
    dhcp_range = models.CharField(max_length=64, blank=True)  # "192.168.122.2 – 192.168.122.254"
    xml = models.TextField(blank=True)

    objects = NetworkingQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["host", "uuid"], name="network_once_per_host")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("networking:network", args=[self.pk])

    @property
    def state(self) -> str:
        """A word for the state's colour and shape: "active", "inactive" or "missing"."""
        return state_of(self)


class Bridge(OnHost):
    """A bridge of the host itself, which guests can use directly; not one that belongs to a libvirt network."""

    name = models.CharField(max_length=64)
    mac = models.CharField(max_length=17, blank=True)
    is_active = models.BooleanField(default=False)
    ports = models.JSONField(default=list)  # interface names
    addresses = models.JSONField(default=list)  # "192.168.189.14/24"

    objects = NetworkingQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["host", "name"], name="bridge_once_per_host")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("networking:bridges")

    @property
    def state(self) -> str:
        """A word for the state's colour and shape: "active", "inactive" or "missing"."""
        return state_of(self)


def state_of(row: Network | Bridge) -> str:
    if row.is_missing:
        return "missing"
    return "active" if row.is_active else "inactive"
