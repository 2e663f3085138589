"""What uvicorn serves in the upload tests: the upload application behind Django's sessions, as kvmweb/asgi.py mounts it."""

import django

django.setup()

from channels.auth import AuthMiddlewareStack  # noqa: E402

from storage.uploads.app import UploadApp  # noqa: E402

application = AuthMiddlewareStack(UploadApp())
