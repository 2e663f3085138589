"""What changes a guest from a page. Where something is lost, GET asks and POST acts; each POST starts a job."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rest import actor
from guests import commands, services
from guests.forms import DeleteForm, EditForm, MediaForm
from guests.models import Guest
from guests.verbs import VERBS
from virt.errors import Invalid, UserError


def permitted_or_404(request: HttpRequest, pk: int, action: str) -> Guest:
    """The guest, or 404 where it is not there or not this user's."""
    guests = Guest.objects.permitted(actor(request), action).select_related("host")
    guest: Guest = get_object_or_404(guests, pk=pk)
    return guest


@require_http_methods(["GET", "POST"])
def guest_power(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Switch a guest. GET is the question, for what loses something and for browsers without script."""
    guest = permitted_or_404(request, pk, "operate")
    if verb not in VERBS:
        raise Invalid(_("There is no such way to switch a guest."))
    if request.method == "POST":
        services.power(guest, verb, by=actor(request))
        return redirect(guest)
    look = VERBS[verb]
    context = {
        "confirm_title": f"{look.title}: {guest.name}",
        "confirm_text": look.loses,
        "confirm_button": f"{look.title} {guest.name}",
        "confirm_harmless": not look.loses,
        "confirm_stay": True,
        "cancel_url": guest.get_absolute_url(),
        "commands": commands.for_verb(guest, look.virsh, verb),
    }
    return render(request, "confirm.html", context)


@require_http_methods(["GET", "POST"])
def guest_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Which disks go with it, and its name typed."""
    guest = permitted_or_404(request, pk, "delete")
    form = DeleteForm(request.POST or None, guest=guest)
    if request.method == "POST" and form.is_valid():
        try:
            chosen, force = form.cleaned_data["disks"], form.cleaned_data["force"]
            services.delete_guest(guest, by=actor(request), disks=chosen, force=force)
            return redirect(guest)
        except UserError as error:
            form.add_problem(error)
    context = {
        "guest": guest,
        "form": form,
        "confirm_title": _("Delete %(name)s") % {"name": guest.name},
        "confirm_button": _("Delete %(name)s and the chosen disks") % {"name": guest.name}
        if form.fields["disks"].choices  # type: ignore[attr-defined]
        else _("Delete %(name)s") % {"name": guest.name},
        "confirm_name": guest.name,
        "cancel_url": guest.get_absolute_url(),
        "commands": [
            ("virsh", f"virsh undefine --nvram --managed-save --snapshots-metadata {guest.uuid}"),
            ("REST", commands.rest("DELETE", f"/guests/{guest.pk}?disks=…")),
        ],
    }
    return render(request, "guests/delete.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def guest_forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove the page of a guest that is gone."""
    guest = permitted_or_404(request, pk, "administer")
    if request.method == "POST":
        services.forget_guest(guest, by=actor(request))
        return redirect("guests:list")
    context = {
        "confirm_title": _("Forget %(name)s") % {"name": guest.name},
        "confirm_text": _(
            "Its page goes, with the rights that people have on it. Jobs and the audit log stay. "
            "Nothing is deleted on any host; if one has the guest again, it gets a new page."
        ),
        "confirm_button": _("Forget %(name)s") % {"name": guest.name},
        "cancel_url": guest.get_absolute_url(),
    }
    return render(request, "confirm.html", context)


@require_http_methods(["GET", "POST"])
def guest_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Name, title, notes, vCPUs, memory, start with the host."""
    guest = permitted_or_404(request, pk, "configure")
    form = EditForm(request.POST or None, guest=guest)
    if request.method == "POST" and form.is_valid():
        changes = form.changes()
        if not changes:
            return redirect(guest)
        try:
            services.change_guest(guest, changes, by=actor(request))
            return redirect(guest)
        except UserError as error:
            form.add_problem(error)
    context: dict[str, Any] = {"guest": guest, "form": form}
    return render(request, "guests/edit.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def guest_media(request: HttpRequest, pk: int, target: str) -> HttpResponse:
    """Put an ISO of the library into a drive."""
    guest = permitted_or_404(request, pk, "configure")
    form = MediaForm(request.POST or None, guest=guest, user=actor(request))
    if request.method == "POST" and form.is_valid():
        services.change_media(guest, target, form.cleaned_data["iso"], by=actor(request))
        return redirect(guest)
    context = {
        "form": form,
        "confirm_title": _("Insert an ISO into %(target)s of %(name)s") % {"target": target, "name": guest.name},
        "confirm_button": _("Insert"),
        "confirm_harmless": True,
        "confirm_shape": "disc",
        "confirm_colour": "mute",
        "confirm_stay": True,
        "cancel_url": guest.get_absolute_url(),
    }
    return render(request, "guests/media.html", context, status=422 if form.errors else 200)


@require_POST
def guest_eject(request: HttpRequest, pk: int, target: str) -> HttpResponse:
    """Take out what is in a drive."""
    guest = permitted_or_404(request, pk, "configure")
    services.change_media(guest, target, None, by=actor(request))
    return redirect(guest)
