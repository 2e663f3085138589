"""The REST surface: every room's router under /api/v1/, and one shape for everything that goes wrong."""

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import AuthenticationError, AuthorizationError, HttpError, ValidationError

from accounts.api import audit_router, tokens_router, users_router
from accounts.rest import AUTH
from consoles.api import router as consoles_router
from guests.api import router as guests_router
from guests.definitions.api import router as definitions_router
from guests.host_care.api import router as host_care_router
from guests.lists_api import arranging_router, folders_router, tags_router, views_router
from guests.strays.api import router as strays_router
from guests.usage.api import router as usage_router
from hosts.api import router as hosts_router
from jobs.api import router as jobs_router
from networking.api import bridges_router, networks_router
from storage.api import isos_router, pools_router, volumes_router
from storage.copies.api import router as copies_router
from storage.current.api import router as current_router
from storage.fetching.api import router as fetching_router
from storage.importing.api import router as importing_router
from storage.secrets.api import router as secrets_router
from storage.secrets.api import volume_router as passphrases_router
from storage.signers.api import router as signers_router
from storage.trees.api import router as trees_router
from storage.uploads.api import router as known_router
from virt.errors import UserError

from . import __version__
from .finding.api import router as search_router
from .openapi import DocumentedAPI

api = DocumentedAPI(
    title="kvmweb",
    version=__version__,
    description=(
        "Everything that a page can do. What changes a host answers 202 with a job; "
        "follow it at /api/v1/jobs/{id}?wait=30."
    ),
    urls_namespace="api",
    docs_url=None,
    auth=AUTH,
)
api.add_router("/hosts", hosts_router)
api.add_router("/hosts", host_care_router)
api.add_router("/hosts", strays_router)
api.add_router("/pools", pools_router)
api.add_router("/volumes", volumes_router)
api.add_router("/volumes", passphrases_router)
api.add_router("/secrets", secrets_router)
api.add_router("/isos", fetching_router)
api.add_router("/isos", signers_router)
api.add_router("/isos", isos_router)
api.add_router("/isos", trees_router)
api.add_router("/isos", copies_router)
api.add_router("/isos", current_router)
api.add_router("/isos", importing_router)
api.add_router("/isos", known_router)
api.add_router("/networks", networks_router)
api.add_router("/bridges", bridges_router)
api.add_router("/guests", usage_router)
api.add_router("/guests", guests_router)
api.add_router("/guests", consoles_router)
api.add_router("/guests", arranging_router)
api.add_router("/tags", tags_router)
api.add_router("/folders", folders_router)
api.add_router("/guest-views", views_router)
api.add_router("/guests", definitions_router)
api.add_router("/jobs", jobs_router)
api.add_router("/search", search_router)
api.add_router("/users", users_router)
api.add_router("/tokens", tokens_router)
api.add_router("/audit", audit_router)


def _problem(
    request: HttpRequest, status: int, code: str, message: str, details: str = "", field: str | None = None
) -> HttpResponse:
    body = {"code": code, "message": message, "details": details, "field": field}
    return api.create_response(request, body, status=status)


@api.exception_handler(UserError)
def user_error(request: HttpRequest, error: UserError) -> HttpResponse:
    return _problem(request, error.status, error.code, str(error), error.details, error.field)


@api.exception_handler(Http404)
def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return _problem(request, 404, "not_found", "Nothing here that you can see. It may be gone, or not yours.")


@api.exception_handler(AuthenticationError)
def not_known(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    message = "Who are you? Send “Authorization: Bearer <token>” with a token that is valid, or log in."
    response = _problem(request, 401, "not_authenticated", message)
    response["WWW-Authenticate"] = 'Bearer realm="kvmweb"'
    return response


@api.exception_handler(AuthorizationError)
def not_allowed(request: HttpRequest, error: AuthorizationError) -> HttpResponse:
    return _problem(request, 403, "not_allowed", "You may not do this.")


@api.exception_handler(ValidationError)
def wrong_input(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first: dict[str, Any] = error.errors[0] if error.errors else {}
    place = [str(part) for part in first.get("loc", ()) if part not in ("body", "query", "path", "payload")]
    field = place[-1] if place else None
    message = (
        f"{field}: {first.get('msg', 'not valid')}." if field else f"{first.get('msg', 'The input is not valid')}."
    )
    details = "; ".join(f"{'.'.join(map(str, e.get('loc', ())))}: {e.get('msg')}" for e in error.errors)
    return _problem(request, 422, "invalid", message, details, field)


@api.exception_handler(DjangoValidationError)
def wrong_value(request: HttpRequest, error: DjangoValidationError) -> HttpResponse:
    return _problem(request, 422, "invalid", " ".join(error.messages))


@api.exception_handler(HttpError)
def http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return _problem(request, error.status_code, "bad_request", error.message)
