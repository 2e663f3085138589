"""The bar below the list: what it does with all selected guests, or with all that the list matches."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.rest import actor
from guests import arranging, services
from guests.facets import folder_tree, tags_in_use
from guests.listing import matching
from guests.models import Guest, GuestQuerySet
from guests.verbs import BULK, VERBS
from virt.errors import Invalid, UserError

from .arranging import told

NAMED_AT_MOST = 10


class Moved(UserError):
    """The list matches other guests than it did when the question was asked."""

    code, status = "list_changed", 409


@dataclass(frozen=True)
class Selection:
    """The guests, and the fields that say so again in a form: row ids, or the address of the list that matches them."""

    guests: GuestQuerySet
    pks: list[int]
    match: str
    number: int

    @property
    def words(self) -> str:
        return ngettext("%(number)d guest", "%(number)d guests", self.number) % {"number": self.number}

    @property
    def names(self) -> list[str]:
        """Of the first, and how many more there are."""
        some = list(self.guests.order_by("name").values_list("name", flat=True)[:NAMED_AT_MOST])
        more = self.number - len(some)
        return [*some, _("and %(number)d more") % {"number": more}] if more > 0 else some


@require_POST
def guest_bulk(request: HttpRequest) -> HttpResponse:
    """Do one thing with all of them; what loses something, or wants a word typed, is asked first."""
    wanted = request.POST.get("do", "")
    if wanted in ("tags", "folder"):
        return _arrange(request, wanted, _selection(request, "configure"))
    if wanted not in BULK:
        raise Invalid(_("There is no such way to switch a guest."))
    look, chosen = VERBS[wanted], _selection(request, "operate")
    if not look.loses or "confirmed" in request.POST:
        services.power_many(chosen.guests, wanted, by=actor(request))
        return redirect("guests:list")
    context = _question(chosen, wanted) | {
        "confirm_title": f"{look.title}: {chosen.words}",
        "confirm_text": look.loses,
        "confirm_button": f"{look.title}: {chosen.words}",
        "confirm_stay": True,
        "effects": chosen.names,
    }
    return render(request, "guests/bulk.html", context)


def _arrange(request: HttpRequest, wanted: str, chosen: Selection) -> HttpResponse:
    user, error = actor(request), None
    if "confirmed" in request.POST:
        try:
            if wanted == "tags":
                add, remove = request.POST.get("add", ""), request.POST.get("remove", "")
                names = arranging.tag_names(add), arranging.tag_names(remove)
                change = arranging.tag(chosen.guests, by=user, add=names[0], remove=names[1])
            else:
                change = arranging.move(chosen.guests, request.POST.get("folder", ""), by=user)
            return told(request, change)
        except Invalid as problem:
            error = problem
    seen: GuestQuerySet = Guest.objects.permitted(user, "view")
    titles = {"tags": _("Tags of %(guests)s"), "folder": _("Move %(guests)s to a folder")}
    context = _question(chosen, wanted) | {
        "confirm_title": titles[wanted] % {"guests": chosen.words},
        "confirm_button": _("Change tags") if wanted == "tags" else _("Move"),
        "confirm_harmless": True,
        "confirm_shape": "tag" if wanted == "tags" else "folder",
        "confirm_colour": "mute",
        "error": error,
        "typed": request.POST,
        "known_tags": tags_in_use(seen) if wanted == "tags" else [],
        "known_folders": folder_tree(seen) if wanted == "folder" else [],
    }
    return render(request, f"guests/bulk_{wanted}.html", context, status=422 if error else 200)


def _question(chosen: Selection, wanted: str) -> dict[str, Any]:
    return {
        "confirm_action": reverse("guests:bulk"),
        "cancel_url": reverse("guests:list"),
        "verb": wanted,
        "chosen": chosen,
    }


def _selection(request: HttpRequest, action: str) -> Selection:
    """Raises Moved when the list matched another number of guests when the question was asked."""
    match = request.POST.get("match", "") if request.POST.get("all") else ""
    if match or request.POST.get("all"):
        guests = matching(actor(request), QueryDict(match), action)
        pks: list[int] = []
    else:
        pks = [int(pk) for pk in request.POST.getlist("id") if pk.isascii() and pk.isdigit() and len(pk) < 19]
        guests = Guest.objects.permitted(actor(request), action).filter(pk__in=pks)
    number = guests.count()
    if not pks and request.POST.get("number", str(number)) != str(number):
        raise Moved(
            _("The list has changed: %(now)d guests match now, not %(then)s. Look at it and choose again.")
            % {"now": number, "then": request.POST["number"]}
        )
    return Selection(guests, pks, match, number)
