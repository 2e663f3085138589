"""Uploads as JSON, for the page's script and for others that want more than tus says. Blocking, like `lifecycle`."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from django.http import QueryDict
from django.utils.translation import gettext as _

from accounts.models import User
from storage.helper.parts import PartError
from storage.models import Pool, Upload

from .errors import BadRequest
from .lifecycle import ACTIVE, find, visible_to
from .part import helper

log = structlog.get_logger(__name__)
PAGE = 50
MAX_PAGE = 1000


def one(user: User, upload_id: UUID) -> dict[str, Any]:
    """One upload. Raises NotFound."""
    upload = find(user, upload_id, "view")
    return as_json(upload, _offsets([upload]))


def own(user: User, query: QueryDict) -> dict[str, Any]:
    """The user's own uploads, newest first, as {"items", "count"}; `?state=a,b`, `?limit=`, `?offset=`."""
    uploads = visible_to(user, "view").filter(created_by_id=user.pk)
    if states := query.get("state"):
        uploads = uploads.filter(state__in=set(states.split(",")) & set(Upload.State.values))
    start, limit = _number(query, "offset", 0), _number(query, "limit", PAGE)
    page = list(uploads[start : start + min(limit, MAX_PAGE)])
    offsets = _offsets(page)
    return {"items": [as_json(upload, offsets) for upload in page], "count": uploads.count()}


def as_json(upload: Upload, offsets: dict[str, int]) -> dict[str, Any]:
    """What the JSON says of an upload; `offset` is how many bytes have arrived."""
    offset = upload.size_bytes if upload.state == Upload.State.DONE else offsets.get(str(upload.pk), 0)
    return {
        "id": str(upload.pk),
        "name": upload.name,
        "size_bytes": upload.size_bytes,
        "offset": offset,
        "state": upload.state,
        "error": upload.error,
        "job_id": upload.job_id,
        "iso_id": upload.iso_id,
        "pool": {"id": upload.pool_id, "name": upload.pool.name, "host": upload.pool.host.name},
        "fingerprint": upload.client_fingerprint,
        "created_at": upload.created_at.isoformat(),
    }


def _offsets(uploads: Iterable[Upload]) -> dict[str, int]:
    """Sizes of the parts of these uploads: one question to the helper for each pool, however many uploads there are."""
    under_way = [upload for upload in uploads if upload.state in ACTIVE]
    sizes = {str(upload.pk): upload.streamed_bytes for upload in under_way if upload.streamed_bytes is not None}
    pools: dict[int, Pool] = {upload.pool_id: upload.pool for upload in under_way if upload.streamed_bytes is None}
    for pool in pools.values():
        try:
            sizes |= {part["id"]: part["size"] for part in helper().list_parts(pool.target_path)}
        except PartError as error:
            log.warning("cannot list parts", pool=pool.name, error=str(error))
    return sizes


def _number(query: QueryDict, name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(_("%(name)s has to be a whole number.") % {"name": name}, field=name)
    return int(text)
