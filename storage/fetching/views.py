"""The page that fetches images: by address, or from the catalogue."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.permissions import may
from accounts.rest import actor
from storage import catalogue
from storage.current.views import kept_entries
from storage.models import Release
from storage.signers.models import SignerKey
from virt.errors import UserError

from . import services
from .forms import FetchForm, pools_for


@require_http_methods(["GET", "POST"])
def fetch(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    form = FetchForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            job = services.fetch_image(
                data["pool"],
                data["url"],
                by=user,
                name=data["name"],
                checksum=data["checksum"],
                checksum_url=data["checksum_url"],
                signer=data["signer"].fingerprint if data["signer"] else "",
            )
        except UserError as error:
            form.refuse(error)
        else:
            return redirect(job)
    releases = {release.key: release for release in Release.objects.all()}
    kept = kept_entries(user)
    context = {
        "form": form,
        "pools": list(pools_for(user)),
        "entries": [(entry, releases.get(entry.key), kept.get(entry.key, [])) for entry in catalogue.entries()],
        "can_refresh": may(user, "create"),
        "trusted": set(SignerKey.objects.values_list("fingerprint", flat=True)),
    }
    return render(request, "storage/fetch.html", context, status=422 if form.errors else 200)


@require_POST
def fetch_entry(request: HttpRequest) -> HttpResponse:
    """Fetch an entry of the catalogue (`entry`) into a pool (`pool`), and with `keep_current` keep it so."""
    user = actor(request)
    number = request.POST.get("pool", "")
    pool = get_object_or_404(pools_for(user), pk=int(number) if number.isdecimal() and len(number) < 19 else 0)
    keep = "keep_current" in request.POST
    return redirect(services.fetch_entry(pool, request.POST.get("entry", ""), by=user, keep_current=keep))


@require_POST
def refresh(request: HttpRequest) -> HttpResponse:
    return redirect(services.refresh_catalogue(by=actor(request)))
