"""REST of users, tokens and the audit log."""

from datetime import datetime

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status
from ninja.pagination import paginate

from . import services
from .models import ApiToken, AuditEntry, User
from .permissions import require
from .rest import ERRORS, Problem, actor

users_router = Router(tags=["users"])
tokens_router = Router(tags=["tokens"])
audit_router = Router(tags=["audit"])


class UserOut(Schema):
    id: int
    username: str
    is_active: bool
    role: str = Field(description="viewer, operator, administrator; empty where rights are on single objects only")
    last_login: datetime | None


class UserIn(Schema):
    username: str
    password: str
    role: str = "operator"


class UserPatch(Schema):
    role: str | None = None
    is_active: bool | None = None


class TokenIn(Schema):
    name: str
    scope: str = "operate"
    days: int | None = None


class TokenOut(Schema):
    id: int
    name: str
    prefix: str
    scope: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class TokenSecretOut(TokenOut):
    secret: str = Field(description="Shown this once; kvmweb keeps only its hash.")


class AuditOut(Schema):
    id: int
    at: datetime
    actor: str
    action: str
    object_kind: str
    object_id: str
    object_name: str
    remote_address: str
    request_id: str
    job_id: int | None
    result: str
    detail: str


@users_router.get("", response={200: list[UserOut]})
@paginate
def list_users(request: HttpRequest) -> QuerySet[User]:
    """All users. For administrators."""
    require(actor(request), "administer")
    return User.objects.prefetch_related("grants")


@users_router.get("/me", response={200: UserOut})
def get_me(request: HttpRequest) -> User:
    """Who the token or the session is."""
    return actor(request)


@users_router.post("", response={201: UserOut, ERRORS: Problem})
def create_user(request: HttpRequest, body: UserIn) -> Status[User]:
    """Add a user."""
    return Status(201, services.create_user(by=actor(request), **body.dict()))


@users_router.patch("/{int:user_id}", response={200: UserOut, ERRORS: Problem})
def change_user(request: HttpRequest, user_id: int, body: UserPatch) -> User:
    """Change a user's role, or whether they may log in."""
    require(actor(request), "administer")
    user = get_object_or_404(User, pk=user_id)
    if body.role is not None:
        services.set_role(user, body.role, by=actor(request))
    if body.is_active is not None:
        services.set_active(user, body.is_active, by=actor(request))
    return User.objects.get(pk=user_id)


@tokens_router.get("", response={200: list[TokenOut]})
@paginate
def list_tokens(request: HttpRequest) -> QuerySet[ApiToken]:
    """Your own tokens, without their secrets."""
    return actor(request).tokens.all()


@tokens_router.post("", response={201: TokenSecretOut, ERRORS: Problem})
def create_token(request: HttpRequest, body: TokenIn) -> Status[dict[str, object]]:
    """Make a token. Its secret is in this answer and nowhere else."""
    token, secret = services.issue_token(by=actor(request), **body.dict())
    return Status(201, {**TokenOut.from_orm(token).dict(), "secret": secret})


@tokens_router.delete("/{int:token_id}", response={204: None, ERRORS: Problem})
def revoke_token(request: HttpRequest, token_id: int) -> Status[None]:
    """Make one of your tokens worthless."""
    services.revoke_token(get_object_or_404(actor(request).tokens, pk=token_id), by=actor(request))
    return Status(204, None)


@audit_router.get("", response={200: list[AuditOut]})
@paginate
def list_audit(
    request: HttpRequest, search: str = "", object_kind: str = "", object_id: str = ""
) -> QuerySet[AuditEntry]:
    """Who did what, newest first. For administrators."""
    require(actor(request), "administer")
    entries = AuditEntry.objects.all()
    if search:
        entries = entries.filter(object_name__icontains=search) | entries.filter(actor__icontains=search)
    if object_kind:
        entries = entries.filter(object_kind=object_kind)
    if object_id:
        entries = entries.filter(object_id=object_id)
    return entries
