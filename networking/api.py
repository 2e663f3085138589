"""REST of virtual networks and host bridges."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema, Status
from ninja.pagination import paginate

from accounts.rest import ERRORS, Problem, actor
from hosts.rest import HostRef
from jobs.models import Job
from jobs.rest import JobOut, accepted

from . import services
from .models import Bridge, Network

networks_router = Router(tags=["networks"])
bridges_router = Router(tags=["bridges"])


class NetworkOut(Schema):
    """A virtual network, as last seen."""

    id: int
    uuid: UUID
    name: str
    host: HostRef
    is_active: bool
    autostart: bool
    persistent: bool
    forward: str = Field(description="nat, route, open, bridge, isolated or other")
    bridge: str = Field(description="The bridge device that carries it.")
    cidr: str = Field(description="The host's address in it, e.g. 192.168.122.1/24.")
    dhcp_range: str
    guests: int = Field(validation_alias="guest_count", description="How many guests have a card on it.")
    missing_since: datetime | None


class NetworkDetailOut(NetworkOut):
    """A network with its definition."""

    xml: str
    running_guests: list[str] = Field(description="Who would be cut off if it were stopped.")

    @staticmethod
    def resolve_running_guests(network: Network) -> list[str]:
        return services.running_guests_on(network)


class NetworkPatch(Schema):
    autostart: bool


class BridgeOut(Schema):
    """A bridge of a host, as last seen."""

    id: int
    name: str
    host: HostRef
    mac: str
    is_active: bool
    ports: list[str]
    addresses: list[str]
    guests: int = Field(validation_alias="guest_count", description="How many guests have a card on it.")
    missing_since: datetime | None


def _network(request: HttpRequest, network_id: int, action: str) -> Network:
    networks = Network.objects.permitted(actor(request), action).with_guest_count().select_related("host")
    network: Network = get_object_or_404(networks, pk=network_id)
    return network


@networks_router.get("", response={200: list[NetworkOut], ERRORS: Problem})
@paginate
def list_networks(
    request: HttpRequest, search: str = "", host: int | None = None, is_active: bool | None = None
) -> QuerySet[Network]:
    """Virtual networks, by name; of one host with `host`."""
    networks = Network.objects.permitted(actor(request), "view").with_guest_count().select_related("host")
    if search:
        networks = networks.filter(name__icontains=search)
    if host is not None:
        networks = networks.filter(host=host)
    return networks if is_active is None else networks.filter(is_active=is_active)


@networks_router.get("/{int:network_id}", response={200: NetworkDetailOut, ERRORS: Problem})
def get_network(request: HttpRequest, network_id: int) -> Network:
    """One network with its definition and who uses it."""
    return _network(request, network_id, "view")


@networks_router.patch("/{int:network_id}", response={202: JobOut, ERRORS: Problem})
def change_network(request: HttpRequest, network_id: int, body: NetworkPatch, response: HttpResponse) -> Status[Job]:
    """Have it started with its host, or not."""
    network = _network(request, network_id, "configure")
    return accepted(response, services.set_autostart(network, body.autostart, by=actor(request)))


@networks_router.post("/{int:network_id}/start", response={202: JobOut, ERRORS: Problem})
def start(request: HttpRequest, network_id: int, response: HttpResponse) -> Status[Job]:
    """Start it. Running already is not an error: the job says so and succeeds."""
    network = _network(request, network_id, "operate")
    return accepted(response, services.start_network(network, by=actor(request)))


@networks_router.post("/{int:network_id}/stop", response={202: JobOut, ERRORS: Problem})
def stop(
    request: HttpRequest,
    network_id: int,
    response: HttpResponse,
    force: Annotated[bool, Query(description="Stop it even though running guests use it.")] = False,
) -> Status[Job]:
    """Stop it. With running guests on it this is 409 network_in_use, unless forced."""
    network = _network(request, network_id, "operate")
    return accepted(response, services.stop_network(network, by=actor(request), force=force))


@bridges_router.get("", response={200: list[BridgeOut], ERRORS: Problem})
@paginate
def list_bridges(request: HttpRequest, search: str = "", host: int | None = None) -> QuerySet[Bridge]:
    """Bridges of the hosts, by name; of one host with `host`."""
    bridges = Bridge.objects.permitted(actor(request), "view").with_guest_count().select_related("host")
    if search:
        bridges = bridges.filter(name__icontains=search)
    return bridges if host is None else bridges.filter(host=host)


@bridges_router.get("/{int:bridge_id}", response={200: BridgeOut, ERRORS: Problem})
def get_bridge(request: HttpRequest, bridge_id: int) -> Bridge:
    """One bridge."""
    bridges = Bridge.objects.permitted(actor(request), "view").with_guest_count().select_related("host")
    bridge: Bridge = get_object_or_404(bridges, pk=bridge_id)
    return bridge
