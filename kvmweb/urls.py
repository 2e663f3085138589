"""All addresses. Ids in them are row ids: they survive a rename and a move."""

from django.urls import include, path

from . import health, views
from .api import api

urlpatterns = [
    path("", include("inventory.urls")),
    path("", include("accounts.urls")),
    path("", include("kvmweb.finding.urls")),
    path("guests/", include("guests.urls")),
    path("usage/", include("guests.usage.urls")),
    path("consoles/", include("consoles.urls")),
    path("hosts/", include("hosts.urls")),
    path("hosts/", include("guests.host_care.urls")),
    path("", include("storage.urls")),
    path("", include("storage.secrets.urls")),
    path("", include("networking.urls")),
    path("jobs/", include("jobs.urls")),
    path("accounts/", include("allauth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", api.urls),
    path("api/docs", views.api_docs, name="api_docs"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
]
handler404 = "kvmweb.views.not_found"
handler403 = "kvmweb.views.forbidden"
handler500 = "kvmweb.views.server_error"
