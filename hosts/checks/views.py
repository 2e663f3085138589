"""What can be done with the checks of a host."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.rest import actor
from hosts.tabs import host_or_404

from . import services


@require_POST
def host_examine(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(services.examine_host(host_or_404(request, pk, "operate"), by=actor(request)))
