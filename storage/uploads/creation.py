"""The beginning of an upload: whether it may be, its row and its empty part. Blocking, as `lifecycle` is."""

from dataclasses import dataclass, replace

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from storage.helper.parts import PartError
from storage.models import Pool, Upload
from storage.names import valid_sha256, validate_file_name
from storage.rules import UNWRITABLE_POOLS
from virt.errors import UserError, WrongState

from . import streamed
from .errors import BadRequest, NotFound, NotSupportedHere, UploadInProgress, from_part_error
from .lifecycle import ACTIVE, GRACE, complete, fail
from .part import helper

RESERVE_BYTES = 16 * 1024 * 1024  # stays free: a file system filled to the last byte stops more than uploads


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
