"""Pages of install trees."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.rest import actor
from storage.models import Iso, Tree
from virt.errors import UserError
from virt.install_tree import TreeFacts

from . import pages, services
from .app import PREFIX
from .forms import TreeForm

DEFAULT_NETWORK = "192.168.122.0/24"  # of libvirt's own network


@require_http_methods(["GET", "POST"])
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk)
    tree = Tree.objects.filter(iso=found).first()
    form = TreeForm(request.POST or None, initial={"networks": ", ".join(tree.networks) if tree else DEFAULT_NETWORK})
    if request.method == "POST" and form.is_valid():
        try:
            services.publish_tree(found, form.cleaned_data["networks"], by=actor(request))
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(found)
    context = {"iso": found, "form": form, "tree": tree}
    return render(request, "storage/tree.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk)
    if request.method == "POST":
        services.withdraw_tree(found, by=actor(request))
        return redirect(found)
    context = {
        "confirm_title": _("Publish the files of %(name)s no longer") % {"name": found.name},
        "confirm_button": _("Publish no longer"),
        "cancel_url": found.get_absolute_url(),
        "effects": [
            _("Guests that install from it, or have it as a source of packages, get nothing from it any more."),
            _("The image stays in the library."),
        ],
        "commands": [("REST", f"DELETE /api/v1/isos/{found.pk}/tree")],
    }
    return render(request, "confirm.html", context)


def tree_card(request: HttpRequest, iso: Iso) -> dict[str, Any] | None:
    """What the page of an image shows of its tree, with lines that are ready to copy; None: it is not published."""
    tree = Tree.objects.filter(iso=iso).first()
    if tree is None:
        return None
    base, facts = f"{pages.origin(request)}{PREFIX}/{iso.pk}", TreeFacts(**tree.facts)
    return {
        "tree": tree,
        "facts": facts,
        "url": f"{base}/",
        "ipxe": f"{base}.ipxe" if facts.kernel else "",
        "yum": pages.yum_repo(base, iso.pk, iso.os_name or iso.name, facts) if facts.kind == "yum" else "",
        "apt": pages.apt_sources(base, facts) if facts.kind == "apt" else "",
    }


def _iso(request: HttpRequest, pk: int) -> Iso:
    permitted = Iso.objects.permitted(actor(request), "configure").select_related("volume__pool__host")
    found: Iso = get_object_or_404(permitted, pk=pk)
    return found
