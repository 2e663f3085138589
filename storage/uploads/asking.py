"""Who asks, and in which language, where a request does not pass through Django."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _

from accounts import context, tokens
from accounts.models import User
from accounts.origin import is_own_origin

from . import protocol
from .errors import ForeignOrigin, NotAuthenticated
from .http import Exchange
from .threads import in_thread

CHANGING = ("POST", "PATCH", "DELETE")


def activate_language(scope: MutableMapping[str, Any]) -> None:
    """Sentences in the language of the user; each request runs in a context of its own, so nothing has to be undone."""
    request = HttpRequest()
    request.COOKIES = scope.get("cookies", {})
    request.META["HTTP_ACCEPT_LANGUAGE"] = protocol.Headers(scope["headers"]).get("accept-language")
    translation.activate(translation.get_language_from_request(request))


async def authenticate(exchange: Exchange) -> User:
    """Who asks: by token, or by session when the request cannot come from another site's page."""
    headers = exchange.headers
    if not is_own_origin(headers.get("origin"), headers.get("host")):
        raise ForeignOrigin(_("A page of another site asked for this, so nothing was done."))
    client = exchange.scope.get("client") or ("", 0)
    about = context.RequestContext(request_id=exchange.request_id, remote_address=str(client[0]), via="session")
    scheme, _space, raw_token = headers.get("authorization").partition(" ")
    user: User | None
    if scheme:
        user = await in_thread(tokens.authenticate, raw_token.strip()) if scheme.lower() == "bearer" else None
        about = replace(about, via=f"token {user.token.name}" if user and user.token else "")
    else:
        user = exchange.scope.get("user")
        if isinstance(user, User) and exchange.method in CHANGING:
            headers.check_version()  # a header that no form of another site can send
    context.current.set(about)
    if not isinstance(user, User) or not user.is_active:
        raise NotAuthenticated(_("Log in, or send “Authorization: Bearer <token>” with a token that is valid."))
    return user
