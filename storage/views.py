"""Pages of pools and volumes."""

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.rest import actor
from history.forecast import full_in_s
from history.graphs import graphs
from history.series import POOL
from virt.errors import Invalid, UserError

from . import lists, rules, services
from .chains import backing_chain
from .forms import VolumeForm
from .models import Pool, Volume
from .pool_forms import hosts_to_administer
from .rows import SHOWN_OF_VOLUMES, guests_of, pool_lines, volume_lines
from .secrets.encrypted import has_passphrase
from .shell import virsh


# --- pools ------------------------------------------------------------------------------------------------------------
@require_GET
def pools(request: HttpRequest) -> HttpResponse:
    user, wanted = actor(request), lists.Wanted.from_query(request.GET)
    page = lists.page_of(request, lists.pools(user, wanted))
    context = {
        "page": page,
        "lines": pool_lines(user, page.object_list),
        "wanted": wanted,
        "sizes": lists.PAGE_SIZES,
        "hosts": lists.hosts(user),
        "icons": static("icons.svg"),
        "can_make": bool(hosts_to_administer(user)),
    }
    template = "storage/_pools.html" if request.headers.get("HX-Request") else "storage/pools.html"
    return render(request, template, context)


@require_GET
def pool(request: HttpRequest, pk: int) -> HttpResponse:
    found = _pool(request, pk, "view")
    context: dict[str, Any] = {"line": pool_lines(actor(request), [found])[0]}
    if request.headers.get("HX-Request"):
        return render(request, "storage/_pool.html", context)
    address = reverse("api:pool_history", args=[found.pk])
    shown = graphs(POOL, found.pk, request.GET.get("range", ""), address)
    context |= {"graphs": shown, "full_in_s": full_in_s(found.pk), **_volumes_context(request, found)}
    return render(request, "storage/pool.html", context)


@require_GET
def pool_volumes(request: HttpRequest, pk: int) -> HttpResponse:
    """The volumes of a pool, as a part of its page."""
    found = _pool(request, pk, "view")
    if not request.headers.get("HX-Request"):
        return redirect(found)
    return render(request, "storage/_volumes.html", _volumes_context(request, found))


@require_GET
def pool_row(request: HttpRequest, pk: int) -> HttpResponse:
    user = actor(request)
    line = pool_lines(user, [_pool(request, pk, "view")])[0]
    context = {"line": line, "hosts": lists.hosts(user), "icons": static("icons.svg")}
    return render(request, "storage/_pool_row.html", context)


@require_GET
def pool_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """What can be done with a pool, as the entries of its line's menu."""
    context = {"line": pool_lines(actor(request), [_pool(request, pk, "view")])[0]}
    return render(request, "storage/_pool_menu.html", context)


@require_POST
def pool_start(request: HttpRequest, pk: int) -> HttpResponse:
    found = _pool(request, pk, "operate")
    services.start_pool(found, by=actor(request))
    return redirect(found)


@require_http_methods(["GET", "POST"])
def pool_stop(request: HttpRequest, pk: int) -> HttpResponse:
    found = _pool(request, pk, "operate")
    if request.method == "POST":
        services.stop_pool(found, by=actor(request))
        return redirect(found)
    context = {
        "confirm_title": _("Stop the pool %(name)s") % {"name": found.name},
        "confirm_button": _("Stop %(name)s") % {"name": found.name},
        "confirm_stay": True,
        "cancel_url": found.get_absolute_url(),
        "effects": [
            _("Its files stay where they are."),
            _("Guests that run go on running."),
            _("Nothing can be made, grown, uploaded or deleted in it until it is started again."),
        ],
        "commands": [virsh("pool-destroy", found.name), ("REST", f"POST /api/v1/pools/{found.pk}/stop")],
    }
    return render(request, "confirm.html", context)


@require_POST
def pool_refresh(request: HttpRequest, pk: int) -> HttpResponse:
    found = _pool(request, pk, "operate")
    services.refresh_pool(found, by=actor(request))
    return redirect(found)


@require_POST
def pool_autostart(request: HttpRequest, pk: int) -> HttpResponse:
    """Start the pool with its host (`on` = 1), or no longer."""
    found = _pool(request, pk, "configure")
    services.set_pool_autostart(found, request.POST.get("on") == "1", by=actor(request))
    return redirect(found)


# --- volumes ----------------------------------------------------------------------------------------------------------
@require_GET
def volumes(request: HttpRequest) -> HttpResponse:
    template = "storage/_volumes.html" if request.headers.get("HX-Request") else "storage/volumes.html"
    return render(request, template, _volumes_context(request))


def _volumes_context(request: HttpRequest, pool: Pool | None = None) -> dict[str, Any]:
    user, wanted = actor(request), lists.Wanted.from_query(request.GET)
    if pool is not None:
        wanted = wanted.within(pool)
    found = lists.volumes(user, wanted).select_related(None).select_related("pool__host")
    page = lists.page_of(request, found.only(*SHOWN_OF_VOLUMES))
    return {
        "page": page,
        "lines": volume_lines(user, page.object_list),
        "wanted": wanted,
        "sizes": lists.PAGE_SIZES,
        "hosts": lists.hosts(user),
        "formats": lists.FORMATS,
        "pool": pool,
    }


@require_GET
def volume(request: HttpRequest, pk: int) -> HttpResponse:
    found = _volume(request, pk, "view")
    guests, more = guests_of(found)
    context = {
        "line": volume_lines(actor(request), [found])[0],
        "guests": guests,
        "more_guests": more,
        "chain": backing_chain(found),
        "overlays": rules.overlays_of(found).select_related("pool")[:20],
        "lacks_passphrase": bool(found.encryption) and not found.missing_since and not has_passphrase(found),
    }
    template = "storage/_volume.html" if request.headers.get("HX-Request") else "storage/volume.html"
    return render(request, template, context)


@require_GET
def volume_row(request: HttpRequest, pk: int) -> HttpResponse:
    """The line of a volume in a list; ?in_pool=1 for the list of its pool."""
    user, found = actor(request), _volume(request, pk, "view")
    pool = found.pool if "in_pool" in request.GET else None
    context = {"lines": volume_lines(user, [found]), "hosts": lists.hosts(user), "pool": pool}
    return render(request, "storage/_volume_row.html", context)


@require_GET
def volume_menu(request: HttpRequest, pk: int) -> HttpResponse:
    """What can be done with a volume, as the entries of its line's menu."""
    context = {"line": volume_lines(actor(request), [_volume(request, pk, "view")])[0], "stay": "?stay=1"}
    return render(request, "storage/_volume_menu.html", context)


@require_http_methods(["GET", "POST"])
def volume_new(request: HttpRequest, pk: int) -> HttpResponse:
    """An empty volume; with ?backing=<id> one that lies on that volume."""
    found = _pool(request, pk, "create")
    rules.check_makes(found)
    number = request.GET.get("backing", "")
    backing = _volume(request, int(number), "configure") if re.fullmatch("[0-9]{1,18}", number) else None
    form = VolumeForm(request.POST or None, pool=found, backing=backing)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            services.create_volume(
                found,
                data.get("name", ""),
                form.capacity_bytes,
                form.made_format,
                by=actor(request),
                preallocation=data.get("preallocation", "none"),
                backing=backing,
                **form.encryption(),
            )
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(found)
    context = {"pool": found, "form": form, "backing": backing}
    return render(request, "storage/volume_new.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def volume_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the name before a disk is destroyed; of a volume that is missing only the row goes."""
    found = _volume(request, pk, "delete")
    services.check_deletable(found)
    if request.method == "POST":
        if found.missing_since is None and request.POST.get("confirm_name") != found.name:
            raise Invalid(_("The name that was typed is not the volume's. Nothing was deleted."), field="confirm_name")
        services.delete_volume(found, by=actor(request))
        return redirect(found.pool)
    context = {
        "volume": found,
        "confirm_title": _("Delete %(name)s") % {"name": found.name},
        "confirm_button": _("Delete %(name)s") % {"name": found.name},
        "confirm_stay": request.GET.get("stay") == "1",
        "confirm_name": "" if found.missing_since else found.name,
        "cancel_url": found.get_absolute_url(),
        "commands": [
            virsh("vol-delete", "--pool", found.pool.name, found.name),
            ("REST", f"DELETE /api/v1/volumes/{found.pk}"),
        ],
    }
    return render(request, "storage/volume_delete.html", context)


def _pool(request: HttpRequest, pk: int, action: str) -> Pool:
    permitted = lists.with_counts(Pool.objects.permitted(actor(request), action).select_related("host"))
    found: Pool = get_object_or_404(permitted, pk=pk)
    return found


def _volume(request: HttpRequest, pk: int, action: str) -> Volume:
    permitted = Volume.objects.permitted(actor(request), action).select_related("pool__host", "iso")
    found: Volume = get_object_or_404(permitted, pk=pk)
    return found
