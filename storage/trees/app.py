"""The web server of install trees: a raw ASGI application beside Django, with ranges and constant memory.

Guests have no account: who may read is decided by the address that they ask from. Nobody else learns that there is a
tree. What is on a disc is a stranger's, so a browser that opens a file of it runs nothing (`sandbox`).
"""

import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

import structlog
from django.utils.http import http_date

from storage.uploads.threads import in_thread, start_writing
from virt.iso_tree import Node

from . import pages
from .source import Published, open_published

log = structlog.get_logger(__name__)
PREFIX = "/tree"
CHUNK = 512 * 1024
_PATH = re.compile(r"/([0-9]{1,18})(\.ipxe|\.iso|/.*)?", re.DOTALL)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_COMMON = {
    "Accept-Ranges": "bytes",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-cache",
}
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class TreeApp:
    """GET and HEAD of /tree/<iso>/<path>, of the image itself at /tree/<iso>.iso, and of /tree/<iso>.ipxe: a script
    that boots the installer over the network."""

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            return await _answer(scope, send, 405, {"Allow": "GET, HEAD"})
        rest = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))).removeprefix(PREFIX)
        match = _PATH.fullmatch(rest)
        if match is None:
            return await _not_found(scope, send)
        client = (scope.get("client") or ("",))[0]
        published = await in_thread(open_published, int(match[1]), str(client))
        if published is None:
            return await _not_found(scope, send)
        try:
            await _serve(scope, send, published, int(match[1]), match[2] or "")
        finally:
            published.close()


async def _serve(scope: Scope, send: Send, published: Published, iso_id: int, rest: str) -> None:
    if rest == ".ipxe":
        return await _script(scope, send, published, iso_id)
    if rest == ".iso":  # live systems load the image itself
        return await _file(scope, send, published, published.image)
    if not rest:
        return await _moved(scope, send, f"{PREFIX}/{iso_id}/")
    parts = rest[1:].split("/")
    is_folder = parts[-1] == ""
    parts = parts[:-1] if is_folder else parts
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        return await _not_found(scope, send)
    node = await start_writing(lambda: published.files.find("/".join(parts)))
    if node is None or (is_folder and not node.is_dir):
        return await _not_found(scope, send)
    if not node.is_dir:
        return await _file(scope, send, published, node)
    if not is_folder:
        return await _moved(scope, send, quote(f"{PREFIX}/{iso_id}/{'/'.join(parts)}/"))
    entries = await start_writing(lambda: published.files.entries(node))
    body = pages.index("/" + "/".join(parts), entries, is_root=not parts)
    return await _answer(scope, send, 200, {"Content-Type": "text/html; charset=utf-8"}, body)


async def _script(scope: Scope, send: Send, published: Published, iso_id: int) -> None:
    if not published.facts.kernel:
        return await _not_found(scope, send)
    body = pages.ipxe(f"{_base(scope)}{PREFIX}/{iso_id}", published.facts)
    return await _answer(scope, send, 200, {"Content-Type": "text/plain; charset=utf-8"}, body)


async def _file(scope: Scope, send: Send, published: Published, node: Node) -> None:
    headers = _headers(scope)
    first = node.extents[0][0] if node.extents else 0
    etag = f'"{published.mark}-{first:x}-{node.size:x}"'
    about = {"ETag": etag, "Content-Type": pages.content_type(node.name)}
    if node.modified:
        about["Last-Modified"] = http_date(node.modified)
    if etag in [mark.strip() for mark in headers.get("if-none-match", "").split(",")]:
        return await _answer(scope, send, 304, about)
    start, length, status = 0, node.size, 200
    wanted = headers.get("range", "")
    if wanted and headers.get("if-range", etag) in (etag, about.get("Last-Modified")):
        found = _range(wanted, node.size)
        if found == "outside":
            return await _answer(scope, send, 416, {**about, "Content-Range": f"bytes */{node.size}"})
        if isinstance(found, tuple):
            (start, length), status = found, 206
            about["Content-Range"] = f"bytes {start}-{start + length - 1}/{node.size}"
    await _start(send, status, {**about, "Content-Length": str(length)})
    if scope["method"] == "GET":
        await _body(send, published.fd, node, start, length)
    return await send({"type": "http.response.body", "body": b""})


async def _body(send: Send, fd: int, node: Node, start: int, length: int) -> None:
    for offset, taken in node.places(start, length):
        for at in range(offset, offset + taken, CHUNK):
            wanted = min(CHUNK, offset + taken - at)
            chunk = await start_writing(lambda at=at, wanted=wanted: os.pread(fd, wanted, at))  # type: ignore[misc]
            if len(chunk) < wanted:
                log.warning("an image became shorter while it was read", name=node.name)
                raise ConnectionAbortedError  # the server closes: the client must not take it for the whole file
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _range(wanted: str, size: int) -> tuple[int, int] | str:
    """Start and length of a single range; "outside", or "" for what is not understood and so is not heeded."""
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or not (match[1] or match[2]):
        return ""
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size - 1
    else:
        start, end = int(match[1]), min(int(match[2] or size), size - 1)
        if match[2] and int(match[2]) < start:
            return ""
    return (start, end - start + 1) if start < size and end >= start else "outside"


async def _moved(scope: Scope, send: Send, path: str) -> None:
    await _answer(scope, send, 301, {"Location": path})


async def _not_found(scope: Scope, send: Send) -> None:
    await _answer(scope, send, 404, {"Content-Type": "text/plain; charset=utf-8"}, b"Not found\n")


async def _answer(scope: Scope, send: Send, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    if status != 304:
        headers = {**headers, "Content-Length": str(len(body))}
    await _start(send, status, headers)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (_COMMON | headers).items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _base(scope: Scope) -> str:
    """The server as the guest named it; what is no name of a host is not repeated."""
    host = _headers(scope).get("host", "")
    if not re.fullmatch(r"[A-Za-z0-9.\-:\[\]]{1,255}", host):
        server = scope.get("server") or ("localhost", 80)
        host = f"{server[0]}:{server[1]}"
    return f"{scope.get('scheme', 'http')}://{host}"
