"""What a guest was before: its versions, what differs between them, and the way back."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.rest import actor
from guests import commands
from guests.definitions import history, services
from guests.definitions.models import MOST_VERSIONS, DefinitionVersion, digest_of
from guests.definitions.restore import plan_restore
from guests.definitions.words import compare
from guests.models import Guest
from guests.rows import whole_row

from .changes import permitted_or_404
from .detail import frame

PER_PAGE, CHANGES_PER_PAGE = 10, 25


@require_GET
def guest_history(request: HttpRequest, pk: int) -> HttpResponse:
    """All versions that are kept, with what each changed in words."""
    context = _frame(request, permitted_or_404(request, pk, "view"))
    guest = context["guest"]
    page = Paginator(history.versions_of(guest), PER_PAGE).get_page(request.GET.get("page"))
    context |= {
        "page": page,
        "versions": history.with_changes(guest, list(page)),
        "drift": any(version.is_drift for version in page.paginator.object_list),
        "kept": MOST_VERSIONS,
    }
    return render(request, "guests/history.html", context)


@require_GET
def guest_definition(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """One version beside the one before it, or beside the one that `with` names."""
    context = _frame(request, permitted_or_404(request, pk, "view"))
    guest = context["guest"]
    versions = history.versions_of(guest)
    version, xml = history.find_version(guest, number)
    asked = request.GET.get("with", "")
    other = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else number - 1
    known = {each.number for each in versions}
    context |= {
        "definition": version,  # "version" is that of kvmweb, at the foot of the page
        "xml": xml,
        "others": [each for each in versions if each.number != number],
        "other": other if other in known else None,
        "comparison": history.comparison(guest, number, other) if other in known else None,
    }
    return render(request, "guests/definition.html", context)


@require_http_methods(["GET", "POST"])
def guest_restore(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """The question before an older definition is put back: what would differ from now, and what to know."""
    guest = permitted_or_404(request, pk, "configure")
    if request.method == "POST":
        services.restore(guest, number, by=actor(request), shown=request.POST.get("shown", ""))
        return redirect(guest)
    version, xml = history.find_version(guest, number)
    plan = plan_restore(guest, xml)
    words = {"number": number, "name": guest.name}
    body = {"current": digest_of(guest.xml)}
    context = {
        "guest": guest,
        "definition": version,
        "plan": plan,
        "comparison": compare(guest.xml, xml),
        "shown": digest_of(guest.xml),
        "confirm_title": _("Put back definition %(number)d of %(name)s") % words,
        "confirm_button": _("Put back definition %(number)d") % words,
        "confirm_harmless": True,
        "cancel_url": guest.get_absolute_url(),
        "commands": [("REST", commands.rest("POST", f"/guests/{guest.pk}/definitions/{number}/restore", body))],
    }
    return render(request, "guests/restore.html", context)


@require_POST
def guest_acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody has seen the changes of this guest that were made outside kvmweb."""
    guest = permitted_or_404(request, pk, "operate")
    services.acknowledge(DefinitionVersion.objects.filter(guest=guest), by=actor(request))
    return redirect("guests:history", guest.pk)


@require_http_methods(["GET", "POST"])
def outside_changes(request: HttpRequest) -> HttpResponse:
    """Changes of all guests that nobody made in kvmweb and nobody has acknowledged; POST acknowledges some or all."""
    user = actor(request)
    if request.method == "POST":
        mine = DefinitionVersion.objects.permitted(user, "operate")
        if "all" not in request.POST:
            pks = [int(pk) for pk in request.POST.getlist("id") if pk.isascii() and pk.isdigit() and len(pk) < 19]
            mine = mine.filter(pk__in=pks)
        services.acknowledge(mine, by=user)
        return redirect("guests:outside_changes")
    waiting = DefinitionVersion.objects.permitted(user, "view").drift().order_by("-seen_at", "-pk")
    rows = waiting.select_related("guest__host").defer("guest__xml", "guest__host__facts")
    page = Paginator(rows, CHANGES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "can_acknowledge": DefinitionVersion.objects.permitted(user, "operate").drift().exists(),
    }
    fragment = request.headers.get("HX-Request")
    return render(request, "guests/_outside_changes.html" if fragment else "guests/outside_changes.html", context)


def _frame(request: HttpRequest, guest: Guest) -> dict[str, Any]:
    return frame(request, whole_row(guest, actor(request)), "history")
