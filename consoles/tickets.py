"""Tickets: the right to open one console, once, within half a minute.

A ticket stands in the address of a console's WebSocket, and such addresses end up in logs. So it is random, lives for
LIFETIME_S and is taken out of Redis by the first who shows it: the second finds nothing.
"""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from functools import cache
from typing import Literal

from django.conf import settings
from redis import Redis

LIFETIME_S = 30
PREFIX = "ticket:"

Kind = Literal["vnc", "serial"]


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """Who may open which console, and from where they asked.

    `session` is the digest of a browser's session key, "" where an API token asked.
    """

    user_id: int
    remote_address: str
    session: str
    token_id: int | None
    guest_id: int
    host_uri: str
    domain_uuid: str
    kind: Kind
    view_only: bool


def issue(ticket: Ticket) -> str:
    """Keep `ticket` for LIFETIME_S and return its secret: 256 random bits, safe in a URL.

    Raises redis.exceptions.RedisError.
    """
    secret = secrets.token_urlsafe(32)
    _redis().set(PREFIX + secret, json.dumps(asdict(ticket)), ex=LIFETIME_S)
    return secret


def redeem(secret: str) -> Ticket | None:
    """The ticket of `secret`, for the first who asks; None for everybody else and when it is too old.

    Raises redis.exceptions.RedisError. https://redis.io/docs/latest/commands/getdel/
    """
    found = _redis().getdel(PREFIX + secret)
    return Ticket(**json.loads(found)) if found else None


def digest_of_session(session_key: str | None) -> str:
    """What a ticket remembers of a session: enough to know it again, not enough to use it."""
    return hashlib.sha256(session_key.encode()).hexdigest() if session_key else ""


@cache
def _redis() -> Redis:
    """One client per process; its pool notices a fork by itself."""
    return Redis.from_url(settings.TICKETS_URL, socket_timeout=5, socket_connect_timeout=5)
