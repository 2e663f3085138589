"""The page of the keys that sign lists of checksums."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.permissions import may, require
from accounts.rest import actor
from storage import catalogue
from storage.forms import ServiceForm
from virt.errors import UserError

from . import services
from .models import SignerKey, spaced


class KeyForm(ServiceForm):
    key = forms.CharField(
        label=gettext_lazy("Public key"),
        help_text=gettext_lazy("From “-----BEGIN PGP PUBLIC KEY BLOCK-----” to the line that ends it."),
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off"}),
    )


@require_http_methods(["GET", "POST"])
def signers(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.add_keys(form.cleaned_data["key"], by=user)
        except UserError as error:
            form.refuse(error)
        else:
            return redirect("storage:signers")
    keys = list(SignerKey.objects.select_related("added_by"))
    context = {
        "keys": keys,
        "wanted": _wanted({key.fingerprint for key in keys}),
        "form": form,
        "may_change": may(user, "administer"),
    }
    return render(request, "storage/signers.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def signer_delete(request: HttpRequest, pk: int) -> HttpResponse:
    user, key = actor(request), get_object_or_404(SignerKey, pk=pk)
    require(user, "administer")
    if request.method == "POST":
        services.delete_key(key, by=user)
        return redirect("storage:signers")
    context = {
        "confirm_title": _("Remove the key of %(name)s") % {"name": key},
        "confirm_button": _("Remove the key"),
        "confirm_text": _("Lists that it signs are not verified any more. Images that came with it keep their mark."),
        "cancel_url": reverse("storage:signers"),
        "commands": [("REST", f"DELETE /api/v1/isos/signers/{key.fingerprint}")],
    }
    return render(request, "confirm.html", context)


def _wanted(known: set[str]) -> list[tuple[str, str]]:
    """(fingerprint, entries of the catalogue) of the keys that are not here yet."""
    found: dict[str, list[str]] = {}
    for entry in catalogue.entries():
        if entry.signer and entry.signer not in known:
            found.setdefault(entry.signer, []).append(entry.name)
    return [(spaced(fingerprint), ", ".join(names)) for fingerprint, names in found.items()]
