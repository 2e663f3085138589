"""The tus server at /api/v1/uploads: a raw ASGI application inside `AuthMiddlewareStack`, beside Django."""

import errno
import re
import secrets
from collections.abc import MutableMapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, ClassVar, NoReturn
from uuid import UUID

import structlog
from django.http import QueryDict
from django.utils.http import http_date
from django.utils.translation import gettext as _

from accounts.models import User
from storage.models import Upload
from virt.errors import UserError

from . import creation, lifecycle, listing, protocol
from .asking import activate_language, authenticate
from .body import Discarded, Overrun, Receive, store
from .errors import (
    ChecksumMismatch,
    Ended,
    Locked,
    MethodNotAllowed,
    NotFound,
    Stalled,
    StorageFailed,
    TooMuch,
    WrongContentType,
    WrongOffset,
    no_space,
)
from .http import Exchange, Send
from .part import Part
from .streamed import StreamedPart
from .threads import in_thread

log = structlog.get_logger(__name__)
AnyPart = Part | StreamedPart
PREFIX = "/api/v1/uploads"
UUID_PATH = re.compile(r"/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.IGNORECASE)
CHANGING = ("POST", "PATCH", "DELETE")


class UploadApp:
    """tus 1.0.0 with creation, creation-with-upload, expiration, termination and checksum, and GET for JSON."""

    collection_methods: ClassVar = ("OPTIONS", "GET", "POST")
    upload_methods: ClassVar = ("OPTIONS", "GET", "HEAD", "PATCH", "DELETE")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, secrets.token_hex(8))
        activate_language(scope)
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            try:
                await self._handle(exchange)
            except UserError as error:
                await exchange.refuse(error, _headers_of(error))
            except Exception:
                log.exception("upload request failed")
                message = _("kvmweb failed. The log of the web process has the details under %(id)s.")
                problem = {"code": "internal_error", "message": message % {"id": exchange.request_id}}
                await exchange.answer(500, data={**problem, "details": "", "field": None})

    async def _handle(self, exchange: Exchange) -> None:
        upload_id = _upload_id(exchange.scope)
        allowed = self.upload_methods if upload_id else self.collection_methods
        method = exchange.method
        if method not in allowed:
            raise MethodNotAllowed(_("This address answers %(methods)s only.") % {"methods": ", ".join(allowed)})
        if method == "OPTIONS":
            return await exchange.answer(204, _abilities())
        user = await authenticate(exchange)
        if method == "GET":
            query = QueryDict(exchange.scope.get("query_string", b""))
            found = in_thread(listing.one, user, upload_id) if upload_id else in_thread(listing.own, user, query)
            return await exchange.answer(200, data=await found)
        exchange.headers.check_version()
        if upload_id is None:
            return await self._create(exchange, user)
        upload = await in_thread(lifecycle.find, user, upload_id, "view" if method == "HEAD" else "create")
        if method == "HEAD":
            return await self._head(exchange, upload)
        if method == "DELETE":
            await in_thread(lifecycle.cancel, user, upload)
            return await exchange.answer(204)
        return await self._patch(exchange, upload)

    async def _create(self, exchange: Exchange, user: User) -> None:
        headers = exchange.headers
        metadata = headers.metadata()
        wanted = creation.Wanted(
            name=metadata.get("filename") or metadata.get("name", ""),
            size_bytes=headers.upload_length(),
            pool=metadata.get("pool", ""),
            sha256=metadata.get("sha256", ""),
            fingerprint=metadata.get("fingerprint", ""),
        )
        with_body = headers.get("content-type") == protocol.CONTENT_TYPE
        checksum = headers.checksum()
        upload = await in_thread(creation.create, user, wanted)
        answer = {"Location": f"{PREFIX}/{upload.pk}"}
        problem = None
        if with_body and upload.size_bytes:
            try:
                answer |= await self._receive(exchange, upload, 0, checksum)
            except UserError as error:
                problem = error
        if problem:  # the upload exists all the same: say where
            await exchange.refuse(problem, answer)
        else:
            await exchange.answer(201, answer)

    async def _head(self, exchange: Exchange, upload: Upload) -> None:
        part = await in_thread(lifecycle.open_part, upload)
        metadata = {"filename": upload.name, "pool": str(upload.pool_id)}
        if upload.sha256_expected:
            metadata["sha256"] = upload.sha256_expected
        answer = {
            "Upload-Length": str(upload.size_bytes),
            "Upload-Offset": str(upload.size_bytes),
            "Upload-Metadata": protocol.metadata_header(metadata),
        }
        if part:
            with part:
                answer |= _progress(part)
                with suppress(UserError):  # the row says what is in the way; how much arrived is true all the same
                    await in_thread(lifecycle.complete_if_whole, upload, part)
        await exchange.answer(200, answer)

    async def _patch(self, exchange: Exchange, upload: Upload) -> None:
        if exchange.headers.get("content-type") != protocol.CONTENT_TYPE:
            message = _("The body of a PATCH has the Content-Type %(type)s.")
            raise WrongContentType(message % {"type": protocol.CONTENT_TYPE})
        offset, checksum = exchange.headers.number("upload-offset"), exchange.headers.checksum()
        await exchange.answer(204, await self._receive(exchange, upload, offset, checksum))

    async def _receive(
        self, exchange: Exchange, upload: Upload, offset: int, checksum: protocol.Checksum | None
    ) -> dict[str, str]:
        """Take the body of the request into the part and return the headers that say how far it is now."""
        part = await in_thread(lifecycle.open_part, upload)
        length = exchange.headers.content_length
        if part is None:  # complete already: a retry whose first answer was lost
            _check_fits(upload, upload.size_bytes, offset, length)
            return {"Upload-Offset": str(upload.size_bytes)}
        try:
            if not await in_thread(part.try_lock):
                raise Locked(_("Another request is writing to this upload. Try again when it has ended."))
            _check_fits(upload, part.size, offset, length)
            await self._store(exchange, upload, part, offset, checksum)
            answer = _progress(part)
            await in_thread(lifecycle.touch, upload)
            if part.size == upload.size_bytes:
                await in_thread(lifecycle.complete, upload)
            return answer
        finally:
            await in_thread(part.close)

    async def _store(
        self, exchange: Exchange, upload: Upload, part: AnyPart, offset: int, checksum: protocol.Checksum | None
    ) -> None:
        try:
            whole = await store(exchange.receive, part, offset=offset, size=upload.size_bytes, checksum=checksum)
        except Overrun:
            await part.truncate(offset)  # a file that grew meanwhile is not the one that was announced
            raise _too_much(upload) from None
        except Discarded:
            raise Ended(_("The upload of %(name)s was cancelled.") % {"name": upload.name}) from None
        except OSError as error:
            _raise_from(error, upload)
        if checksum and not (whole and checksum.matches()):
            await part.truncate(offset)  # what cannot be checked is not kept
            if whole:
                message = _("What arrived of %(name)s is not what was sent: the checksum differs. Send it again.")
                raise ChecksumMismatch(message % {"name": upload.name})
        if not whole:
            message = _("The upload stopped after %(size)d bytes: the connection broke off. Go on from there.")
            raise Stalled(message % {"size": part.size})


def _upload_id(scope: MutableMapping[str, Any]) -> UUID | None:
    """The upload in the path, None for the collection. Raises NotFound for anything else."""
    rest = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))).removeprefix(PREFIX)
    if rest in ("", "/"):
        return None
    if match := UUID_PATH.fullmatch(rest):
        return UUID(match[1])
    raise NotFound(_("There is no such upload, or it is not yours."))


def _abilities() -> dict[str, str]:
    return {
        "Tus-Version": protocol.VERSION,
        "Tus-Extension": protocol.EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(protocol.CHECKSUM_ALGORITHMS),
        "Tus-Max-Size": str(protocol.MAX_SIZE_BYTES),
    }


def _progress(part: AnyPart) -> dict[str, str]:
    return {"Upload-Offset": str(part.size), "Upload-Expires": http_date(lifecycle.expires_at(part).timestamp())}


def _check_fits(upload: Upload, size: int, offset: int, length: int | None) -> None:
    """Raise WrongOffset or TooMuch for a body that does not go on where the file ends, or ends behind its end."""
    if offset != size:
        message = _("%(size)d bytes of %(name)s have arrived: go on from there, not from %(offset)d.")
        raise WrongOffset(message % {"size": size, "name": upload.name, "offset": offset})
    if length is not None and offset + length > upload.size_bytes:
        raise _too_much(upload)


def _too_much(upload: Upload) -> TooMuch:
    message = _("%(name)s was announced with %(size)d bytes and more came. If the file changed, start again.")
    return TooMuch(message % {"name": upload.name, "size": upload.size_bytes})


def _raise_from(error: OSError, upload: Upload) -> NoReturn:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise no_space(upload.name, upload.pool.name, details=error.strerror or "") from error
    message = _("%(name)s could not be written to pool %(pool)s. The details say what the system answered.")
    words = {"name": upload.name, "pool": upload.pool.name}
    raise StorageFailed(message % words, details=error.strerror or "") from error


def _headers_of(error: UserError) -> dict[str, str]:
    if error.status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": 'Bearer realm="kvmweb"'}
    if error.status == HTTPStatus.PRECONDITION_FAILED:
        return {"Tus-Version": protocol.VERSION}
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        return {"Connection": "close"}
    return {}
