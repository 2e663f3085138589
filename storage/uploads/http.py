"""A request and its answer, as far as uploads need them: ASGI has neither."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from virt.errors import UserError

from .body import Receive
from .protocol import VERSION, Headers

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
COMMON = {"Tus-Resumable": VERSION, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Exchange:
    """One request under way: its headers, where its body comes from, and how to answer."""

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, request_id: str) -> None:
        self.scope, self.receive, self._send = scope, receive, send
        self.headers = Headers(scope["headers"])
        self.request_id = request_id

    @property
    def method(self) -> str:
        """The method, or the one that X-HTTP-Method-Override names: some proxies let only GET and POST through."""
        method = str(self.scope["method"])
        return self.headers.get("x-http-method-override").upper() or method if method == "POST" else method

    async def answer(self, status: int, headers: dict[str, str] | None = None, data: object = None) -> None:
        """Send `data`, if there is any, as JSON."""
        body = b"" if data is None else json.dumps(data, ensure_ascii=False).encode()
        all_headers = {**COMMON, "X-Request-ID": self.request_id, **(headers or {})}
        if body:
            all_headers["Content-Type"] = "application/json; charset=utf-8"
        if status != 204:
            all_headers["Content-Length"] = str(len(body))
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in all_headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        await self._send({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})

    async def refuse(self, error: UserError, headers: dict[str, str] | None = None) -> None:
        """Answer with what went wrong, in the shape that all of REST uses."""
        problem = {"code": error.code, "message": str(error), "details": error.details, "field": error.field}
        await self.answer(error.status, headers, problem)
