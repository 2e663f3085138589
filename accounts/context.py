"""What is known about the request in hand, wherever the code is: id, address, token."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """`remote_address` as text; `via` says how the user came: "session", "token <name>", "command" or "job"."""

    request_id: str = ""
    remote_address: str = ""
    via: str = "command"


NO_REQUEST = RequestContext()
current: ContextVar[RequestContext] = ContextVar("request_context", default=NO_REQUEST)
