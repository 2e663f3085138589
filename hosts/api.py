"""REST of hosts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.pagination import paginate

from accounts.rest import ERRORS, Problem, actor
from history.rest import HistoryOut, Range, SeriesNames, history
from history.series import HOST
from jobs.models import Job
from jobs.rest import JobOut, accepted

from . import services
from .checks.api import router as checks_router
from .hardware.api import router as hardware_router
from .models import Host
from .reaching import api as reaching_api
from .reaching import services as reaching

router = Router(tags=["hosts"])
router.add_router("", reaching_api.router)
router.add_router("", hardware_router)
router.add_router("", checks_router)


class HostOut(Schema):
    """A machine with libvirtd, as last seen."""

    id: int
    name: str
    uri: str
    uuid: UUID | None
    state: str = Field(description="connecting, connected, unreachable or disabled")
    state_since: datetime
    seen_at: datetime | None = Field(description="When its objects were last compared with libvirt.")
    error: str = Field(description="Why there is no contact; empty while there is.")
    enabled: bool
    tags: list[str]
    removed_at: datetime | None = Field(description="When somebody removed it from kvmweb; null while it is there.")
    kvm_works: bool | None = Field(description="Whether guests run accelerated. null: not tried yet.")
    kvm_reason: str
    cpus: int = Field(description="Logical processors.")
    memory_mib: int
    cpu_percent: float | None = Field(description="Of all its processors, at the last sample.")
    memory_used_mib: int | None
    sampled_at: datetime | None

    @staticmethod
    def resolve_enabled(host: Host) -> bool:
        return host.state != Host.State.DISABLED

    @staticmethod
    def resolve_tags(host: Host) -> list[str]:
        return [tag.name for tag in host.tags.all()]


class HostDetailOut(HostOut):
    """A host with what libvirt says of it."""

    error_details: str
    maintenance_since: datetime | None = Field(description="Nothing new is placed on it since then.")
    maintenance_reason: str
    maintenance_by: str
    facts: dict[str, Any] = Field(description="hostname, arch, cpu_model, libvirt_version, hypervisor_version …")
    kvm_probed_at: datetime | None
    prepared_at: datetime | None


class HostPatch(Schema):
    name: str | None = None
    enabled: bool | None = None
    tags: list[str] | None = Field(None, max_length=20, description="In place of those that it has.")


def _host(request: HttpRequest, host_id: int, action: str) -> Host:
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), action), pk=host_id)
    return host


@router.get("", response={200: list[HostOut], ERRORS: Problem})
@paginate
def list_hosts(
    request: HttpRequest, search: str = "", state: Host.State | None = None, tag: str = "", removed: bool = False
) -> QuerySet[Host]:
    """All hosts, by name; with `state` or `tag` only those that have it, with `removed` those that were removed."""
    hosts = Host.objects.permitted(actor(request), "view").filter(removed_at__isnull=not removed)
    hosts = hosts.prefetch_related("tags")
    if tag:
        hosts = hosts.filter(tags__name=tag)
    if search:
        hosts = hosts.filter(name__icontains=search)
    return hosts.filter(state=state) if state else hosts


@router.get("/{int:host_id}", response={200: HostDetailOut, ERRORS: Problem})
def get_host(request: HttpRequest, host_id: int) -> Host:
    """One host with its facts."""
    return _host(request, host_id, "view")


@router.get("/{int:host_id}/history", response={200: HistoryOut, ERRORS: Problem}, url_name="host_history")
def get_history(
    request: HttpRequest,
    host_id: int,
    range: Range = "hour",  # noqa: A002 - the word of the address
    series: SeriesNames = "",
) -> HistoryOut:
    """How busy the host was: processors, memory, load and pressure, for an hour or up to a year."""
    return history(HOST, _host(request, host_id, "view").pk, range, series)


@router.patch("/{int:host_id}", response={200: HostDetailOut, ERRORS: Problem})
def change_host(request: HttpRequest, host_id: int, body: HostPatch) -> Host:
    """Rename a host in kvmweb, or switch looking after it off and on. The machine itself is not touched."""
    host = _host(request, host_id, "administer")
    if body.name is not None:
        host = services.rename_host(host, body.name, by=actor(request))
    if body.enabled is not None:
        host = services.set_enabled(host, body.enabled, by=actor(request))
    if body.tags is not None:
        reaching.set_tags(host, body.tags, by=actor(request))
    return host


@router.post("/{int:host_id}/check", response={200: HostDetailOut, ERRORS: Problem})
def check(request: HttpRequest, host_id: int) -> Host:
    """Connect and compare everything now, instead of at the next turn. Nothing on the host is changed."""
    return services.check_again(_host(request, host_id, "operate"), by=actor(request))


@router.post("/{int:host_id}/probe", response={202: JobOut, ERRORS: Problem})
def probe(request: HttpRequest, host_id: int, response: HttpResponse) -> Status[Job]:
    """Find out again whether guests run accelerated: boots something tiny with KVM."""
    return accepted(response, services.probe_kvm(_host(request, host_id, "operate"), by=actor(request)))


@router.post("/{int:host_id}/prepare", response={202: JobOut, ERRORS: Problem})
def prepare(request: HttpRequest, host_id: int, response: HttpResponse) -> Status[Job]:
    """Make the pools and the network that guests need, as far as they are missing."""
    return accepted(response, services.prepare_host(_host(request, host_id, "configure"), by=actor(request)))


# Their addresses are those of operations above, and ninja takes all methods of an address from one router.
router.post("", response={202: JobOut, ERRORS: Problem})(reaching_api.add_host)
router.delete("/{int:host_id}", response={202: JobOut, ERRORS: Problem})(reaching_api.remove_host)
