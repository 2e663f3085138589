"""Views that belong to no room: the API's documentation, metrics, and the error pages."""

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.shortcuts import render
from django.template import loader
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def api_docs(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document, browsable, from local files only."""
    return render(request, "api_docs.html")


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if request.path.startswith("/api/"):
        message = "Nothing here that you can see. It may be gone, or not yours."
        return JsonResponse({"code": "not_found", "message": message, "details": "", "field": None}, status=404)
    return render(request, "404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return HttpResponseForbidden(loader.render_to_string("403.html", request=request))


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        message = "Something in kvmweb went wrong. The log of the web process has the details."
        return JsonResponse({"code": "internal_error", "message": message, "details": "", "field": None}, status=500)
    return HttpResponse(loader.render_to_string("500.html"), status=500)
