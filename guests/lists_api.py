"""REST of what helps to find guests: tags, folders, saved views, and how one sees the list."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Router, Status

from accounts.rest import ERRORS, Problem, actor
from virt.errors import Invalid

from . import arranging, saved_views
from .facets import folder_tree, tags_in_use
from .lists_rest import (
    MAX_ID,
    FolderOut,
    FolderPatch,
    GuestsIn,
    ListChangeOut,
    ListSettingsOut,
    ListSettingsPatch,
    MoveIn,
    TagOut,
    TagPatch,
    TagsIn,
    ViewIn,
    ViewOut,
    ViewPatch,
)
from .models import Folder, Guest, GuestQuerySet, ListChange, SavedView, Tag
from .search import search

arranging_router = Router(tags=["guests"])
tags_router = Router(tags=["tags and folders"])
folders_router = Router(tags=["tags and folders"])
views_router = Router(tags=["saved views"])


def chosen(request: HttpRequest, body: GuestsIn, action: str) -> GuestQuerySet:
    """The guests that a body names, within what the user may do `action` with. Raises Invalid."""
    permitted: GuestQuerySet = Guest.objects.permitted(actor(request), action)
    if body.search is None:
        return permitted.filter(pk__in=[pk for pk in body.guests if 0 < pk <= MAX_ID])
    if body.guests:
        raise Invalid(_("Give either guests or a search."), field="search")
    found = search(permitted, body.search)
    if found.problem:
        raise Invalid(found.problem, field="search")
    return found.guests


@arranging_router.post("/tags", response={200: ListChangeOut, ERRORS: Problem})
def tag_guests(request: HttpRequest, body: TagsIn) -> ListChange:
    """Put tags on guests, take others off. It is done at once; no host hears of it."""
    guests = chosen(request, body, "configure")
    return arranging.tag(guests, by=actor(request), add=body.add, remove=body.remove)


@arranging_router.post("/move", response={200: ListChangeOut, ERRORS: Problem})
def move_guests(request: HttpRequest, body: MoveIn) -> ListChange:
    """Put guests into a folder. It is done at once; no host hears of it."""
    return arranging.move(chosen(request, body, "configure"), body.folder, by=actor(request))


@arranging_router.get("/changes", response={200: list[ListChangeOut], ERRORS: Problem})
def list_changes(request: HttpRequest) -> QuerySet[ListChange]:
    """Your last changes of tags and folders, newest first."""
    return ListChange.objects.filter(by=actor(request))


@arranging_router.post("/changes/{int:change_id}/undo", response={204: None, ERRORS: Problem})
def undo(request: HttpRequest, change_id: int) -> Status[None]:
    """Take a change back. What somebody changed again since then stays as it is now."""
    arranging.undo(get_object_or_404(ListChange, pk=change_id, by=actor(request)), by=actor(request))
    return Status(204, None)


@arranging_router.get("/list-settings", response={200: ListSettingsOut, ERRORS: Problem})
def get_settings(request: HttpRequest) -> Any:
    """How you see the guest list."""
    return _settings(request)


@arranging_router.patch("/list-settings", response={200: ListSettingsOut, ERRORS: Problem})
def change_settings(request: HttpRequest, body: ListSettingsPatch) -> Any:
    """Choose columns, the height of rows, and the view with which the list opens."""
    user = actor(request)
    if body.columns is not None:
        saved_views.set_columns(user, body.columns)
    if body.density is not None:
        saved_views.set_density(user, body.density)
    if body.default_view is not None:
        view = get_object_or_404(saved_views.visible(user), pk=body.default_view) if body.default_view else None
        saved_views.set_default(user, view)
    return _settings(request)


def _settings(request: HttpRequest) -> dict[str, Any]:
    own = saved_views.settings_of(actor(request))
    return {"columns": own.columns, "density": own.density, "default_view": own.default_view_id}


@tags_router.get("", response={200: list[TagOut], ERRORS: Problem})
def list_tags(request: HttpRequest) -> list[dict[str, Any]]:
    """The tags of the guests that you may see."""
    found = tags_in_use(Guest.objects.permitted(actor(request), "view").listed())
    return [{"id": pk, "name": name, "hue": hue, "guests": number} for pk, name, hue, number in found]


@tags_router.patch("/{int:tag_id}", response={204: None, ERRORS: Problem})
def change_tag(request: HttpRequest, tag_id: int, body: TagPatch) -> Status[None]:
    """Rename a tag on all guests, or give it another colour."""
    arranging.change_tag(_tag(request, tag_id), by=actor(request), name=body.name, hue=body.hue)
    return Status(204, None)


@tags_router.delete("/{int:tag_id}", response={200: ListChangeOut, ERRORS: Problem})
def delete_tag(request: HttpRequest, tag_id: int) -> ListChange:
    """Take a tag off all guests. The answer says what to take back."""
    return arranging.delete_tag(_tag(request, tag_id), by=actor(request))


@folders_router.get("", response={200: list[FolderOut], ERRORS: Problem})
def list_folders(request: HttpRequest) -> list[dict[str, Any]]:
    """The folders of the guests that you may see, as a tree in order."""
    tree = folder_tree(Guest.objects.permitted(actor(request), "view").listed())
    return [{"id": folder.pk, "path": folder.path, "guests": number} for folder, number in tree]


@folders_router.patch("/{int:folder_id}", response={204: None, ERRORS: Problem})
def rename_folder(request: HttpRequest, folder_id: int, body: FolderPatch) -> Status[None]:
    """Give a folder another path."""
    arranging.rename_folder(_folder(request, folder_id), body.path, by=actor(request))
    return Status(204, None)


@folders_router.delete("/{int:folder_id}", response={204: None, ERRORS: Problem})
def delete_folder(request: HttpRequest, folder_id: int) -> Status[None]:
    """Remove a folder and those below it; their guests go to the folder above."""
    arranging.delete_folder(_folder(request, folder_id), by=actor(request))
    return Status(204, None)


@views_router.get("", response={200: list[ViewOut], ERRORS: Problem})
def list_views(request: HttpRequest) -> QuerySet[SavedView]:
    """Your saved views of the guest list, and those that others share."""
    return saved_views.visible(actor(request))


@views_router.post("", response={201: ViewOut, ERRORS: Problem})
def save_view(request: HttpRequest, body: ViewIn) -> Status[SavedView]:
    """Keep a search under a name."""
    view = saved_views.save_view(
        by=actor(request),
        name=body.name,
        query=body.query,
        sort=body.sort,
        shown=body.columns,
        is_shared=body.is_shared,
    )
    return Status(201, view)


@views_router.patch("/{int:view_id}", response={200: ViewOut, ERRORS: Problem})
def change_view(request: HttpRequest, view_id: int, body: ViewPatch) -> SavedView:
    """Change what is given of a view of your own."""
    return saved_views.change_view(
        _view(request, view_id),
        by=actor(request),
        name=body.name,
        query=body.query,
        sort=body.sort,
        shown=body.columns,
        is_shared=body.is_shared,
    )


@views_router.delete("/{int:view_id}", response={204: None, ERRORS: Problem})
def delete_view(request: HttpRequest, view_id: int) -> Status[None]:
    """Forget a view of your own."""
    saved_views.delete_view(_view(request, view_id), by=actor(request))
    return Status(204, None)


def _view(request: HttpRequest, view_id: int) -> SavedView:
    return get_object_or_404(saved_views.visible(actor(request)), pk=view_id)


def _tag(request: HttpRequest, tag_id: int) -> Tag:
    """One that is on a guest that the user may see."""
    seen = Guest.objects.permitted(actor(request), "view").filter(tags=tag_id)
    return get_object_or_404(Tag.objects.filter(guests__in=seen).distinct(), pk=tag_id)


def _folder(request: HttpRequest, folder_id: int) -> Folder:
    tree = folder_tree(Guest.objects.permitted(actor(request), "view").listed())
    return get_object_or_404(Folder.objects.filter(pk__in=[folder.pk for folder, _number in tree]), pk=folder_id)
