"""Who may do what: the one choke point that pages, REST, WebSockets and consoles all ask.

A role allows actions; a grant gives a user a role on everything, on one host or on one guest. A permission is a filter
on a queryset, so that "not yours" and "not there" look the same.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar, Self

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _

from virt.errors import UserError

from .context import current

if TYPE_CHECKING:
    from .models import User

ACTIONS = ("view", "operate", "console", "configure", "create", "delete", "administer")
ROLE_ACTIONS: dict[str, frozenset[str]] = {
    "viewer": frozenset({"view"}),
    "operator": frozenset({"view", "operate", "console", "configure", "create", "delete"}),
    "administrator": frozenset(ACTIONS),
}
SCOPE_ACTIONS: dict[str, frozenset[str]] = {
    "read": ROLE_ACTIONS["viewer"],
    "operate": ROLE_ACTIONS["operator"],
    "administer": ROLE_ACTIONS["administrator"],
}


class NotAllowed(UserError):
    """The user may know of the thing, but not do this with it."""

    code, status = "not_allowed", 403


def roles_allowing(action: str) -> list[str]:
    """The roles that may do `action`. Raises ValueError for an action that nobody listed: closed by default."""
    if action not in ACTIONS:
        raise ValueError(f"{action!r} is not one of the actions {', '.join(ACTIONS)}")
    return [role for role, actions in ROLE_ACTIONS.items() if action in actions]


def token_allows(user: "User | AnonymousUser", action: str) -> bool:
    """False when `user` came with an API token whose scope does not reach to `action`."""
    token = getattr(user, "token", None)
    return token is None or action in SCOPE_ACTIONS[token.scope]


class PermittedQuerySet(models.QuerySet):  # type: ignore[type-arg]
    """A queryset that can be narrowed to what a user may act on.

    `scope_paths` says by which field a grant of a scope reaches this model, e.g. {"host": "host_id", "guest": "pk"}.
    """

    scope_paths: ClassVar[dict[str, str]] = {}

    def permitted(self, user: "User | AnonymousUser", action: str) -> Self:
        """The objects on which `user` may do `action`; raises ValueError for an unknown action."""
        from .models import Grant, User

        roles = roles_allowing(action)
        if not isinstance(user, User) or not user.is_active or not token_allows(user, action):
            return self.none()
        if user.is_superuser:
            return self
        scopes = scopes_of(user, roles)
        if Grant.Scope.ALL in scopes:
            return self
        grants = Grant.objects.filter(user_id=user.pk, role__in=roles)
        reach = Q(pk__in=[])
        for kind, path in self.scope_paths.items():
            if kind in scopes:
                reach |= Q(**{f"{path}__in": grants.filter(scope_kind=kind).values("scope_id")})
        return self.filter(reach)


def may(user: "User | AnonymousUser", action: str) -> bool:
    """Whether `user` may do `action` everywhere, i.e. also where there is no object yet."""
    from .models import User

    roles = roles_allowing(action)
    if not isinstance(user, User) or not user.is_active or not token_allows(user, action):
        return False
    return user.is_superuser or "all" in scopes_of(user, roles)


def scopes_of(user: "User", roles: Collection[str]) -> set[str]:
    """The kinds of scope ("all", "host", "guest") on which `user` has one of `roles`; asked for once in a request."""
    from .models import Grant

    remembered = current.get().grants
    if remembered is None or user.pk not in remembered:
        held = set(Grant.objects.filter(user_id=user.pk).values_list("role", "scope_kind").distinct())
        if remembered is None:
            return {kind for role, kind in held if role in roles}
        remembered[user.pk] = held
    return {kind for role, kind in remembered[user.pk] if role in roles}


def forget_grants(user: "User") -> None:
    """Have the grants of `user` read again in this request: they changed."""
    remembered = current.get().grants
    if remembered is not None:
        remembered.pop(user.pk, None)


def require(user: "User | AnonymousUser", action: str) -> None:
    """Raise NotAllowed unless `may(user, action)`."""
    if not may(user, action):
        raise NotAllowed(
            _("You may not do this. It needs a role that allows “%(action)s” on all hosts.") % {"action": action}
        )
