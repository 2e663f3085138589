"""REST of the way to hosts: adding, changing, trying, removing."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.permissions import require
from accounts.rest import ERRORS, Problem, actor
from hosts import ssh
from hosts.models import Host
from jobs.models import Job
from jobs.rest import JobOut, accepted

from . import keys, services
from .address import Address, Scope, Transport
from .models import Attempt, Credentials
from .services import Wanted
from .ssh_steps import authorize_command

router = Router(tags=["hosts"])


class ConnectionIn(Schema):
    """How a host is reached. What the transport has no use for is ignored."""

    transport: Transport = Field(Transport.SSH, description="ssh, tls, tcp, local or test")
    hostname: str = Field("", max_length=253, description="Name or IP address; not for local and test.")
    port: int = Field(0, ge=0, le=65535, description="0: the transport's own.")
    user: str = Field("", max_length=64, description="Whom to log in as over SSH; root when empty.")
    scope: Scope = Field(Scope.SYSTEM, description="system, or session for the guests of one user")
    socket: str = Field("", max_length=100, description="Where libvirtd listens on the host; empty: as usual.")
    definition: str = Field("", max_length=100, description="For test: a file with its objects, or empty.")
    username: str | None = Field(None, max_length=255, description="For libvirt's own login (SASL) over TCP or TLS.")
    password: str | None = Field(None, max_length=1000, description="Stored encrypted, never shown again.")
    tls_ca: str | None = Field(None, description="PEM of the CA that signed the host's certificate.")
    tls_certificate: str | None = Field(None, description="PEM of our client certificate.")
    tls_key: str | None = Field(None, description="PEM of its key. Stored encrypted, never shown again.")
    host_key: str = Field(
        "", max_length=100, description="Fingerprint (SHA256:…) of the SSH key that is known to be the host's."
    )
    allow_same_uuid: bool = Field(False, description="Go on though another host has the UUID of this one.")

    def wanted(self) -> Wanted:
        """Raises Invalid."""
        names = ("transport", "hostname", "port", "user", "scope", "socket", "definition")
        login = {name: getattr(self, name) for name in ("username", "password", "tls_ca", "tls_certificate", "tls_key")}
        address = Address.checked(**{name: getattr(self, name) for name in names})
        return Wanted(address=address, host_key=self.host_key, allows_twin=self.allow_same_uuid, **login)


class HostIn(ConnectionIn):
    name: str = Field("", max_length=255, description="In kvmweb; the machine's own when empty.")
    tags: list[str] = Field([], max_length=20)

    def wanted(self) -> Wanted:
        return replace(super().wanted(), name=self.name, tags=tuple(self.tags))


class KeyOut(Schema):
    kind: str
    fingerprint: str


class SshKeyOut(Schema):
    """The key with which kvmweb logs in to hosts."""

    public_key: str
    command: str = Field(description="Run it on the host as the user that kvmweb logs in as.")


class ConnectionOut(Schema):
    """How a host is reached, without secrets."""

    transport: Transport
    hostname: str
    port: int
    user: str
    scope: Scope
    socket: str
    definition: str
    username: str
    has_password: bool
    has_certificates: bool
    host_keys: list[KeyOut] = Field(description="SSH keys that were confirmed.")


class StepOut(Schema):
    """One step on the way to a host."""

    key: str
    title: str
    verdict: str = Field(description="waiting, running, passed, warning, failed, or asked: a person has to decide")
    found: str = ""
    todo: str = Field("", description="What to do about it.")
    command: str = Field("", description="What to run on the host for that.")
    details: str = ""
    code: str = ""


class AttemptOut(Schema):
    """How far a job that tries to reach a host came."""

    id: int
    job_id: int | None
    uri: str
    host_id: int | None
    saves: bool = Field(description="Whether the host is added or changed when all steps go well.")
    steps: list[StepOut]
    offered_keys: list[KeyOut] = Field(description="SSH keys that the machine showed.")

    @staticmethod
    def resolve_offered_keys(attempt: Attempt) -> list[dict[str, str]]:
        return keys.described(attempt.offered_keys)


def _host(request: HttpRequest, host_id: int) -> Host:
    """For administrators of everything: whoever points a host elsewhere logs in there with the key of all hosts."""
    require(actor(request), "administer")
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), "administer"), pk=host_id)
    return host


def _accepted(response: HttpResponse, attempt: Attempt) -> Status[Job]:
    job = attempt.job
    if job is None:
        raise Job.DoesNotExist
    return accepted(response, job)


def add_host(request: HttpRequest, body: HostIn, response: HttpResponse) -> Status[Job]:
    """Try to reach a host, step by step, and add it when every step goes well. The job's result names it.

    A job that fails has the code of the step that did not go well (`host_key_unconfirmed`, `host_login_refused` …);
    GET /hosts/attempts/{job_id} has all steps, with what to run on the host.
    """
    require(actor(request), "administer")
    return _accepted(response, services.try_host(body.wanted(), by=actor(request)))


@router.post("/check", response={202: JobOut, ERRORS: Problem})
def check_new_host(request: HttpRequest, body: HostIn, response: HttpResponse) -> Status[Job]:
    """The same, but nothing is added."""
    require(actor(request), "administer")
    return _accepted(response, services.try_host(body.wanted(), by=actor(request), saves=False))


@router.get("/ssh-key", response={200: SshKeyOut, ERRORS: Problem})
def ssh_key(request: HttpRequest) -> dict[str, str]:
    """The public half of kvmweb's own SSH key, and the line that lets it in on a host."""
    require(actor(request), "administer")
    return {"public_key": ssh.public_key(), "command": authorize_command()}


@router.get("/attempts/{int:job_id}", response={200: AttemptOut, ERRORS: Problem})
def get_attempt(request: HttpRequest, job_id: int) -> Attempt:
    """How far a job came that tries to reach a host."""
    require(actor(request), "administer")
    attempt: Attempt = get_object_or_404(Attempt, job_id=job_id)
    return attempt


@router.get("/{int:host_id}/connection", response={200: ConnectionOut, ERRORS: Problem})
def get_connection(request: HttpRequest, host_id: int) -> dict[str, Any]:
    """How the host is reached."""
    host = _host(request, host_id)
    address = Address.parse(host.uri)
    login = Credentials.objects.filter(host=host).first() or Credentials()
    names = ("transport", "hostname", "port", "user", "scope", "socket", "definition")
    return {name: getattr(address, name) for name in names} | {
        "username": login.username,
        "has_password": bool(login.sealed_password),
        "has_certificates": bool(login.tls_ca),
        "host_keys": keys.described(login.host_keys),
    }


@router.put("/{int:host_id}/connection", response={202: JobOut, ERRORS: Problem})
def change_connection(request: HttpRequest, host_id: int, body: ConnectionIn, response: HttpResponse) -> Status[Job]:
    """Try to reach the host in this way, and take it from now on when that works. Secrets that are null stay.

    With the fingerprint of its new key in `host_key`, a host whose SSH key changed is accepted again.
    """
    host = _host(request, host_id)
    return _accepted(response, services.try_host(body.wanted(), by=actor(request), host=host))


@router.post("/{int:host_id}/connection/check", response={202: JobOut, ERRORS: Problem})
def check_connection(request: HttpRequest, host_id: int, response: HttpResponse) -> Status[Job]:
    """Try the way to the host as it is, step by step. Nothing is changed."""
    host = _host(request, host_id)
    wanted = Wanted(address=Address.parse(host.uri))
    return _accepted(response, services.try_host(wanted, by=actor(request), host=host, saves=False))


def remove_host(request: HttpRequest, host_id: int, response: HttpResponse) -> Status[Job]:
    """Remove a host from kvmweb. Nothing on the machine is touched; its rows stay, marked as missing."""
    return accepted(response, services.remove_host(_host(request, host_id), by=actor(request)))
