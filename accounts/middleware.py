"""Middleware: the request's context, login for every page, and errors whose text the user reads."""

import secrets
from collections.abc import Callable

import structlog
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse

from virt.errors import UserError

from .context import RequestContext, current

__all__ = ["LoginRequiredMiddleware", "RequestContextMiddleware", "UserErrorMiddleware"]
GetResponse = Callable[[HttpRequest], HttpResponseBase]
OPEN_PREFIXES = ("/accounts/", "/healthz", "/readyz", "/metrics", "/api/", "/static/", "/i18n/")


class RequestContextMiddleware:
    """Gives the request an id and keeps who asks and from where at hand for the audit log and the log lines."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = secrets.token_hex(8)
        address = request.META.get("REMOTE_ADDR", "") or ""
        context = RequestContext(request_id=request_id, remote_address=address, via="session", grants={})
        marker = current.set(context)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.clear_contextvars()
            current.reset(marker)
        response["X-Request-ID"] = request_id
        return response


class LoginRequiredMiddleware:
    """Every page wants a login; what is open is listed in OPEN_PREFIXES and asks for itself."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated or request.path.startswith(OPEN_PREFIXES):
            return self.get_response(request)
        if request.headers.get("HX-Request"):  # a fragment cannot show a login form: send the whole page there
            return HttpResponse(status=401, headers={"HX-Redirect": f"{reverse(settings.LOGIN_URL)}"})
        return redirect_to_login(request.get_full_path())


class UserErrorMiddleware:
    """Turns a UserError that a page's view raised into its sentence with its status."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, UserError):
            return None
        template = "_error_fragment.html" if request.headers.get("HX-Request") else "error.html"
        return render(request, template, {"error": error, "status": error.status}, status=error.status)
