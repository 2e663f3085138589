"""ASGI: Django, and beside it what must not pass through Django: uploads, trees, the live socket, consoles."""

import os
from typing import Any, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvmweb.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()  # sets Django up; what follows imports models

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path, re_path

from accounts.origin import OwnOriginOnly
from consoles.sockets import console_socket
from jobs.consumers import LiveConsumer
from storage.downloads.app import PATH as DOWNLOAD
from storage.downloads.app import DownloadApp
from storage.trees.app import TreeApp
from storage.uploads.app import UploadApp

upload_application = AuthMiddlewareStack(UploadApp())
tree_application = TreeApp()
download_application = AuthMiddlewareStack(DownloadApp())


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Uploads go round Django, which would spool a whole body to disk before any view sees it; so do downloads."""
    path_ = scope["path"]
    if path_ == UPLOADS or path_.startswith(UPLOADS + "/"):
        await upload_application(scope, receive, send)
    elif DOWNLOAD.fullmatch(path_):
        await download_application(scope, receive, send)
    else:
        await django_application(scope, receive, send)


async def nowhere(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A WebSocket to an address that we do not have is refused before the handshake."""
    await send({"type": "websocket.close", "code": 4404})


UPLOADS = "/api/v1/uploads"
websocket: Any = URLRouter(
    [
        path("ws/live/", LiveConsumer.as_asgi()),
        re_path(r"^ws/console/(?P<ticket>[A-Za-z0-9_-]{20,100})/$", cast(Any, console_socket)),
        re_path(r"", cast(Any, nowhere)),
    ]
)
application = ProtocolTypeRouter({"http": http, "websocket": OwnOriginOnly(AuthMiddlewareStack(websocket))})
