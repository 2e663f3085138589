"""Django settings. What a person may set comes from the environment and is listed in docs/operations.md."""

from importlib.util import find_spec
from pathlib import Path

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from .env import Env

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(env.str("KVMWEB_VAR", default=str(BASE_DIR / "var")))

# --- who may talk to us -------------------------------------------------------------------------------------------
BIND = env.str("KVMWEB_BIND", default="127.0.0.1")
PORT = env.int("KVMWEB_PORT", default=8000)
SECRET_KEY = env.secret("KVMWEB_SECRET_KEY", default_file=VAR / "secret-key")
DEBUG = env.bool("KVMWEB_DEBUG", default=False)
ALLOWED_HOSTS = env.list(
    "KVMWEB_ALLOWED_HOSTS", default=["*"] if BIND not in ("127.0.0.1", "::1") else ["localhost", "127.0.0.1", "[::1]"]
)
CSRF_TRUSTED_ORIGINS = env.list("KVMWEB_TRUSTED_ORIGINS", default=[])
HTTPS = env.bool("KVMWEB_HTTPS", default=False)  # true behind a proxy that speaks TLS to browsers
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "kvmweb_session", "kvmweb_csrf"
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"

# --- the hosts and directories that we manage ---------------------------------------------------------------------
LIBVIRT_URI = env.str("KVMWEB_LIBVIRT_URI", default="qemu:///system")  # the local host; empty: add none by itself
LIBVIRT_TIMEOUT_S = env.int(
    "KVMWEB_LIBVIRT_TIMEOUT_S", default=10
)  # to connect, and for one call; jobs may take longer
ISO_DIR = env.str("KVMWEB_ISO_DIR", default="/data_kvm/iso")
STORE_DIR = env.str("KVMWEB_STORE_DIR", default="/data_kvm/store")
FETCH_NETWORKS = env.list("KVMWEB_FETCH_NETWORKS", default=[])  # private ones from which images may be fetched
HELPER_SOCKET = env.str("KVMWEB_HELPER_SOCKET", default="")  # empty: this process handles part files itself
GATEWAY_URL = env.str("KVMWEB_GATEWAY_URL", default="")  # the console gateway as browsers reach it; empty: none
GATEWAY_PORT = env.int("KVMWEB_GATEWAY_PORT", default=6080)

# ninja is no application here: for its files alone every process would import it, and pydantic with it (25 MiB each).
NINJA = Path(find_spec("ninja").origin).parent  # type: ignore[union-attr, arg-type]

# --- applications -------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "kvmweb",
    "servestatic.runserver_nostatic",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "accounts",
    "jobs",
    "hosts",
    "networking",
    "storage",
    "guests",
    "consoles",
    "inventory",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "channels",
    "csp",
    "django_celery_beat",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.RequestContextMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "kvmweb.htmx.HtmxRedirectMiddleware",
    "accounts.middleware.LoginRequiredMiddleware",
    "accounts.middleware.UserErrorMiddleware",
]
ROOT_URLCONF = "kvmweb.urls"
ASGI_APPLICATION = "kvmweb.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates", NINJA / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n", "django.templatetags.static"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "kvmweb.context.frame",
            ],
        },
    }
]

# --- data ---------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR / 'kvmweb.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE and WAL: writers queue instead of failing with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    CONN_MAX_AGE = 0
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.str("REDIS_URL", default=f"unix://{VAR / 'run' / 'redis.sock'}")


def _redis(db: int, *, for_kombu: bool = False) -> str:
    """REDIS_URL for database `db`; kombu spells a unix socket in its own way."""
    if not REDIS_URL.startswith("unix://"):
        return f"{REDIS_URL.rstrip('/')}/{db}"
    if for_kombu:
        return f"redis+socket://{REDIS_URL.removeprefix('unix://')}?virtual_host={db}"
    return f"{REDIS_URL}?db={db}"


CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": _redis(1)},
    # Of this process: parts of pages whose key says all that they depend on.
    "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "local"},
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [_redis(2)], "capacity": 1000, "expiry": 30},
    }
}
TICKETS_URL = _redis(3)  # console tickets, leases
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# --- jobs ---------------------------------------------------------------------------------------------------------
BULK_PER_HOST = max(1, env.int("KVMWEB_BULK_PER_HOST", default=4))  # guests of one bulk job at a time on each host
CELERY_BROKER_URL = _redis(0, for_kombu=True)
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 7 * 24 * 3600}  # else a long job is delivered twice
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True  # the Job row is the result
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # Redis away for a minute is no reason to stop
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "kvmweb"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    "recover-jobs": {"task": "jobs.tasks.recover", "schedule": 15.0, "options": {"expires": 15}},
    "examine-hosts": {"task": "hosts.checks.examine_old", "schedule": 120.0, "options": {"expires": 120}},
    "keep-images-in-step": {
        "task": "storage.copies.tasks.keep_in_step",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "keep-images-current": {"task": "storage.current.tasks.look", "schedule": 900.0, "options": {"expires": 900}},
    "sweep-uploads": {"task": "storage.tasks.sweep", "schedule": 900.0, "options": {"expires": 900}},
    "measure-usage": {"task": "guests.usage.tasks.measure_usage", "schedule": 1800.0, "options": {"expires": 1800}},
    "sweep-history": {"task": "guests.usage.tasks.sweep_history", "schedule": 86400.0, "options": {"expires": 3600}},
}

# --- users --------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_ADAPTER = "accounts.adapter.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

# --- pages --------------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = env.str("KVMWEB_STATIC_ROOT", default=str(VAR / "static"))
STATICFILES_DIRS = [BASE_DIR / "static", NINJA / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "kvmweb.staticfiles.ManifestStorage"},
}
SERVESTATIC_MIMETYPES = {".mjs": "text/javascript"}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF, *([GATEWAY_URL] if GATEWAY_URL else [])],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [SELF],
    }
}
LANGUAGE_CODE = env.str("KVMWEB_LANGUAGE", default="en")
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "kvmweb" / "locale"]
TIME_ZONE = env.str("TZ", default="UTC")
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440  # forms only: ISO files never come through a Django request body
NINJA_PAGINATION_CLASS = "accounts.rest.Pages"
NINJA_PAGINATION_PER_PAGE = 50
NINJA_PAGINATION_MAX_LIMIT = 1000

from .logs import LOGGING  # noqa: E402, F401
