"""REST of what makes, changes and deletes pools. What shares its address with a list or a pool is mounted by `api`."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from hosts.models import Host
from jobs.models import Job
from jobs.rest import JobOut, accepted
from virt.errors import Invalid
from virt.pool_xml import PoolSpec

from . import pooling
from .models import Pool
from .rest import MAX_BYTES

router = Router()
JOB: Any = {202: JobOut, ERRORS: Problem}
Accepted = Status[Job]


class PoolIn(Schema):
    """A pool to make. Which fields a type has is in GET /pools/kinds; numbers of owner and group as text."""

    on_host: int = Field(ge=0, le=MAX_BYTES, description="Row id of the host.")
    name: str
    type: str = Field(
        description="dir, fs, netfs, logical, disk, iscsi, iscsi-direct, scsi, mpath, rbd, gluster, zfs …"
    )
    path: str = ""
    host: str = Field("", description="The server that it is on, with “:port” where it is not the usual one.")
    directory: str = ""
    device: str = ""
    format: str = ""
    source_name: str = ""
    target: str = ""
    initiator: str = ""
    adapter: str = ""
    auth_user: str = ""
    auth_secret: str = ""
    owner: str = ""
    group: str = ""
    mode: str = ""
    build: str = Field("none", description="none, build (never over what is there) or overwrite")
    start: bool = True
    autostart: bool = True


class KindOut(Schema):
    type: str
    formats: list[str]
    default_format: str


class LookIn(Schema):
    on_host: int = Field(ge=0, le=MAX_BYTES, description="Row id of the host to look from.")
    type: str = Field(description="netfs, logical, iscsi, iscsi-direct or scsi")
    host: str = Field("", description="The server to look on.")
    initiator: str = ""


class PoolXml(Schema):
    xml: str = Field(max_length=100_000)


class WarnIn(Schema):
    warn_percent: int = Field(description="0: never")


def create_pool(request: HttpRequest, body: PoolIn, response: HttpResponse) -> Accepted:
    """Make a pool. For administrators of the host. The job's result has its `pool_id`."""
    given = body.dict()
    host = _host(request, given.pop("on_host"))
    options = {name: given.pop(name) for name in ("build", "start", "autostart")}
    return accepted(response, pooling.create_pool(host, PoolSpec(**given), by=actor(request), **options))


@router.get("/kinds", response={200: list[KindOut], ERRORS: Problem})
def list_kinds(request: HttpRequest, host: Annotated[int, Query(ge=0, le=MAX_BYTES)]) -> list[dict[str, Any]]:
    """The types of pools that a host's libvirt has."""
    return pooling.kinds_of(get_object_or_404(Host.objects.permitted(actor(request), "view"), pk=host))


@router.post("/sources", response=JOB)
def find_sources(request: HttpRequest, body: LookIn, response: HttpResponse) -> Accepted:
    """Look for exports, targets, volume groups or adapters; the job's result has `sources`."""
    host = _host(request, body.on_host)
    job = pooling.find_sources(host, body.type, by=actor(request), server=body.host, initiator=body.initiator)
    return accepted(response, job)


@router.get("/{int:pool_id}/xml", response={200: PoolXml, ERRORS: Problem})
def get_xml(request: HttpRequest, pool_id: int) -> dict[str, str]:
    """The definition as last seen, without how full the pool is."""
    return {"xml": _pool(request, pool_id, "view").xml}


@router.put("/{int:pool_id}/xml", response=JOB)
def put_xml(request: HttpRequest, pool_id: int, body: PoolXml, response: HttpResponse) -> Accepted:
    """Give the pool another definition, which counts from its next start on. For administrators of the host."""
    return accepted(response, pooling.edit_xml(_pool(request, pool_id, "administer"), body.xml, by=actor(request)))


@router.put("/{int:pool_id}/warning", response={204: None, ERRORS: Problem})
def put_warning(request: HttpRequest, pool_id: int, body: WarnIn) -> Status[None]:
    """From which share on people are told that the pool is filling up."""
    pooling.set_warning(_pool(request, pool_id, "configure"), body.warn_percent, by=actor(request))
    return Status(204, None)


@router.post("/{int:pool_id}/let-qemu-in", response=JOB)
def let_qemu_in(request: HttpRequest, pool_id: int, response: HttpResponse) -> Accepted:
    """Let QEMU's user enter the directories on the way to the pool. For administrators of the host."""
    return accepted(response, pooling.let_qemu_in(_pool(request, pool_id, "administer"), by=actor(request)))


def delete_pool(
    request: HttpRequest,
    pool_id: int,
    response: HttpResponse,
    data: Annotated[str, Query(description="nothing: its files stay; volumes: all that is in it goes too")] = "nothing",
) -> Accepted:
    """Stop a pool and forget it. For administrators of the host. 409 volume_in_use while it is needed."""
    return accepted(response, pooling.delete_pool(_pool(request, pool_id, "administer"), by=actor(request), data=data))


def _host(request: HttpRequest, pk: int) -> Host:
    host: Host | None = Host.objects.permitted(actor(request), "administer").filter(pk=pk).first()
    if host is None:
        raise Invalid(_("There is no such host that you administer."), field="on_host")
    return host


def _pool(request: HttpRequest, pk: int, action: str) -> Pool:
    found: Pool = get_object_or_404(Pool.objects.permitted(actor(request), action).select_related("host"), pk=pk)
    return found
