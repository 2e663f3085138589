"""Pages of the way to a host: adding one, changing how it is reached, following an attempt, removing it."""

from dataclasses import asdict
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.permissions import require
from accounts.rest import actor
from hosts import ssh
from hosts.models import Host, HostTag
from virt.errors import Invalid, UserError

from . import keys, services
from .address import Address, Transport
from .forms import ADDRESS, FIELDS, ConnectionForm, TagsForm
from .models import Attempt, Credentials
from .ssh_steps import authorize_command

USUAL = (Transport.SSH, Transport.TLS, Transport.TCP, Transport.LOCAL)  # the test driver is for whoever asks for it


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    require(actor(request), "administer")
    return _connection(request, None, reverse("hosts:list"))


@require_http_methods(["GET", "POST"])
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    """How a host is reached, to be tried and changed."""
    host = _host(request, pk)
    return _connection(request, host, host.get_absolute_url())


@require_GET
def attempt(request: HttpRequest, pk: int) -> HttpResponse:
    """How far an attempt came; sent alone while it goes on."""
    return _attempt_page(request, _attempt(request, pk))


@require_POST
def attempt_again(request: HttpRequest, pk: int) -> HttpResponse:
    tried = _attempt(request, pk)
    services.try_again(
        tried,
        by=actor(request),
        host_keys=request.POST.getlist("host_key"),
        allows_twin="allow_same_uuid" in request.POST,
    )
    return redirect(tried)


@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    host = _host(request, pk)
    if request.method == "POST":
        services.remove_host(host, by=actor(request))
        return redirect("hosts:list")
    context = {
        "confirm_title": _("Remove %(host)s from kvmweb") % {"host": host.name},
        "confirm_button": _("Remove %(host)s") % {"host": host.name},
        "cancel_url": host.get_absolute_url(),
        "effects": [
            _("kvmweb disconnects and forgets the password or key with which it logged in."),
            _("The machine and its guests are not touched; they go on running."),
            _("Its guests, pools and networks stay in kvmweb, marked as missing, with what happened to them."),
            _("Added again, the host takes up its history where it ended."),
        ],
    }
    return render(request, "confirm.html", context)


@require_http_methods(["GET", "POST"])
def tags(request: HttpRequest, pk: int) -> HttpResponse:
    host = _host(request, pk)
    form = TagsForm(request.POST or None, initial={"tags": ", ".join(tag.name for tag in host.tags.all())})
    if request.method == "POST" and form.is_valid():
        try:
            services.set_tags(host, form.cleaned_data["tags"].split(","), by=actor(request))
            return redirect(host)
        except Invalid as error:
            form.add_error("tags", str(error))
    context = {"host": host, "form": form, "known": HostTag.objects.all()[:100]}
    return render(request, "hosts/tags.html", context, status=422 if form.errors else 200)


def _connection(request: HttpRequest, host: Host | None, cancel_url: str) -> HttpResponse:
    known = asdict(Address.parse(host.uri)) if host else {}
    transport = request.GET.get("via", "")
    if transport not in Transport.values:
        transport = known.get("transport", Transport.SSH)
    login = (Credentials.objects.filter(host=host).first() if host else None) or Credentials()
    form = ConnectionForm(
        request.POST or None, transport=transport, is_new=host is None, initial=_initial(request, known, login)
    )
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(services.try_host(form.wanted(), by=actor(request), host=host))
        except Invalid as error:
            form.refuse(error)
        except UserError as error:
            if error.status != 409 or error.field is None:
                raise
            form.add_error(error.field if error.field in form.fields else None, str(error))
    kinds = [(value, label) for value, label in Transport.choices if value in (transport, *USUAL)]
    context = {
        "host": host,
        "form": form,
        "transport": transport,
        "transports": kinds,
        "cancel_url": cancel_url,
        "public_key": ssh.public_key() if transport == Transport.SSH else "",
        "command": authorize_command() if transport == Transport.SSH else "",
        "pinned": keys.described(login.host_keys) if host else [],
        "has_password": bool(login.sealed_password),
        "has_certificates": bool(login.tls_ca),
    }
    return render(request, "hosts/connection.html", context, status=422 if form.errors else 200)


def _initial(request: HttpRequest, known: "dict[str, object]", login: Credentials) -> "dict[str, object]":
    """What the fields show first: what is known of the host, or what an earlier attempt gave in its link."""
    given = {name: request.GET[name] for name in (*ADDRESS, "name", "tags") if name in request.GET}
    return {name: value for name, value in known.items() if value} | {"username": login.username} | given


def _attempt_page(request: HttpRequest, tried: Attempt) -> HttpResponse:
    job = tried.job
    address = tried.address
    asked = next((step for step in tried.steps if step["verdict"] == "asked"), None)
    given = asdict(address) | {"via": address.transport.value, "name": tried.name, "tags": ", ".join(tried.tags)}
    wanted = ("via", *FIELDS[address.transport], *(() if tried.host else ("name", "tags")))
    query = urlencode({name: given[name] for name in wanted if given.get(name)})
    form_url = reverse("hosts:connection", args=[tried.host.pk]) if tried.host else reverse("hosts:add")
    context = {
        "attempt": tried,
        "job": job,
        "is_active": job is not None and job.is_active,
        "succeeded": job is not None and job.status == job.Status.SUCCEEDED,
        "asks_key": asked is not None and asked["key"] == "host_key",
        "asks_twin": asked is not None and asked["key"] == "identity",
        "offered": keys.described(tried.offered_keys),
        "change_url": f"{form_url}?{query}",
    }
    template = "hosts/_attempt.html" if request.headers.get("HX-Request") else "hosts/attempt.html"
    return render(request, template, context)


def _host(request: HttpRequest, pk: int) -> Host:
    """For administrators of everything: whoever points a host elsewhere logs in there with the key of all hosts."""
    require(actor(request), "administer")
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), "administer"), pk=pk)
    return host


def _attempt(request: HttpRequest, pk: int) -> Attempt:
    require(actor(request), "administer")
    tried: Attempt = get_object_or_404(Attempt.objects.select_related("host", "job"), pk=pk)
    return tried
