"""What every REST router shares: authentication, the one shape of errors, paging."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from ninja import Field, Schema
from ninja.errors import AuthenticationError
from ninja.pagination import LimitOffsetPagination
from ninja.params.models import ParamModel
from ninja.security import HttpBearer, SessionAuth

from . import tokens
from .context import current
from .models import User

# Compiled when first used: all of them at the start take 12 MiB of a web process that may never need them.
# https://docs.pydantic.dev/latest/api/config/#pydantic.config.ConfigDict.defer_build
Schema.model_config["defer_build"] = True
ParamModel.model_config["defer_build"] = True


class Problem(Schema):
    """What failed, why, and what to do."""

    code: str = Field(description="Stable and short, for programs: volume_in_use, not_found …")
    message: str = Field(description="One or two sentences for a person.")
    details: str = Field("", description="The words of libvirt or of the validator, where there are any.")
    field: str | None = Field(None, description="The input that was wrong, if it was one.")


# The statuses that any operation may answer with a Problem.
ERRORS = frozenset({400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 501, 502, 503, 504, 507})


class TokenAuth(HttpBearer):
    """`Authorization: Bearer kvmweb_…`."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        user = tokens.authenticate(token)
        if user is None:
            return None
        request.user = user
        name = user.token.name if user.token else ""
        current.set(replace(current.get(), via=f"token {name}"))
        return user


class PageAuth(SessionAuth):
    """The session of somebody who is logged in; changes want the CSRF token too."""

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        return request.user if isinstance(request.user, User) and request.user.is_active else None


AUTH: Sequence[Any] = [TokenAuth(), PageAuth()]


class Pages(LimitOffsetPagination):
    """How lists are paged unless they say otherwise (settings.NINJA_PAGINATION_CLASS)."""

    class Input(LimitOffsetPagination.Input):
        offset: int = Field(0, ge=0, le=2**62)  # databases count to 2**63 - 1


def actor(request: HttpRequest) -> User:
    """The user who asks; the routers are mounted behind AUTH, so there is one."""
    if not isinstance(request.user, User):
        raise AuthenticationError
    return request.user
