"""What uvicorn serves in the upload tests: kvmweb as it is, and the static files without collecting them first."""

import os
from typing import Any

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

from kvmweb.asgi import application as kvmweb
from storage.uploads import body

body.IDLE_TIMEOUT_S = float(os.environ.get("UPLOAD_TEST_IDLE_S", body.IDLE_TIMEOUT_S))
with_static_files = ASGIStaticFilesHandler(kvmweb)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    is_static = scope["type"] == "http" and scope["path"].startswith("/static/")
    await (with_static_files if is_static else kvmweb)(scope, receive, send)
