"""Views that belong to no room: the API's documentation, metrics, and the error pages."""

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template import loader
from django.urls import reverse
from django.views.decorators.http import require_GET
from ninja.openapi.docs import Swagger
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from accounts import tokens
from accounts.permissions import may

from .api import api
from .metrics import registry


@require_GET
def api_docs(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document, browsable, from local files only."""
    settings = Swagger.default_settings | {"url": reverse("api:openapi-json")}
    # Not Swagger.render_page: where ninja is no application it would send the browser to a CDN.
    context = {"api": api, "add_csrf": True, "swagger_settings": json.dumps(settings)}
    return render(request, Swagger.template, context)


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format, for whoever may view everything: by session or by `Authorization: Bearer <token>`."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    user = tokens.authenticate(secret.strip()) if scheme.lower() == "bearer" else request.user
    if user is None or not may(user, "view"):
        message = "Metrics are for users who may view everything. Send “Authorization: Bearer <token>”.\n"
        return HttpResponse(message, status=401, content_type="text/plain; charset=utf-8")
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if request.path.startswith("/api/"):
        message = "Nothing here that you can see. It may be gone, or not yours."
        return JsonResponse({"code": "not_found", "message": message, "details": "", "field": None}, status=404)
    return render(request, "404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "403.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        message = "Something in kvmweb went wrong. The log of the web process has the details."
        return JsonResponse({"code": "internal_error", "message": message, "details": "", "field": None}, status=500)
    return HttpResponse(loader.render_to_string("500.html"), status=500)
