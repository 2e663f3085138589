"""Whether a browser's request comes from our own pages. Cookies do not tell: any site can open a WebSocket to us."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings


def is_own_origin(origin: str | None, host: str | None) -> bool:
    """True when `origin` (of the header Origin) is this very site, or one in KVMWEB_TRUSTED_ORIGINS.

    Programs send no Origin, and no cookies of a browser either: None is fine.
    """
    if not origin:
        return True
    return origin in settings.CSRF_TRUSTED_ORIGINS or (bool(host) and urlsplit(origin).netloc == host)


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """A header of an ASGI scope, by its lower-case name."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


class OwnOriginOnly:
    """ASGI middleware for WebSockets: another site's page is refused before the handshake."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = scope["headers"]
        if is_own_origin(header(headers, b"origin"), header(headers, b"host")):
            await self.application(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4403})  # before accept: the browser sees 403
