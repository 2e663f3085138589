"""Pages of the import."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rest import actor
from storage.models import Iso
from virt.errors import UserError

from . import services
from .forms import ImportForm


@require_POST
def inspect(request: HttpRequest, pk: int) -> HttpResponse:
    found = _iso(request, pk, "operate")
    services.inspect_appliance(found, by=actor(request))
    return redirect(found)


@require_POST
def unpack(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(services.unpack_image(_iso(request, pk, "create"), by=actor(request)))


@require_http_methods(["GET", "POST"])
def import_disks(request: HttpRequest, pk: int) -> HttpResponse:
    user, found = actor(request), _iso(request, pk, "view")
    form = ImportForm(request.POST or None, user=user, iso=found)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            services.import_disks(found, data["pool"], data["name"], by=user, image_format=data["image_format"])
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(found)  # which shows the job, and then what to do next
    return render(request, "storage/import.html", {"iso": found, "form": form}, status=422 if form.errors else 200)


def _iso(request: HttpRequest, pk: int, action: str) -> Iso:
    permitted = Iso.objects.permitted(actor(request), action).select_related("volume__pool__host")
    found: Iso = get_object_or_404(permitted, pk=pk)
    return found
