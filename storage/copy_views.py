"""Pages that resize, copy, move and wipe a volume."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.rest import actor
from jobs.models import Job
from virt.errors import Invalid, UserError

from . import copying, services
from .copy_forms import CopyForm, MoveForm, ResizeForm
from .forms import ServiceForm
from .models import Volume
from .shell import virsh


@require_http_methods(["GET", "POST"])
def volume_resize(request: HttpRequest, pk: int) -> HttpResponse:
    """Make it larger, also under a running guest; or smaller, where that is proved to lose nothing."""
    volume = permitted_volume(request, pk, "configure")
    services.check_resizable(volume)
    form = ResizeForm(request.POST or None, volume=volume)
    runs = volume.used_by.filter(guest__missing_since=None, guest__state__in=("running", "paused")).first()
    return _form_page(
        request,
        "storage/volume_resize.html",
        volume,
        form,
        lambda: services.resize_volume(
            volume, form.capacity_bytes, by=actor(request), shrink=form.cleaned_data["shrink"]
        ),
        guest=runs.guest if runs else None,
        commands=[
            virsh("vol-resize", "--pool", volume.pool.name, volume.name, "<bytes>b"),
            ("REST", f"POST /api/v1/volumes/{volume.pk}/resize"),
        ],
    )


@require_http_methods(["GET", "POST"])
def volume_copy(request: HttpRequest, pk: int) -> HttpResponse:
    """A copy, also of what a running guest writes to, into any pool, also as another format; of an encrypted volume as
    it is.
    """
    volume = permitted_volume(request, pk, "configure")
    form = CopyForm(request.POST or None, volume=volume, user=actor(request))
    return _form_page(
        request,
        "storage/volume_copy.html",
        volume,
        form,
        lambda: services.copy_volume(volume, **form.arguments(), by=actor(request)),
        commands=[
            *([] if volume.encryption else [virsh("vol-clone", "--pool", volume.pool.name, volume.name, "<copy>")]),
            ("REST", f"POST /api/v1/volumes/{volume.pk}/copy"),
        ],
    )


@require_http_methods(["GET", "POST"])
def volume_move(request: HttpRequest, pk: int) -> HttpResponse:
    """To another pool or another format, with the guest that has it, which goes on running."""
    volume = permitted_volume(request, pk, "configure")
    copying.check_movable(volume)
    form = MoveForm(request.POST or None, volume=volume, user=actor(request))
    used = volume.used_by.filter(guest__missing_since=None).select_related("guest").first()
    return _form_page(
        request,
        "storage/volume_move.html",
        volume,
        form,
        lambda: services.move_volume(volume, **form.arguments(), by=actor(request)),
        to_job=True,  # the page of this volume is gone when it is moved
        guest=used.guest if used else None,
        commands=[("REST", f"POST /api/v1/volumes/{volume.pk}/move")],
    )


@require_http_methods(["GET", "POST"])
def volume_wipe(request: HttpRequest, pk: int) -> HttpResponse:
    """Its name is asked before everything on it is overwritten."""
    volume = permitted_volume(request, pk, "delete")
    services.check_wipeable(volume)
    if request.method == "POST":
        if request.POST.get("confirm_name") != volume.name:
            raise Invalid(_("The name that was typed is not the volume's. Nothing was wiped."), field="confirm_name")
        services.wipe_volume(volume, by=actor(request))
        return redirect(volume)
    context = {
        "confirm_title": _("Wipe %(name)s") % {"name": volume.name},
        "confirm_text": _(
            "Everything on it is overwritten with zeros and cannot be brought back. The volume stays, as large and "
            "empty. On flash memory and on file systems that copy on write, old bytes may live on below."
        ),
        "confirm_button": _("Wipe %(name)s") % {"name": volume.name},
        "confirm_name": volume.name,
        "cancel_url": volume.get_absolute_url(),
        "commands": [
            virsh("vol-wipe", "--pool", volume.pool.name, volume.name),
            ("REST", f"POST /api/v1/volumes/{volume.pk}/wipe"),
        ],
    }
    return render(request, "confirm.html", context)


def permitted_volume(request: HttpRequest, pk: int, action: str) -> Volume:
    """The volume, or 404 where it is not there or not this user's."""
    permitted = Volume.objects.permitted(actor(request), action).select_related("pool__host", "iso")
    found: Volume = get_object_or_404(permitted, pk=pk)
    return found


def _form_page(
    request: HttpRequest,
    template: str,
    volume: Volume,
    form: ServiceForm,
    act: Callable[[], Job],
    *,
    to_job: bool = False,
    **context: object,
) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        try:
            job = act()
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(job if to_job else volume)
    context |= {"volume": volume, "form": form}
    return render(request, template, context, status=422 if form.errors else 200)
