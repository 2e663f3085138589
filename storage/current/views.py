"""Pages that keep an image current, and what other pages show of that."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from accounts.rest import actor
from storage import catalogue
from storage.models import Iso
from virt.errors import UserError

from . import keeping, services
from .forms import KeepForm
from .models import FormerImage, KeptImage


@require_http_methods(["GET", "POST"])
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep an image current, or change how."""
    user, found = actor(request), _iso(request, pk)
    services.check_can_keep(found)
    kept = KeptImage.objects.filter(iso=found).first()
    form = KeepForm(request.POST or None, initial={"keep_former": bool(kept and kept.keep_former)})
    if request.method == "POST" and form.is_valid():
        try:
            services.keep_current(found, by=user, keep_former=form.cleaned_data["keep_former"])
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(found)
    context = {"iso": found, "form": form, "kept": kept, "entry": catalogue.find(found.entry)}
    return render(request, "storage/iso_current.html", context, status=422 if form.errors else 200)


@require_POST
def off(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk)
    services.let_go(found, by=actor(request))
    return redirect(found)


@require_POST
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the vendor now."""
    found = _iso(request, pk)
    kept = get_object_or_404(KeptImage.objects.select_related("pool__host", "iso__volume"), iso=found)
    services.fetch_newer(kept, by=actor(request))
    return redirect(found)


def current_card(user: User, iso: Iso) -> dict[str, Any] | None:
    """What the page of an image shows `user` of its being kept current; None for one that nobody can keep so."""
    kept = KeptImage.objects.filter(iso=iso).select_related("created_by", "job").first()
    former = FormerImage.objects.filter(iso=iso).select_related("kept__iso__volume").first()
    entry = next((entry for entry in catalogue.entries() if entry.key == iso.entry and entry.list), None)
    if kept is None and former is None and (entry is None or iso.volume.missing_since):
        return None
    other = former.kept if former else keeping.find(iso.volume.pool, iso.entry)
    newer = Iso.objects.permitted(user, "view").filter(pk=other.iso_id).first() if other and not kept else None
    return {"kept": kept, "newer": newer, "is_former": former is not None}


def kept_entries(user: User) -> dict[str, list[KeptImage]]:
    """The images that are kept current and that `user` may see, by entry of the catalogue."""
    found: dict[str, list[KeptImage]] = {}
    visible = Iso.objects.permitted(user, "view")
    for kept in KeptImage.objects.filter(iso__in=visible).select_related("iso", "pool__host").order_by("pool__name"):
        found.setdefault(kept.entry, []).append(kept)
    return found


def _iso(request: HttpRequest, pk: int) -> Iso:
    permitted = Iso.objects.permitted(actor(request), "create").select_related("volume__pool__host")
    found: Iso = get_object_or_404(permitted, pk=pk)
    return found
