"""REST of consoles: a ticket to show to /ws/console/. Mounted under /guests."""

from typing import Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from guests.models import Guest

from . import services

router = Router(tags=["guests"])


class ConsoleIn(Schema):
    kind: Literal["vnc", "serial"] = Field("vnc", description="The screen, or the first serial port.")
    view_only: bool = Field(
        False, description="The server drops keys, pointer and clipboard on their way to the guest."
    )


DEFAULTS = ConsoleIn(kind="vnc", view_only=False)


class ConsoleOut(Schema):
    """A ticket opens one console, once, and is worth nothing a moment later."""

    ticket: str
    url: str = Field(description="Where to open a WebSocket (subprotocol “binary” or none) on this address and port.")
    gateway_url: str | None = Field(description="The same through the console gateway, where the site runs one.")
    expires_in_s: int


@router.post("/{int:guest_id}/console", response={201: ConsoleOut, ERRORS: Problem})
def open_console(request: HttpRequest, guest_id: int, body: ConsoleIn = DEFAULTS) -> Status[services.Entrance]:
    """Get a ticket for a guest's console. Through its WebSocket come RFB (VNC) or the bytes of the serial port."""
    user = actor(request)
    guest = get_object_or_404(Guest.objects.permitted(user, "console").select_related("host"), pk=guest_id)
    session_key = request.session.session_key
    kind, view_only = body.kind, body.view_only
    return Status(201, services.issue_ticket(guest, by=user, session_key=session_key, kind=kind, view_only=view_only))
