"""What is known about the request in hand, wherever the code is: id, address, token."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """`remote_address` as text; `via` says how the user came: "session", "token <name>", "command" or "job".

    `grants` remembers the grants that were read, as (role, kind of scope) by user; None where nothing is remembered, as
    in what lives longer than a request.
    """

    request_id: str = ""
    remote_address: str = ""
    via: str = "command"
    grants: dict[int, set[tuple[str, str]]] | None = None


NO_REQUEST = RequestContext()
current: ContextVar[RequestContext] = ContextVar("request_context", default=NO_REQUEST)
