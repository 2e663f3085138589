"""The page of image files that lie in no pool of a host."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accounts.rest import actor
from guests.models import StrayFiles
from hosts.models import Host

from . import services


@require_http_methods(["GET", "POST"])
def stray_files(request: HttpRequest, pk: int) -> HttpResponse:
    """What was found last; POST looks again."""
    host: Host = get_object_or_404(Host.objects.permitted(actor(request), "administer"), pk=pk)
    if request.method == "POST":
        services.look(host, by=actor(request))
        return redirect("host_care:stray_files", host.pk)
    row = StrayFiles.objects.filter(host=host).first()
    context = {"host": host, "row": row, "places": services.places(host, row)}
    return render(request, "host_care/stray_files.html", context)
