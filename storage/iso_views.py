"""Pages of the ISO library."""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import User
from accounts.rest import actor
from virt.errors import UserError

from . import lists, services
from .copies.views import kept_copies, same_elsewhere
from .current.views import current_card
from .forms import ChecksumForm, ServiceForm, SystemForm
from .importing.made import imports_of
from .iso_rows import iso_lines
from .models import Iso, Pool
from .rows import guests_of
from .rules import sum_of
from .shell import virsh
from .signers.models import SignerKey
from .trees.views import tree_card


@require_GET
def isos(request: HttpRequest) -> HttpResponse:
    user, wanted = actor(request), lists.Wanted.from_query(request.GET)
    page = lists.page_of(request, lists.isos(user, wanted))
    context: dict[str, Any] = {"page": page, "lines": iso_lines(user, page.object_list), "wanted": wanted}
    context |= {"sizes": lists.PAGE_SIZES, "hosts": lists.hosts(user), "icons": static("icons.svg")}
    context["can_create"] = Pool.objects.permitted(user, "create").exists()
    if request.headers.get("HX-Request"):
        return render(request, "storage/_isos.html", context)
    present = Iso.objects.permitted(user, "view").filter(volume__missing_since=None)
    context["whole"] = present.aggregate(images=Count("pk"), size_bytes=sum_of("volume__capacity_bytes"))
    return render(request, "storage/isos.html", context)


@require_GET
def iso(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk, "view")
    guests, more = guests_of(found.volume)
    context = {"line": iso_lines(actor(request), [found])[0], "guests": guests, "more_guests": more}
    context |= {"icons": static("icons.svg"), "tree": tree_card(request, found)}
    context |= {"same": same_elsewhere(actor(request), found)[:50], "kept": kept_copies(found)}
    context |= {"current": current_card(actor(request), found), "imports": imports_of(actor(request), found)}
    context["signer"] = SignerKey.objects.filter(fingerprint=found.signed_by).first() if found.signed_by else None
    template = "storage/_iso.html" if request.headers.get("HX-Request") else "storage/iso.html"
    return render(request, template, context)


@require_GET
def iso_row(request: HttpRequest, pk: int) -> HttpResponse:
    user = actor(request)
    line = iso_lines(user, [_iso(request, pk, "view")])[0]
    context = {"line": line, "hosts": lists.hosts(user), "icons": static("icons.svg")}
    return render(request, "storage/_iso_row.html", context)


@require_GET
def iso_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """What can be done with an image, as the entries of its line's menu."""
    context = {"line": iso_lines(actor(request), [_iso(request, pk, "view")])[0], "stay": "?stay=1"}
    return render(request, "storage/_iso_menu.html", context)


@require_POST
def iso_check(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk, "operate")
    services.inspect_iso(found, by=actor(request))
    return redirect(found)


@require_http_methods(["GET", "POST"])
def iso_system(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk, "configure")
    form = SystemForm(request.POST or None, iso=found)

    def change(by: User) -> None:
        services.set_os(found, form.cleaned_data["os_id"], by=by)

    return _change(request, found, form, "storage/iso_system.html", change)


@require_http_methods(["GET", "POST"])
def iso_checksum(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk, "configure")
    form = ChecksumForm(request.POST or None, iso=found)

    def change(by: User) -> None:
        services.set_sha256_expected(found, form.cleaned_data["sha256"], by=by)

    return _change(request, found, form, "storage/iso_checksum.html", change)


@require_http_methods(["GET", "POST"])
def iso_delete(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk, "delete")
    if request.method == "POST":
        services.delete_iso(found, by=actor(request))
        return redirect("storage:isos")
    services.check_deletable(found.volume)
    pool = found.volume.pool
    context = {
        "iso": found,
        "confirm_title": _("Delete %(name)s") % {"name": found.name},
        "confirm_button": _("Delete %(name)s") % {"name": found.name},
        "confirm_stay": request.GET.get("stay") == "1",
        "cancel_url": found.get_absolute_url(),
        "commands": [
            virsh("vol-delete", "--pool", pool.name, found.name),
            ("REST", f"DELETE /api/v1/isos/{found.pk}"),
        ],
    }
    return render(request, "storage/iso_delete.html", context)


def _change(request: HttpRequest, found: Iso, form: ServiceForm, template: str, change: Any) -> HttpResponse:
    """A form with one field that changes what we know of an image."""
    if request.method == "POST" and form.is_valid():
        try:
            change(actor(request))
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(found)
    return render(request, template, {"iso": found, "form": form}, status=422 if form.errors else 200)


def _iso(request: HttpRequest, pk: int, action: str) -> Iso:
    permitted = Iso.objects.permitted(actor(request), action).select_related("volume__pool__host", "added_by")
    found: Iso = get_object_or_404(permitted, pk=pk)
    return found
