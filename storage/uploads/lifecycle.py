"""An upload once it was begun (`creation`), to its end: the row, the part file and how they stay in step.

The row is committed before the part is made and says "finishing" before the part gets its name, so whatever dies, the
next request or the sweeper knows how to go on. Everything here blocks; call it through `threads.in_thread`.
"""

import os
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from accounts.permissions import NotAllowed
from storage.helper.parts import PartError
from storage.models import Pool, Upload
from virt import image_guard

from . import streamed
from .errors import AlreadyComplete, Ended, Locked, NotFound, from_part_error
from .part import Part, helper

LIFETIME = timedelta(hours=24)  # of a part that nobody writes to
GRACE = timedelta(seconds=30)  # between a row and its part
DIRECTORY_POOLS = ("dir", "fs", "netfs")  # those whose target path holds the volumes as files
ACTIVE = (Upload.State.RECEIVING, Upload.State.FINISHING)


def visible_to(user: User, action: str) -> QuerySet[Upload]:
    """The uploads on which `user` may do `action`: their own, and all where they administer the pool's host."""
    own = Q(created_by_id=user.pk, pool__in=Pool.objects.permitted(user, action))
    everybodys = Q(pk__in=Upload.objects.permitted(user, "administer").values("pk"))
    return Upload.objects.filter(own | everybodys).select_related("pool__host")


def find(user: User, upload_id: UUID, action: str) -> Upload:
    """The upload, or NotFound; NotAllowed when the user may see it but not do `action`."""
    if upload := visible_to(user, action).filter(pk=upload_id).first():
        return upload
    if action != "view" and (seen := visible_to(user, "view").filter(pk=upload_id).first()):
        raise NotAllowed(_("You may see the upload of %(name)s but not change it.") % {"name": seen.name})
    raise NotFound(_("There is no such upload, or it is not yours."))


def complete(upload: Upload) -> Upload:
    """Give the file its name, mark the row done and start what comes after. All bytes must be there; twice is once.

    Raises NameTaken (the part stays, and the next try may succeed) and what the helper could not do.
    """
    from storage.services import upload_finished

    mine = Upload.objects.filter(pk=upload.pk)
    mine.filter(state=Upload.State.RECEIVING).update(state=Upload.State.FINISHING, touched_at=timezone.now())
    upload.refresh_from_db()
    if upload.state != Upload.State.FINISHING:
        return upload
    try:
        _check_content(upload)
        if upload.streamed_bytes is None:
            helper().finish(upload.pool.target_path, str(upload.pk), name=upload.name, size=upload.size_bytes)
    except PartError as error:
        problem = from_part_error(error, name=upload.name, pool=upload.pool.name)
        if error.code == "exists":
            mine.filter(state=Upload.State.FINISHING).update(state=Upload.State.RECEIVING, error=str(problem))
        elif error.code in ("missing", "wrong_size", "not_a_part"):
            fail(upload, str(problem))
        raise problem from error
    streamed.forget(upload)
    with transaction.atomic():
        done = {"state": Upload.State.DONE, "completed_at": timezone.now(), "error": ""}
        if mine.filter(state=Upload.State.FINISHING).update(**done):  # whoever comes second leaves it at that
            upload.refresh_from_db()
            upload_finished(upload)
    upload.refresh_from_db()
    return upload


def cancel(user: User, upload: Upload) -> None:
    """Stop the upload and remove its part, even while a request writes to it. Cancelling twice is fine.

    Raises AlreadyComplete, or Locked in the moment in which the file gets its name.
    """
    receiving = Upload.objects.filter(pk=upload.pk, state=Upload.State.RECEIVING)
    if receiving.update(state=Upload.State.CANCELLED, touched_at=timezone.now()):
        audit.record(user, "cancel_upload", kind="pool", object_id=upload.pool_id, name=upload.name)
    upload.refresh_from_db()
    if upload.state == Upload.State.DONE:
        raise AlreadyComplete(_("%(name)s is complete. Delete the image instead.") % {"name": upload.name})
    if upload.state == Upload.State.FINISHING:
        raise Locked(_("%(name)s is being finished. Try again in a moment.") % {"name": upload.name})
    discard(upload)


def discard(upload: Upload) -> None:
    """Remove what arrived. Nothing there is not an error."""
    if upload.streamed_bytes is not None:
        streamed.discard(upload)
        return
    try:
        helper().discard(upload.pool.target_path, str(upload.pk))
    except PartError as error:
        raise from_part_error(error, name=upload.name, pool=upload.pool.name) from error


def _check_content(upload: Upload) -> None:
    """Before the file gets its name: refuse an image that leads to other files of the host, and remove it."""
    try:
        if upload.streamed_bytes is not None:
            head = streamed.head_of_whole(upload)
        else:
            with Part(upload.pool.target_path, str(upload.pk)) as part:
                head = os.pread(part.fd, image_guard.HEAD_BYTES, 0)
        image_guard.check_references(head, upload.name)
    except PartError as error:
        if error.code != "missing":  # else it has its name already, and was looked at before
            raise
    except image_guard.ReferenceRefused as error:
        fail(upload, str(error))
        discard(upload)
        raise


def fail(upload: Upload, why: str) -> None:
    """Mark an upload that cannot go on."""
    Upload.objects.filter(pk=upload.pk, state__in=ACTIVE).update(state=Upload.State.FAILED, error=why)
    upload.refresh_from_db()


def touch(upload: Upload) -> None:
    """Note that a client came for it."""
    Upload.objects.filter(pk=upload.pk).update(touched_at=timezone.now())


def open_part(upload: Upload) -> Part | streamed.StreamedPart | None:
    """The part of an active upload, or None when it is done. Raises Ended when it was cancelled, failed or lost."""
    if upload.streamed_bytes is not None and upload.state in ACTIVE:
        if upload.state == Upload.State.RECEIVING:
            return streamed.StreamedPart(upload)
        complete(upload)
    elif upload.state in ACTIVE:
        try:
            return Part(upload.pool.target_path, str(upload.pk))
        except PartError as error:
            if error.code != "missing":
                raise from_part_error(error, name=upload.name, pool=upload.pool.name) from error
        # Gone this moment, or lost: the row, which changes first, knows which.
        upload.refresh_from_db()
        if upload.state == Upload.State.FINISHING:
            complete(upload)
        elif upload.state == Upload.State.RECEIVING:
            fail(upload, _("What had arrived of %(name)s is gone. Start the upload again.") % {"name": upload.name})
    if upload.state != Upload.State.DONE:
        why = upload.error or _("The upload of %(name)s was cancelled. Start it again.") % {"name": upload.name}
        raise Ended(why)
    return None


def complete_if_whole(upload: Upload, part: Part | streamed.StreamedPart) -> Upload:
    """Finish an upload whose last byte arrived but whose request died, unless another request is at it."""
    return complete(upload) if part.size == upload.size_bytes and part.try_lock() else upload


def expires_at(part: Part | streamed.StreamedPart) -> datetime:
    """When the part is swept if nobody writes to it."""
    return datetime.fromtimestamp(part.changed_at, tz=timezone.get_current_timezone()) + LIFETIME
