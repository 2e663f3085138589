"""Pages of tags and folders: of one guest, of all, and what was changed last and can be taken back."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.permissions import may
from accounts.rest import actor
from guests import arranging
from guests.facets import folder_tree, tags_in_use
from guests.list_models import HUES
from guests.models import Folder, Guest, GuestQuerySet, ListChange, Tag
from guests.names import key
from guests.search import with_word
from virt.errors import Invalid

MOST_SUGGESTED = 200


def told(request: HttpRequest, change: ListChange) -> HttpResponse:
    """The answer after a change of tags or folders: a note that can take it back, on the page that is open."""
    if not request.headers.get("HX-Request"):
        messages.success(request, change.title)
        return redirect("guests:undo_list")
    done = {"text": change.title, "undo": reverse("guests:undo", args=[change.pk])}
    return HttpResponse(status=204, headers={"HX-Trigger": json.dumps({"kw:done": done})})


@require_http_methods(["GET", "POST"])
def guest_tags(request: HttpRequest, pk: int) -> HttpResponse:
    """The tags and the folder of one guest, as a question."""
    user = actor(request)
    guests: GuestQuerySet = Guest.objects.permitted(user, "configure").filter(pk=pk)
    guest = get_object_or_404(guests.select_related("folder"))
    names = list(guest.tags.values_list("name", flat=True))
    error = None
    if request.method == "POST":
        try:
            return _arranged(request, guests, names, guest.folder)
        except Invalid as problem:
            error = problem
    seen: GuestQuerySet = Guest.objects.permitted(user, "view")
    context: dict[str, Any] = {
        "guest": guest,
        "typed_tags": request.POST.get("tags", ", ".join(names)),
        "typed_folder": request.POST.get("folder", guest.folder.path if guest.folder else ""),
        "known_tags": tags_in_use(seen)[:MOST_SUGGESTED],
        "known_folders": folder_tree(seen)[:MOST_SUGGESTED],
        "error": error,
        "confirm_title": _("Tags and folder of %(name)s") % {"name": guest.name},
        "confirm_button": _("Save changes"),
        "confirm_harmless": True,
        "confirm_shape": "tag",
        "confirm_colour": "mute",
        "cancel_url": guest.get_absolute_url(),
    }
    return render(request, "guests/tags.html", context, status=422 if error else 200)


def _arranged(request: HttpRequest, guests: GuestQuerySet, before: list[str], folder: Folder | None) -> HttpResponse:
    """Only what differs is changed; each of the two is one step to take back."""
    wanted = arranging.tag_names(request.POST.get("tags", ""))
    path = arranging.folder_path(request.POST["folder"]) if request.POST.get("folder", "").strip() else ""
    kept = {key(name) for name in wanted}
    gone = [name for name in before if key(name) not in kept]
    known = {key(name) for name in before}
    new = [name for name in wanted if key(name) not in known]
    change = None
    if new or gone:
        change = arranging.tag(guests, by=actor(request), add=new, remove=gone)
    if path != (folder.path if folder else ""):
        change = arranging.move(guests, path, by=actor(request))
    if change is None:
        return redirect("guests:list") if not request.headers.get("HX-Request") else _closed()
    return told(request, change)


def _closed() -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Trigger": json.dumps({"kw:done": {"text": "", "undo": ""}})})


@require_GET
def list_changes(request: HttpRequest) -> HttpResponse:
    """What this user changed last in tags and folders, each with a button that takes it back."""
    return render(request, "guests/undo.html", {"changes": ListChange.objects.filter(by=actor(request))})


@require_POST
def list_undo(request: HttpRequest, pk: int) -> HttpResponse:
    change = get_object_or_404(ListChange, pk=pk, by=actor(request))
    arranging.undo(change, by=actor(request))
    if request.headers.get("HX-Request"):
        done = {"text": _("Taken back: %(title)s") % {"title": change.title}, "undo": ""}
        return HttpResponse(status=204, headers={"HX-Trigger": json.dumps({"kw:done": done})})
    messages.success(request, _("Taken back: %(title)s") % {"title": change.title})
    return redirect("guests:undo_list")


@require_GET
def tags_and_folders(request: HttpRequest) -> HttpResponse:
    """All tags and folders of the guests that this user may see."""
    user = actor(request)
    seen: GuestQuerySet = Guest.objects.permitted(user, "view").listed()
    context = {
        "tags": [(*found, with_word("", "tag", found[1])) for found in tags_in_use(seen)],
        "folders": [(folder, number, with_word("", "folder", folder.path)) for folder, number in folder_tree(seen)],
        "hues": range(1, HUES + 1),
        "can_change": may(user, "configure"),
    }
    return render(request, "guests/tags_and_folders.html", context)


@require_POST
def tag_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a tag, give it another colour (`hue`), or take it off all guests (`do` = delete)."""
    tag, user = get_object_or_404(Tag, pk=pk), actor(request)
    if request.POST.get("do") == "delete":
        return told(request, arranging.delete_tag(tag, by=user))
    hue = request.POST.get("hue", "")
    hue_number = int(hue) if hue.isascii() and hue.isdigit() and len(hue) < 4 else None
    arranging.change_tag(tag, by=user, name=request.POST.get("name"), hue=hue_number)
    return redirect("guests:tags")


@require_POST
def folder_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a folder another path, or remove it (`do` = delete): its guests go to the folder above."""
    folder, user = get_object_or_404(Folder, pk=pk), actor(request)
    if request.POST.get("do") == "delete":
        arranging.delete_folder(folder, by=user)
    else:
        arranging.rename_folder(folder, request.POST.get("path", ""), by=user)
    return redirect("guests:tags")
