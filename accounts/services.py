"""Changes of users, roles and tokens. Each is recorded in the audit log."""

from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from virt.errors import Invalid, UserError

from . import audit
from .models import ApiToken, Grant, User
from .permissions import forget_grants, require

LONGEST_TOKEN_DAYS = 3650


class LastAdministrator(UserError):
    """Without it nobody could administer kvmweb any more."""

    code, status = "last_administrator", 409


def create_user(*, by: User, username: str, password: str, role: str) -> User:
    """Add a user with a role on everything. Raises NotAllowed or Invalid (field "username", "password" or "role")."""
    require(by, "administer")
    user = User(username=username.strip())
    try:
        User._meta.get_field("username").clean(user.username, user)
        validate_password(password, user)
    except ValidationError as error:
        field = "password" if user.username else "username"
        raise Invalid(" ".join(error.messages), field=field) from error
    _check_role(role)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
            Grant.objects.create(user=user, role=role)
            audit.record(by, "create_user", kind="user", object_id=user.pk, name=user.username, detail=role)
    except IntegrityError as error:
        raise Invalid(_("There is a user %(name)s already.") % {"name": user.username}, field="username") from error
    return user


def set_role(user: User, role: str, *, by: User) -> None:
    """Give `user` a role on everything. Raises NotAllowed, Invalid or LastAdministrator."""
    require(by, "administer")
    _check_role(role)
    with transaction.atomic():
        Grant.objects.update_or_create(user=user, scope_kind=Grant.Scope.ALL, scope_id=0, defaults={"role": role})
        if role != Grant.Role.ADMINISTRATOR and user.is_superuser:
            User.objects.filter(pk=user.pk).update(is_superuser=False)
        forget_grants(user)
        _keep_an_administrator()
        audit.record(by, "set_role", kind="user", object_id=user.pk, name=user.username, detail=role)


def set_active(user: User, active: bool, *, by: User) -> None:
    """Let a user log in, or no longer. Raises NotAllowed or LastAdministrator."""
    require(by, "administer")
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=active)
        _keep_an_administrator()
        action = "enable_user" if active else "disable_user"
        audit.record(by, action, kind="user", object_id=user.pk, name=user.username)


def issue_token(*, by: User, name: str, scope: str, days: int | None = None) -> tuple[ApiToken, str]:
    """A token of `by`'s own and its secret, to be shown once. `days` until it expires; None: never.

    Raises Invalid (field "name", "scope" or "days") and NotAllowed when the request itself came with a narrower token.
    """
    name = name.strip()
    if not name or len(name) > 100:
        raise Invalid(_("Give the token a name of 1 to 100 characters, to know it by later."), field="name")
    if scope not in ApiToken.Scope.values:
        scopes = ", ".join(ApiToken.Scope.values)
        raise Invalid(_("The scope must be one of: %(scopes)s.") % {"scopes": scopes}, field="scope")
    if days is not None and not 1 <= days <= LONGEST_TOKEN_DAYS:
        raise Invalid(_("A token lives 1 to %(days)d days.") % {"days": LONGEST_TOKEN_DAYS}, field="days")
    if by.token and list(ApiToken.Scope.values).index(scope) > list(ApiToken.Scope.values).index(by.token.scope):
        raise Invalid(_("A token cannot make another one that may do more than itself."), field="scope")
    token, secret = ApiToken.issue(by, name, scope, timedelta(days=days) if days else None)
    audit.record(by, "create_token", kind="token", object_id=token.pk, name=token.name, detail=scope)
    return token, secret


def revoke_token(token: ApiToken, *, by: User) -> None:
    """Make a token worthless at once."""
    audit.record(by, "revoke_token", kind="token", object_id=token.pk, name=token.name)
    token.delete()


def _check_role(role: str) -> None:
    if role not in Grant.Role.values:
        roles = ", ".join(Grant.Role.values)
        raise Invalid(_("The role must be one of: %(roles)s.") % {"roles": roles}, field="role")


def _keep_an_administrator() -> None:
    active = User.objects.filter(is_active=True)
    granted = Grant.objects.filter(role=Grant.Role.ADMINISTRATOR, scope_kind=Grant.Scope.ALL, user__in=active)
    if not active.filter(is_superuser=True).exists() and not granted.exists():
        raise LastAdministrator(_("This is the last administrator. Make another user administrator first."))
