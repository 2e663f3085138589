"""Settings for tests that run in one process: no Redis, an own var directory. Whole stacks are tests/stack.py's."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("KVMWEB_SECRET_KEY", "only for tests")
_var = Path(os.environ.setdefault("KVMWEB_VAR", tempfile.mkdtemp(prefix="kvmweb-tests-")))

from kvmweb.settings import *  # noqa: E402, F403

CACHES = {**CACHES, "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}  # noqa: F405
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
CELERY_BROKER_URL = "memory://"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
ALLOWED_HOSTS = ["*"]
ACCOUNT_RATE_LIMITS = {}
if "init_command" in DATABASES["default"].get("OPTIONS", {}):  # noqa: F405
    # A file: pages that a browser asks for at once would find the tables of a database in memory locked.
    DATABASES["default"]["TEST"] = {"NAME": str(_var / "tests.sqlite3")}  # noqa: F405
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"  # noqa: F405
