"""Why a console ends: WebSocket close codes that the page turns into sentences.

4000 to 4999 are an application's own. https://www.rfc-editor.org/rfc/rfc6455#section-7.4.2
"""

from dataclasses import dataclass
from enum import IntEnum

from virt import errors

REASON_BYTES = 123  # what a WebSocket close frame has room for beside the code


class Code(IntEnum):
    """Close codes. The last two digits of a 44xx code follow HTTP where there is a likeness."""

    PROTOCOL = 4400  # the client does not speak RFB as a view-only console needs it
    LOGGED_OUT = 4401  # the session or token that asked for the ticket is gone
    NOT_ALLOWED = 4403  # the right to this console was taken away
    NO_GUEST = 4404  # the guest is not on its host any more
    NOT_RUNNING = 4409  # there is nothing to connect to: the guest is off
    DISPLAY_CLOSED = 4410  # the guest closed its end: it stopped, or somebody else took the serial port
    NO_DISPLAY = 4415  # the guest has no VNC display, or no serial port
    OUT_OF_REACH = 4416  # the display listens for its host alone, which is not connected over SSH
    FAILED = 4500
    HOST_UNREACHABLE = 4503
    HOST_TIMEOUT = 4504


@dataclass(frozen=True)
class Closing:
    """How a console ended. `reason` is the sentence behind the code, for the page's "Details"."""

    code: Code
    reason: str = ""

    @property
    def short_reason(self) -> str:
        """`reason`, cut to what fits in a close frame."""
        return self.reason.encode()[:REASON_BYTES].decode(errors="ignore")


_BY_ERROR: tuple[tuple[type[errors.VirtError], Code], ...] = (
    (errors.GuestNotFound, Code.NO_GUEST),
    (errors.WrongState, Code.NOT_RUNNING),
    (errors.DisplayOutOfReach, Code.OUT_OF_REACH),
    (errors.NotSupported, Code.NO_DISPLAY),
    (errors.HostUnreachable, Code.HOST_UNREACHABLE),
    (errors.HostTimeout, Code.HOST_TIMEOUT),
)


def closing_of(error: errors.UserError) -> Closing:
    """What the page is told when the display could not be opened."""
    code = next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Code.FAILED)
    return Closing(code, error.message)
