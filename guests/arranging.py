"""Tags and folders of guests. They are ours alone: no host hears of them, so they change at once, without a job.

Whoever calls has asked `permitted(user, "configure")` for the guests. Each change can be taken back by who made it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.models import User
from accounts.permissions import require
from jobs.live import publish
from virt.errors import Invalid, UserError

from .list_models import HUES, MOST_IN_PATH, MOST_IN_TAG, Folder, ListChange, Tag
from .models import Guest, GuestQuerySet
from .names import key, one_line

MOST_TAGS = 20  # on one guest
MOST_AT_ONCE = 10_000
KEPT_CHANGES = 20  # of one user
CHUNK = 500
TOLD_AT_MOST = 100  # guests by their own topic; of more, the list's topic alone tells


class AlreadyUndone(UserError):
    """The change was taken back before."""

    code, status = "already_undone", 409


def tag_names(text: str) -> list[str]:
    """The tags that somebody typed, parted by commas. Raises Invalid."""
    return [_tag_name(part) for part in text.split(",") if part.strip()]


def tag(guests: GuestQuerySet, *, by: User, add: Iterable[str] = (), remove: Iterable[str] = ()) -> ListChange:
    """Put tags on guests and take others off; tags are made by using them. Raises Invalid."""
    adding = list({key(name): name for name in map(_tag_name, add)}.values())
    removing = {key(name) for name in remove}
    if not adding and not removing:
        raise Invalid(_("Name at least one tag."), field="tags")
    pks = _chosen(guests)
    links = Guest.tags.through.objects
    with transaction.atomic():
        steps: dict[str, dict[str, list[int]]] = {"tagged": {}, "untagged": {}}
        for found in Tag.objects.filter(key__in=removing):
            having = set(links.filter(tag=found).values_list("guest_id", flat=True)) & set(pks)
            if having:
                _in_chunks(sorted(having), lambda some, pk=found.pk: links.filter(tag=pk, guest__in=some).delete())
                steps["untagged"][str(found.pk)] = sorted(having)
        for name in adding:
            wanted = _tag(name)
            having = set(links.filter(tag=wanted).values_list("guest_id", flat=True))
            if missing := [pk for pk in pks if pk not in having]:
                links.bulk_create((links.model(guest_id=pk, tag_id=wanted.pk) for pk in missing), batch_size=CHUNK)
                steps["tagged"][str(wanted.pk)] = missing
        _check_room(pks)
        return _record(by, _tag_title(adding, removing, pks), steps, pks, action="tag_guests")


def move(guests: GuestQuerySet, path: str, *, by: User) -> ListChange:
    """Put guests into a folder, made where it is new; "" takes them out of theirs. Raises Invalid."""
    pks = _chosen(guests)
    with transaction.atomic():
        folder = _folder(folder_path(path)) if path.strip() else None
        before: dict[str, list[int]] = defaultdict(list)
        for pk, old in Guest.objects.filter(pk__in=pks).values_list("pk", "folder"):
            if old != (folder.pk if folder else None):
                before[str(old or "")].append(pk)
        moved = [pk for some in before.values() for pk in some]
        _in_chunks(moved, lambda some: Guest.objects.filter(pk__in=some).update(folder=folder))
        words = {"number": len(pks), "folder": folder.path if folder else ""}
        title = (
            ngettext("Moved %(number)d guest to %(folder)s", "Moved %(number)d guests to %(folder)s", len(pks))
            if folder
            else ngettext("Took %(number)d guest out of its folder", "Took %(number)d guests out of folders", len(pks))
        )
        steps = {"moved": before, "to": folder.pk if folder else None}
        return _record(by, title % words, steps, pks, action="move_guests")


def undo(change: ListChange, *, by: User) -> None:
    """Take back a change of tags or folders. What somebody changed again since then stays as it is now.

    Raises AlreadyUndone.
    """
    if not ListChange.objects.filter(pk=change.pk, by=by, undone_at=None).update(undone_at=timezone.now()):
        raise AlreadyUndone(_("“%(title)s” was taken back already.") % {"title": change.title})
    links = Guest.tags.through.objects
    mine = set(Guest.objects.permitted(by, "configure").values_list("pk", flat=True))
    touched: set[int] = set()
    with transaction.atomic():
        for tag_id, pks in change.steps.get("tagged", {}).items():
            some = _still(pks, mine, touched)
            _in_chunks(some, lambda part, pk=tag_id: links.filter(tag=pk, guest__in=part).delete())
        for tag_id, pks in change.steps.get("untagged", {}).items():
            if Tag.objects.filter(pk=tag_id).exists():
                rows = (links.model(guest_id=pk, tag_id=tag_id) for pk in _still(pks, mine, touched))
                links.bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)
        for folder_id, pks in change.steps.get("moved", {}).items():
            old = Folder.objects.filter(pk=folder_id).first() if folder_id else None
            stayed = Guest.objects.filter(folder=change.steps["to"])
            some = _still(pks, mine, touched)
            _in_chunks(some, lambda part, old=old, rows=stayed: rows.filter(pk__in=part).update(folder=old))
        audit.record(by, "undo", kind="list", object_id=change.pk, name=change.title)
        _tell(touched)


def folder_path(text: str) -> str:
    """A path as it is kept: "Production/Web". Raises Invalid."""
    parts = [one_line(part, at_most=MOST_IN_PATH, field="folder", without='"') for part in text.strip(" /").split("/")]
    path = "/".join(parts)
    if len(path) > MOST_IN_PATH:
        sentence = _("The path of a folder has at most %(most)d characters.")
        raise Invalid(sentence % {"most": MOST_IN_PATH}, field="folder")
    return path


def rename_folder(folder: Folder, path: str, *, by: User) -> None:
    """Give a folder another path; the folders below it come along. Raises NotAllowed or Invalid."""
    require(by, "configure")
    wanted = folder_path(path)
    with transaction.atomic():
        if f"{key(wanted)}/".startswith(f"{folder.key}/") and key(wanted) != folder.key:
            raise Invalid(_("A folder cannot be moved into itself."), field="folder")
        below = list(Folder.objects.filter(key__startswith=f"{folder.key}/"))
        new = {row.pk: f"{wanted}{row.path[len(folder.path) :]}" for row in [folder, *below]}
        taken = Folder.objects.filter(key__in=[key(path) for path in new.values()]).exclude(pk__in=new)
        if found := taken.first():
            raise Invalid(_("There is a folder %(folder)s already.") % {"folder": found.path}, field="folder")
        for row in [folder, *below]:
            row.path = folder_path(new[row.pk])
            row.key = key(row.path)
        if parent := wanted.rpartition("/")[0]:
            _folder(parent)
        Folder.objects.bulk_update([folder, *below], ["path", "key"])
        audit.record(by, "rename_folder", kind="folder", object_id=folder.pk, name=folder.path)
        publish("guests")


def delete_folder(folder: Folder, *, by: User) -> None:
    """Remove a folder and those below it. Their guests go to the folder above. Raises NotAllowed."""
    require(by, "configure")
    above = Folder.objects.filter(key=folder.key.rpartition("/")[0]).first()
    with transaction.atomic():
        gone = Folder.objects.filter(key__startswith=f"{folder.key}/") | Folder.objects.filter(pk=folder.pk)
        Guest.objects.filter(folder__in=gone).update(folder=above)
        audit.record(by, "delete_folder", kind="folder", object_id=folder.pk, name=folder.path)
        gone.delete()
        publish("guests")


def change_tag(tag: Tag, *, by: User, name: str | None = None, hue: int | None = None) -> None:
    """Rename a tag, or give it another colour (1 to HUES). Raises NotAllowed or Invalid."""
    require(by, "configure")
    if name is not None:
        tag.name = _tag_name(name)
        tag.key = key(tag.name)
        if Tag.objects.filter(key=tag.key).exclude(pk=tag.pk).exists():
            raise Invalid(_("There is a tag %(name)s already.") % {"name": tag.name}, field="name")
    if hue is not None:
        if not 1 <= hue <= HUES:
            raise Invalid(_("Colours have the numbers 1 to %(most)d.") % {"most": HUES}, field="hue")
        tag.hue = hue
    with transaction.atomic():
        tag.save()
        audit.record(by, "change_tag", kind="tag", object_id=tag.pk, name=tag.name)
        publish("guests")


def delete_tag(found: Tag, *, by: User) -> ListChange:
    """Take a tag off all guests, which can be taken back. Raises NotAllowed."""
    require(by, "configure")
    return tag(Guest.objects.filter(tags=found), by=by, remove=[found.name])


def _tag_name(text: str) -> str:
    return one_line(text, at_most=MOST_IN_TAG, field="tags", without=',"')


def _tag(name: str) -> Tag:
    hue = hashlib.sha256(key(name).encode()).digest()[0] % HUES + 1
    return Tag.objects.get_or_create(key=key(name), defaults={"name": name, "hue": hue})[0]


def _folder(path: str) -> Folder:
    """The folder, with all that lead to it."""
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        part = "/".join(parts[:depth])
        folder, _made = Folder.objects.get_or_create(key=key(part), defaults={"path": part})
    return folder


def _chosen(guests: GuestQuerySet) -> list[int]:
    pks = list(guests.order_by().values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
    if not pks or len(pks) > MOST_AT_ONCE:
        raise Invalid(_("Choose from 1 to %(most)d guests.") % {"most": MOST_AT_ONCE}, field="guests")
    return pks


def _check_room(pks: list[int]) -> None:
    links = Guest.tags.through.objects.filter(guest__in=pks) if len(pks) <= CHUNK else Guest.tags.through.objects.all()
    counted: dict[int, int] = defaultdict(int)
    for pk in links.values_list("guest_id", flat=True):
        counted[pk] += 1
    if any(counted[pk] > MOST_TAGS for pk in pks):
        raise Invalid(_("A guest has at most %(most)d tags.") % {"most": MOST_TAGS}, field="tags")


def _tag_title(adding: list[str], removing: set[str], pks: list[int]) -> str:
    words = {"number": len(pks), "tags": ", ".join(adding or sorted(removing))}
    if adding:
        return ngettext("Tagged %(number)d guest: %(tags)s", "Tagged %(number)d guests: %(tags)s", len(pks)) % words
    return ngettext("Took %(tags)s off %(number)d guest", "Took %(tags)s off %(number)d guests", len(pks)) % words


def _record(by: User, title: str, steps: dict[str, Any], pks: list[int], *, action: str) -> ListChange:
    change = ListChange.objects.create(by=by, title=title[:255], steps=steps)
    kept = ListChange.objects.filter(by=by).values_list("pk", flat=True)[:KEPT_CHANGES]
    ListChange.objects.filter(by=by).exclude(pk__in=list(kept)).delete()
    audit.record(by, action, kind="guest", object_id=pks[0] if len(pks) == 1 else "", name=change.title)
    _tell(pks)
    return change


def _tell(pks: Iterable[int]) -> None:
    some = list(pks)
    publish("guests", *(f"guest-{pk}" for pk in some if len(some) <= TOLD_AT_MOST))


def _still(pks: list[int], mine: set[int], touched: set[int]) -> list[int]:
    some = [pk for pk in pks if pk in mine]
    touched.update(some)
    return some


def _in_chunks(pks: list[int], act: Any) -> None:
    for start in range(0, len(pks), CHUNK):
        act(pks[start : start + CHUNK])
