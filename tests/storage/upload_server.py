"""What uvicorn serves in the upload tests: the upload application behind Django's sessions."""

import os

import django

django.setup()

from channels.auth import AuthMiddlewareStack  # noqa: E402

from storage.uploads import body  # noqa: E402
from storage.uploads.app import UploadApp  # noqa: E402

body.IDLE_TIMEOUT_S = float(os.environ.get("UPLOAD_TEST_IDLE_S", body.IDLE_TIMEOUT_S))
application = AuthMiddlewareStack(UploadApp())
