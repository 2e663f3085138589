"""REST of what is asked before a file is uploaded. The upload itself is asked for beside Django (`app.py`)."""

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Field, Router, Schema

from accounts.rest import ERRORS, Problem, actor
from storage.models import Pool
from storage.rest import MAX_BYTES, Ref
from virt.errors import Invalid

from .known import MAX_FILES, File, Known, known

router = Router(tags=["isos"])


class FileIn(Schema):
    name: str
    size_bytes: int = Field(ge=0, le=MAX_BYTES)


class FilesIn(Schema):
    pool: int = Field(ge=0, le=MAX_BYTES, description="Row id of the pool that they are meant for.")
    files: list[FileIn] = Field(max_length=MAX_FILES)


class ImageRef(Schema):
    """An image with the name and the size of a file. Whether its content is the same, its SHA-256 tells."""

    iso_id: int = Field(validation_alias="pk")
    pool: Ref = Field(validation_alias="volume.pool")
    host: Ref = Field(validation_alias="volume.pool.host")
    sha256: str = Field(description="Empty until a job has computed it.")


class KnownOut(Schema):
    here: ImageRef | None = Field(description="In that pool already.")
    elsewhere: list[ImageRef] = Field(description="POST /isos/{iso_id}/copy copies one of them; the nearest first.")


@router.post("/known", response={200: list[KnownOut], ERRORS: Problem})
def known_files(request: HttpRequest, body: FilesIn) -> list[Known]:
    """Which of these files the library has already, by name and size: an answer for each, in the same order.

    It changes nothing. Who knows a file's SHA-256 asks GET /isos?sha256=… and learns of the content itself.
    """
    user = actor(request)
    pool: Pool | None = Pool.objects.permitted(user, "view").filter(pk=body.pool).first()
    if pool is None:
        raise Invalid(_("There is no such pool."), field="pool")
    return known(user, pool, [File(file.name, file.size_bytes) for file in body.files])
