"""API tokens: `Authorization: Bearer kvmweb_…` turns into a user whose rights are narrowed by the token's scope."""

import hmac
from datetime import timedelta

from django.utils import timezone

from .models import ApiToken, User

USED_GRANULARITY = timedelta(minutes=1)  # "last used" need not be a write per request


def authenticate(raw: str) -> User | None:
    """The active user of a token, with `user.token` set, or None when it is unknown, expired or its user disabled."""
    parts = raw.split("_", 2)
    if len(parts) != 3 or parts[0] != "kvmweb":
        return None
    token = ApiToken.objects.select_related("user").filter(prefix=parts[1]).first()
    if token is None or not hmac.compare_digest(token.sha256, ApiToken.digest(raw)):
        return None
    if token.is_expired or not token.user.is_active:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_GRANULARITY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    token.user.token = token
    return token.user
