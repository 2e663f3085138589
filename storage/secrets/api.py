"""REST of secrets: what they are for and who asks for them; values go in and never come out."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status
from ninja.pagination import paginate
from pydantic import SecretStr

from accounts.rest import ERRORS, Problem, actor
from hosts.models import Host
from jobs.models import Job
from jobs.rest import JobOut, accepted
from storage.models import Volume
from storage.rest import MAX_BYTES, Lines, Ref
from virt.errors import Invalid

from . import services
from .models import HostSecret
from .using import users_of

router = Router(tags=["secrets"])
volume_router = Router(tags=["volumes"])
_JOB: Any = {202: JobOut, ERRORS: Problem}
Accepted = Status[Job]
RowId = Annotated[int, Query(ge=0, le=MAX_BYTES)]


class SecretUserOut(Schema):
    """What has to do with a secret."""

    kind: str = Field(description="volume: what it opens; pool or guest: what asks for it")
    name: str


class SecretOut(Schema):
    """A libvirt secret as last seen, without its value."""

    id: int
    uuid: str
    host: Ref
    usage: str = Field(description="volume, ceph, iscsi, tls, vtpm; empty: nothing in particular")
    usage_id: str = Field(description="The path of a volume, or the name by which pools and disks ask for it.")
    description: str
    is_ephemeral: bool = Field(description="It is gone when libvirt is restarted.")
    is_private: bool = Field(description="libvirt shows its value to nobody.")
    used_by: list[SecretUserOut]


class SecretIn(Schema):
    on_host: int = Field(ge=0, le=MAX_BYTES, description="Row id of the host.")
    usage: str = Field(description="volume, ceph, iscsi or tls")
    usage_id: str
    value: SecretStr = Field(description="Of Ceph the key as “ceph auth get-key” prints it.")
    description: str = ""
    keep: bool = Field(True, description="false: it is gone when libvirt is restarted")


class ValueIn(Schema):
    value: SecretStr


class PassphraseIn(Schema):
    passphrase: SecretStr
    keep: bool = Field(True, description="false: it is gone when libvirt is restarted")


@router.get("", response={200: list[SecretOut], ERRORS: Problem})
@paginate(Lines)
def list_secrets(request: HttpRequest, host: RowId) -> Any:
    """The secrets of a host. For its administrators."""
    found = _host(request, host)
    return HostSecret.objects.filter(host=found), lambda rows: _out(found, rows)


@router.post("", response=_JOB)
def create_secret(request: HttpRequest, body: SecretIn, response: HttpResponse) -> Accepted:
    """Define a secret. For administrators of the host. The job's result has its `uuid` and `secret_id`."""
    given = body.dict()
    host, value = _host(request, given.pop("on_host")), given.pop("value").get_secret_value()
    return accepted(response, services.create_secret(host, value=value, by=actor(request), **given))


@router.put("/{int:secret_id}/value", response=_JOB)
def set_value(request: HttpRequest, secret_id: int, body: ValueIn, response: HttpResponse) -> Accepted:
    """Give a secret another value. What runs keeps the one that it started with."""
    secret = _secret(request, secret_id)
    return accepted(response, services.set_value(secret, body.value.get_secret_value(), by=actor(request)))


@router.delete("/{int:secret_id}", response=_JOB)
def delete_secret(request: HttpRequest, secret_id: int, response: HttpResponse) -> Accepted:
    """Have the host forget a secret. 409 secret_in_use while a guest or a pool asks for it."""
    return accepted(response, services.delete_secret(_secret(request, secret_id), by=actor(request)))


@volume_router.post("/{int:volume_id}/passphrase", response=_JOB)
def give_passphrase(request: HttpRequest, volume_id: int, body: PassphraseIn, response: HttpResponse) -> Accepted:
    """Give the host the passphrase of an encrypted volume (again), once it was tried: wrong_passphrase if not."""
    volumes = Volume.objects.permitted(actor(request), "configure").select_related("pool__host")
    volume: Volume = get_object_or_404(volumes, pk=volume_id)
    passphrase = body.passphrase.get_secret_value()
    return accepted(response, services.give_passphrase(volume, passphrase, by=actor(request), keep=body.keep))


def _out(host: Host, rows: list[HostSecret]) -> list[dict[str, Any]]:
    users = users_of(host, rows)
    columns = ("usage", "usage_id", "description", "is_ephemeral", "is_private")
    return [
        {
            "id": row.pk,
            "uuid": str(row.uuid),
            "host": {"id": host.pk, "name": host.name},
            "used_by": [{"kind": user.kind, "name": user.name} for user in users[row.pk].all],
            **{name: getattr(row, name) for name in columns},
        }
        for row in rows
    ]


def _host(request: HttpRequest, pk: int) -> Host:
    host: Host | None = Host.objects.permitted(actor(request), "administer").filter(pk=pk).first()
    if host is None:
        raise Invalid(_("There is no such host that you administer."), field="on_host")
    return host


def _secret(request: HttpRequest, pk: int) -> HostSecret:
    secrets = HostSecret.objects.permitted(actor(request), "administer").select_related("host")
    found: HostSecret = get_object_or_404(secrets, pk=pk)
    return found
