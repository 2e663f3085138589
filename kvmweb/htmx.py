"""Redirects for htmx: a view answers with `redirect(...)` whoever asked; a fragment's request moves the whole page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

__all__ = ["HtmxRedirectMiddleware"]


class HtmxRedirectMiddleware:
    """Turns a redirect that answers an htmx request into 204 with HX-Redirect.

    Without it the browser would follow the redirect below htmx, and htmx would put a whole page into a fragment.
    https://htmx.org/headers/hx-redirect/
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not request.headers.get("HX-Request") or not isinstance(response, HttpResponseRedirect):
            return response
        moved = HttpResponse(status=204, headers={"HX-Redirect": response.url})
        moved.cookies = response.cookies
        return moved
