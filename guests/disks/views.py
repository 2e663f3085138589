"""Pages of disks that change hands, and of what lies about."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from accounts.rest import actor
from guests import commands
from guests.models import Guest
from virt.errors import UserError

from . import leftovers, services

OFFERED = 200


class ReassignForm(forms.Form):
    guest = forms.CharField(
        max_length=255,
        label=gettext_lazy("To the guest"),
        help_text=gettext_lazy("Its name; it is on the same host. Both guests may run."),
        widget=forms.TextInput(attrs={"list": "guests-offered", "autocomplete": "off"}),
    )


@require_http_methods(["GET", "POST"])
def disk_reassign(request: HttpRequest, pk: int, target: str) -> HttpResponse:
    """Give a disk to another guest of the host."""
    user = actor(request)
    guest: Guest = get_object_or_404(Guest.objects.permitted(user, "configure").select_related("host"), pk=pk)
    disk = services.disk_of(guest, target)
    others = Guest.objects.permitted(user, "configure").filter(host=guest.host_id, missing_since=None).exclude(pk=pk)
    form = ReassignForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        to = others.select_related("host").filter(name=form.cleaned_data["guest"].strip()).first()
        try:
            if to is None:
                form.add_error("guest", _("There is no such guest on this host."))
            else:
                services.reassign_disk(guest, target, to, by=user)
                return redirect(guest)
        except UserError as error:
            form.add_error("guest" if error.field == "guest" else None, str(error))
    context: dict[str, Any] = {
        "guest": guest,
        "disk": disk,
        "form": form,
        "names": others.order_by("name").values_list("name", flat=True)[:OFFERED],
        "commands": [("REST", commands.rest("POST", f"/guests/{guest.pk}/disks/{target}/reassign"))],
    }
    return render(request, "guests/disk_reassign.html", context, status=422 if form.errors else 200)


@require_GET
def disk_leftovers(request: HttpRequest) -> HttpResponse:
    """Volumes that nobody has, disks in no pool, images that are gone, chains that broke."""
    found = leftovers.find(actor(request))
    return render(request, "guests/leftovers.html", {"found": found, "shown": leftovers.SHOWN})
