"""An upload from its creation to its end: the row, the part file and how they stay in step.

The row is committed before the part is made and says "finishing" before the part gets its name, so whatever dies, the
next request or the sweeper knows how to go on. Everything here blocks; call it through `threads.in_thread`.
"""

import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from storage.helper.parts import PartError
from storage.models import Pool, Upload
from storage.names import valid_sha256, validate_file_name
from storage.rules import UNWRITABLE_POOLS
from virt import image_guard
from virt.errors import UserError, WrongState

from . import streamed
from .errors import (
    AlreadyComplete,
    BadRequest,
    Ended,
    Locked,
    NotFound,
    NotSupportedHere,
    UploadInProgress,
    from_part_error,
)
from .part import Part, helper

LIFETIME = timedelta(hours=24)  # of a part that nobody writes to
RESERVE_BYTES = 16 * 1024 * 1024  # stays free: a file system filled to the last byte stops more than uploads
GRACE = timedelta(seconds=30)  # between a row and its part
DIRECTORY_POOLS = ("dir", "fs", "netfs")  # those whose target path holds the volumes as files
ACTIVE = (Upload.State.RECEIVING, Upload.State.FINISHING)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a client asks for when it creates an upload. `pool` is the row id as text; "" means the local ISO pool."""

    name: str
    size_bytes: int
    pool: str = ""
    sha256: str = ""
    fingerprint: str = ""


def upload_pools(user: User) -> list[Pool]:
    """The pools into which `user` may upload, the library's own first."""
    started = Pool.objects.permitted(user, "create").filter(missing_since=None, is_active=True)
    pools = list(started.exclude(type__in=UNWRITABLE_POOLS).select_related("host"))
    return sorted(pools, key=lambda pool: (pool.target_path != settings.ISO_DIR, not pool.host.is_local, pool.name))


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


def create(user: User, wanted: Wanted) -> Upload:
    """Make the row and its empty part; an empty file is complete at once.

    The same client that asks again, because the answer was lost, gets the same upload. Raises Invalid, NotFound,
    NotAllowed, NotSupportedHere, WrongState, NameTaken, UploadInProgress or NoSpace.
    """
    name = validate_file_name(wanted.name)
    wanted = replace(wanted, sha256=valid_sha256(wanted.sha256))
    if "\0" in wanted.fingerprint:
        raise BadRequest(_("The fingerprint contains a NUL character."))
    pool = _pool_for(user, wanted.pool)
    upload = _create_streamed(user, pool, name, wanted) if streamed.is_streamed(pool) else None
    upload = upload or _create_part(user, pool, name, wanted)
    return complete(upload) if upload.size_bytes == 0 else upload


def _create_part(user: User, pool: Pool, name: str, wanted: Wanted) -> Upload:
    try:
        parts = {part["id"]: part["size"] for part in helper().list_parts(pool.target_path)}
        upload, reserve = _make_row(user, pool, name, wanted, parts)
        if str(upload.pk) not in parts:
            _make_part(upload, reserve)
    except PartError as error:
        raise from_part_error(error, name=name, pool=pool.name) from error
    return upload


def _create_streamed(user: User, pool: Pool, name: str, wanted: Wanted) -> Upload:
    active = Upload.objects.filter(pool=pool, state__in=ACTIVE, streamed_bytes__isnull=False)
    sizes = {str(pk): size for pk, size in active.values_list("pk", "streamed_bytes")}
    upload, reserve = _make_row(user, pool, name, wanted, sizes)
    if upload.streamed_bytes is None:
        try:
            streamed.check_room(upload, reserve)
            streamed.create(upload)
        except UserError:
            upload.delete()  # it never was
            raise
        upload.streamed_bytes = 0
        upload.save(update_fields=["streamed_bytes"])
    return upload


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


def _pool_for(user: User, wanted: str) -> Pool:
    pools = Pool.objects.permitted(user, "view").filter(missing_since=None).select_related("host")
    if wanted:
        pool: Pool | None = pools.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
    else:
        library = pools.filter(target_path=settings.ISO_DIR).order_by("pk")
        pool = next((pool for pool in library if pool.host.is_local), None)
    if pool is None:
        raise NotFound(_("There is no such pool, or it is not yours. Name another one."), field="pool")
    if not Pool.objects.permitted(user, "create").filter(pk=pool.pk).exists():
        raise NotAllowed(_("You may see pool %(pool)s but not add files to it.") % {"pool": pool.name})
    if pool.type in UNWRITABLE_POOLS:
        message = _("The volumes of the pool %(pool)s are made by the storage itself, so nothing is uploaded to it.")
        raise NotSupportedHere(message % {"pool": pool.name}, field="pool")
    if not pool.is_active:
        raise WrongState(_("Pool %(pool)s is not started. Start it and try again.") % {"pool": pool.name}, field="pool")
    return pool


def _make_row(user: User, pool: Pool, name: str, wanted: Wanted, parts: dict[str, int]) -> tuple[Upload, int]:
    """The row, new or the same client's from a moment ago, and the bytes that other uploads there still need."""
    with transaction.atomic():
        Pool.objects.select_for_update().get(pk=pool.pk)  # one creation at a time in a pool
        active = list(Upload.objects.filter(pool=pool, state__in=ACTIVE))
        rival = next((upload for upload in active if upload.name == name), None)
        if rival and not _is_lost(rival, parts):
            if not _is_same_request(rival, user, wanted, parts):
                raise _in_progress(rival, user, parts)
            upload = rival
        else:
            if rival:
                fail(rival, _("The upload was interrupted before anything arrived."))
            upload = Upload.objects.create(
                pool=pool,
                name=name,
                size_bytes=wanted.size_bytes,
                sha256_expected=wanted.sha256,
                client_fingerprint=wanted.fingerprint[:255],
                created_by_id=user.pk,
            )
            audit.record(
                user,
                "upload",
                AuditEntry.Result.STARTED,
                kind="pool",
                object_id=pool.pk,
                name=name,
                detail=str(upload.pk),
            )
    others = (u for u in active if u.pk != upload.pk and u.state == Upload.State.RECEIVING)
    return upload, RESERVE_BYTES + sum(max(u.size_bytes - parts.get(str(u.pk), 0), 0) for u in others)


def _make_part(upload: Upload, reserve: int) -> None:
    try:
        helper().create_part(
            upload.pool.target_path, str(upload.pk), name=upload.name, size=upload.size_bytes, reserve=reserve
        )
    except PartError:
        upload.delete()  # it never was
        raise


def _is_lost(upload: Upload, parts: dict[str, int]) -> bool:
    """Whether kvmweb died between the row and the part, so that nobody will ever come for it."""
    old = timezone.now() - upload.created_at > GRACE
    return old and upload.state == Upload.State.RECEIVING and str(upload.pk) not in parts


def _is_same_request(upload: Upload, user: User, wanted: Wanted, parts: dict[str, int]) -> bool:
    if not wanted.fingerprint or upload.client_fingerprint != wanted.fingerprint[:255]:
        return False
    nothing_yet = parts.get(str(upload.pk), 0) == 0
    return nothing_yet and upload.created_by_id == user.pk and upload.size_bytes == wanted.size_bytes


def _in_progress(rival: Upload, user: User, parts: dict[str, int]) -> UploadInProgress:
    percent = parts.get(str(rival.pk), 0) * 100 // rival.size_bytes if rival.size_bytes else 0
    words = {"name": rival.name, "pool": rival.pool.name, "percent": percent}
    if rival.created_by_id == user.pk:
        message = _("You are uploading %(name)s to %(pool)s already (%(percent)d %%). Go on with that, or cancel it.")
        return UploadInProgress(message % words, details=f"/api/v1/uploads/{rival.pk}", field="name")
    message = _("Somebody else is uploading %(name)s to %(pool)s (%(percent)d %%). Rename your file, or wait.")
    return UploadInProgress(message % words, field="name")
