"""GET and HEAD of a volume's bytes: with ranges, so that a browser or curl goes on where it broke off, and in constant
memory: one piece is on its way while the reader takes the last. A raw ASGI application inside `AuthMiddlewareStack`.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

import structlog
from django.utils.translation import gettext as _

from storage.uploads.asking import activate_language, authenticate
from storage.uploads.body import Receive
from storage.uploads.errors import MethodNotAllowed
from storage.uploads.http import Exchange, Send
from storage.uploads.threads import in_thread
from virt.errors import UserError

from . import source
from .ranges import Unsatisfiable, wanted
from .source import Source

T = TypeVar("T")
log = structlog.get_logger(__name__)
PATH = re.compile(r"/api/v1/volumes/([0-9]{1,18})/content")
READER_TIMEOUT_S = 300.0  # a browser that takes nothing for so long is gone
_threads = ThreadPoolExecutor(16, "download")


class DownloadApp:
    """Answers for PATH."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, secrets.token_hex(8))
        activate_language(scope)
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            try:
                await self._handle(exchange, send)
            except UserError as error:
                await exchange.refuse(error)

    async def _handle(self, exchange: Exchange, send: Send) -> None:
        if exchange.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(_("Only %(methods)s mean something here.") % {"methods": "GET, HEAD"})
        user = await authenticate(exchange)
        match = PATH.fullmatch(str(exchange.scope["path"]).removeprefix(str(exchange.scope.get("root_path", ""))))
        found = await in_thread(source.find, user, int(match[1]) if match else 0)
        opened = await in_thread(Source.open, found)
        try:
            asked = exchange.headers.get("range")
            if exchange.headers.get("if-range") not in ("", opened.version):
                asked = ""  # the file is another one by now: from its beginning
            headers = _headers(found.name, opened.version)
            try:
                part = wanted(asked, opened.size) if exchange.method == "GET" else None
            except Unsatisfiable:
                return await exchange.answer(416, {**headers, "Content-Range": f"bytes */{opened.size}"})
            start, end = part or (0, opened.size)
            if part:
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{opened.size}"
            await _start(exchange, send, 206 if part else 200, {**headers, "Content-Length": str(end - start)})
            if exchange.method == "GET":
                if not start:
                    await in_thread(source.note, user, found)
                opened.begin(start, end)
                await _send_all(exchange, send, opened, end - start)
        finally:
            await _in_thread(opened.close)


async def _send_all(exchange: Exchange, send: Send, opened: Source, length: int) -> None:
    """Piece by piece until the end, or until the reader is gone, of which only `receive` tells."""
    if not length:
        return await send({"type": "http.response.body", "body": b""})
    gone = asyncio.ensure_future(_disconnect(exchange))
    try:
        while length and not gone.done():
            piece = (await _in_thread(opened.next))[:length]
            if not piece:  # the file got shorter: the reader sees that bytes are missing
                log.warning("volume ended early", missing=length)
                raise ConnectionAbortedError
            length -= len(piece)
            body = {"type": "http.response.body", "body": piece, "more_body": bool(length)}
            async with asyncio.timeout(READER_TIMEOUT_S):
                await send(body)
    except UserError as error:  # the status is sent already: all that is left is to break off
        log.warning("download broke off", error=str(error), details=error.details)
        raise ConnectionAbortedError from error
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _disconnect(exchange: Exchange) -> None:
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


async def _start(exchange: Exchange, send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    raw.append((b"x-request-id", exchange.request_id.encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    if exchange.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})


def _headers(name: str, version: str) -> dict[str, str]:
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "ETag": version,
    }


async def _in_thread(function: Callable[[], T]) -> T:
    """Work with libvirt, which blocks; apart from the threads of the database."""
    return await asyncio.get_running_loop().run_in_executor(_threads, function)
