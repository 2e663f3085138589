"""The audit log: every change leaves a row."""

from typing import TYPE_CHECKING

from .context import current
from .models import AuditEntry, User

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser


def record(
    user: "User | AnonymousUser | None",
    action: str,
    result: str = AuditEntry.Result.SUCCEEDED,
    *,
    kind: str = "",
    object_id: object = "",
    name: str = "",
    job_id: int | None = None,
    detail: str = "",
) -> AuditEntry:
    """Add a row: `user` did `action` to the object `kind` `object_id` `name`, from where the request in hand came."""
    context = current.get()
    known = user if isinstance(user, User) else None
    actor = known.username if known else "kvmweb"
    if known and known.token:
        actor = f"{known.username} (token {known.token.name})"
    return AuditEntry.objects.create(
        user=known,
        actor=actor[:200],
        action=action,
        object_kind=kind,
        object_id=str(object_id),
        object_name=name[:255],
        remote_address=context.remote_address,
        request_id=context.request_id,
        job_id=job_id,
        result=result,
        detail=detail,
    )
