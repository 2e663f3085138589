"""A host's secrets as a tab of the host, and the passphrase of a volume."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from accounts.rest import actor
from hosts.tabs import host_or_404, page_of, render_tab
from storage.models import Volume
from storage.shell import virsh
from virt.errors import UserError

from . import services
from .forms import PassphraseForm, SecretForm, ValueForm
from .models import HostSecret
from .using import users_of


@require_GET
def host_secrets(request: HttpRequest, pk: int) -> HttpResponse:
    """What the host has secrets for, and who asks for them; never what is in them."""
    host = host_or_404(request, pk, "administer")
    page = page_of(request, HostSecret.objects.filter(host=host))
    users = users_of(host, list(page.object_list))
    rows = [(row, users[row.pk].all) for row in page.object_list]
    return render_tab(request, host, "secrets", {"page": page, "rows": rows})


@require_http_methods(["GET", "POST"])
def secret_new(request: HttpRequest, pk: int) -> HttpResponse:
    host = host_or_404(request, pk, "administer")
    form = SecretForm(request.POST or None, initial={"usage": request.GET.get("usage", "")})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            services.create_secret(
                host,
                data["usage"],
                data["usage_id"],
                data["value"],
                by=actor(request),
                description=data["description"],
                keep=data["keep"],
            )
        except UserError as error:
            form.refuse(error)
        else:
            return redirect("secrets:list", pk)
    status = 422 if form.errors else 200
    return render(request, "storage/secret_new.html", {"host": host, "form": form}, status=status)


@require_http_methods(["GET", "POST"])
def secret_value(request: HttpRequest, pk: int, secret_id: int) -> HttpResponse:
    """Another value. Of a volume that is there, its passphrase is tried first, on a page of its own."""
    secret = _secret(request, pk, secret_id)
    volume = Volume.objects.filter(pool__host=pk, missing_since=None, path=secret.usage_id, encryption="luks").first()
    if secret.usage == "volume" and volume:
        return redirect("secrets:passphrase", volume.pk)
    form = ValueForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.set_value(secret, form.cleaned_data["value"], by=actor(request))
        except UserError as error:
            form.refuse(error)
        else:
            return redirect("secrets:list", pk)
    context = {"host": secret.host, "secret": secret, "form": form}
    return render(request, "storage/secret_value.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def secret_delete(request: HttpRequest, pk: int, secret_id: int) -> HttpResponse:
    secret = _secret(request, pk, secret_id)
    users = services.check_deletable(secret)
    if request.method == "POST":
        services.delete_secret(secret, by=actor(request))
        return redirect("secrets:list", pk)
    locked = _("%(name)s cannot be opened by a guest until somebody gives the host its passphrase again.")
    context = {
        "confirm_title": _("Delete the secret %(name)s") % {"name": secret},
        "confirm_button": _("Delete the secret"),
        "confirm_text": _("The host forgets its value, and kvmweb does not have it either."),
        "effects": [locked % {"name": volume.name} for volume in users.volumes],
        "cancel_url": request.path.rsplit("/", 3)[0] + "/",
        "commands": [virsh("secret-undefine", str(secret.uuid)), ("REST", f"DELETE /api/v1/secrets/{secret.pk}")],
    }
    return render(request, "confirm.html", context)


@require_http_methods(["GET", "POST"])
def volume_passphrase(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the host the passphrase of an encrypted volume (again)."""
    volumes = Volume.objects.permitted(actor(request), "configure").select_related("pool__host")
    volume: Volume = get_object_or_404(volumes, pk=pk)
    services.check_can_give(volume)
    form = PassphraseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            job = services.give_passphrase(volume, data["passphrase"], by=actor(request), keep=data["keep"])
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(job)
    context = {"volume": volume, "form": form}
    return render(request, "storage/volume_passphrase.html", context, status=422 if form.errors else 200)


def _secret(request: HttpRequest, pk: int, secret_id: int) -> HostSecret:
    secrets = HostSecret.objects.permitted(actor(request), "administer").select_related("host")
    found: HostSecret = get_object_or_404(secrets, pk=secret_id, host=pk)
    return found
