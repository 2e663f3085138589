"""Who gets a ticket, whom it lets in, and how long they may stay: for pages, REST, the web's socket and the gateway."""

from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from accounts import audit
from accounts.context import RequestContext, current
from accounts.models import ApiToken, AuditEntry, User
from guests.models import Guest
from hosts.reaching.address import Address, Transport
from virt.domain_summary import parse_domain
from virt.errors import UserError
from virt.graphics import listens_for_its_host_alone

from . import tickets
from .closing import Closing, Code, closing_of
from .tickets import Kind, Ticket

log = structlog.get_logger(__name__)
Result = AuditEntry.Result


class NoConsole(UserError):
    """The guest has nothing that could be shown."""

    code, status = "no_console", 409


class OutOfReach(UserError):
    """The guest has a display, but only its own host reaches it."""

    code, status = "display_out_of_reach", 409


class TicketsUnavailable(UserError):
    """Redis, which keeps the tickets, does not answer."""

    code, status = "tickets_unavailable", 503


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """A ticket with the doors that take it. `gateway_url` is None where the site runs no gateway."""

    ticket: str
    url: str
    gateway_url: str | None
    expires_in_s: int = tickets.LIFETIME_S


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A ticket that was shown: by whom and from where."""

    ticket: Ticket
    user: User | None
    guest_name: str
    session_key: str | None
    remote_address: str


def issue_ticket(
    guest: Guest, *, by: User, session_key: str | None, kind: Kind = "vnc", view_only: bool = False
) -> Entrance:
    """A ticket for the console of `guest`, on which `by` may "console": the caller's queryset has seen to that.

    A ticket that a browser asks for (`session_key`) lets in only that session; one for an API token stands alone.
    The guest may be off: it can be on when the ticket is shown. Raises NoConsole, OutOfReach or TicketsUnavailable.
    """
    _require_something_to_show(guest, kind)
    ticket = Ticket(
        user_id=by.pk,
        remote_address=current.get().remote_address,
        session="" if by.token else tickets.digest_of_session(session_key),
        token_id=by.token.pk if by.token else None,
        guest_id=guest.pk,
        host_uri=guest.host.uri,
        domain_uuid=str(guest.uuid),
        kind=kind,
        view_only=view_only,
    )
    try:
        secret = tickets.issue(ticket)
    except RedisError as error:
        log.error("console tickets cannot be kept", error=str(error))
        raise TicketsUnavailable(
            _("The console cannot be opened: Redis, which keeps the tickets, does not answer. Start it and try again."),
            details=str(error),
        ) from error
    gateway_url = f"{settings.GATEWAY_URL}?{urlencode({'token': secret})}" if settings.GATEWAY_URL else None
    return Entrance(ticket=secret, url=f"/ws/console/{secret}/", gateway_url=gateway_url)


def _require_something_to_show(guest: Guest, kind: Kind) -> None:
    if guest.is_missing:
        raise NoConsole(_("%(name)s is not on its host any more, so there is no console.") % {"name": guest.name})
    if not guest.xml:  # not looked at yet: the host knows better
        return
    if kind == "vnc" and guest.graphics != "vnc":
        raise NoConsole(_("%(name)s has no VNC display. Add one, or use its serial port.") % {"name": guest.name})
    if kind == "serial" and not guest.has_serial:
        raise NoConsole(_("%(name)s has no serial port. Add one, or use its screen.") % {"name": guest.name})
    if kind == "vnc" and not guest.needs_restart:  # what runs may listen elsewhere than what is defined
        _require_way_to_screen(guest)


def _require_way_to_screen(guest: Guest) -> None:
    transport = Address.parse(guest.host.uri).transport
    if transport not in (Transport.TLS, Transport.TCP):
        return
    display = next((one for one in parse_domain(guest.xml).graphics if one.type == "vnc"), None)
    if display is not None and listens_for_its_host_alone(display):
        raise OutOfReach(
            _(
                "The display of %(name)s listens for its own host alone, and %(host)s is connected over %(transport)s, "
                "which carries no displays. Connect %(host)s over SSH, or use the serial port."
            )
            % {"name": guest.name, "host": guest.host.name, "transport": transport.label}
        )


def admit(secret: str, *, session_key: str | None, remote_address: str | None = None) -> Visit | None:
    """Spend a ticket. None when it is unknown, spent, too old, of another session, or its holder lost the right.

    `remote_address` is for the audit log; None stands for that of whoever asked for the ticket, where a door may see
    only a proxy.
    A ticket that existed leaves an audit row either way; guesses leave none, or anybody could fill the log.
    """
    try:
        ticket = tickets.redeem(secret)
    except RedisError as error:
        log.error("console tickets cannot be read", error=str(error))
        return None
    if ticket is None:
        return None
    holder = _holder(ticket, session_key)
    guest = Guest.objects.filter(pk=ticket.guest_id).only("name").first()
    visit = Visit(
        ticket=ticket,
        user=holder or User.objects.filter(pk=ticket.user_id).first(),
        guest_name=guest.name if guest else "",
        session_key=session_key,
        remote_address=ticket.remote_address if remote_address is None else remote_address,
    )
    if closing := _objection(holder, ticket):
        _record(visit, "open_console", Result.REFUSED, closing.reason)
        return None
    return visit


def verdict(ticket: Ticket, session_key: str | None) -> Closing | None:
    """Why the holder of `ticket` may not look at the console (any more), or None when all is well. Asks anew."""
    return _objection(_holder(ticket, session_key), ticket)


def _objection(holder: User | None, ticket: Ticket) -> Closing | None:
    if holder is None:
        return Closing(Code.LOGGED_OUT, "The session or token that asked for this console is not valid, or another's.")
    if not Guest.objects.permitted(holder, "console").filter(pk=ticket.guest_id).exists():
        return Closing(Code.NOT_ALLOWED, "The right to open this console was taken away.")
    return None


def _holder(ticket: Ticket, session_key: str | None) -> User | None:
    if ticket.token_id is not None:
        token = ApiToken.objects.select_related("user").filter(pk=ticket.token_id, user_id=ticket.user_id).first()
        if token is None or token.is_expired:
            return None
        token.user.token = token
        return token.user
    if not session_key or tickets.digest_of_session(session_key) != ticket.session:
        return None
    user = user_of_session(session_key)
    return user if user is not None and user.pk == ticket.user_id else None


def user_of_session(session_key: str) -> User | None:
    """Who is logged in with this session, asked anew: a password change or a logout ends it."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = auth.get_user(request)
    return user if isinstance(user, User) and user.is_active else None


def opened(visit: Visit) -> None:
    """Note in the audit log that the console is open."""
    _record(visit, "open_console", Result.SUCCEEDED, _manner(visit.ticket))


def not_opened(visit: Visit, error: UserError) -> Closing:
    """Note in the log and the audit log that the display could not be reached, and return what the page is told."""
    closing = closing_of(error)
    log.info("console not opened", guest=visit.guest_name, error=str(error), details=error.details)
    _record(visit, "open_console", Result.FAILED, f"{_manner(visit.ticket)}: {closing.reason}")
    return closing


def closed(visit: Visit, *, seconds: float, sent_bytes: int, received_bytes: int, closing: Closing | None) -> None:
    """Note in the audit log that a console was left: `sent_bytes` went to the viewer, `received_bytes` came back."""
    why = closing.code.name.lower() if closing else "left"
    traffic = f"{sent_bytes} bytes sent, {received_bytes} bytes received"
    _record(visit, "close_console", Result.SUCCEEDED, f"{_manner(visit.ticket)}, {seconds:.1f} s, {traffic}, {why}")


def _manner(ticket: Ticket) -> str:
    return f"{ticket.kind}, view only" if ticket.view_only else ticket.kind


def _record(visit: Visit, action: str, result: str, detail: str) -> None:
    marker = current.set(RequestContext(remote_address=visit.remote_address, via="console"))
    guest_id, name = visit.ticket.guest_id, visit.guest_name
    try:
        audit.record(visit.user, action, result, kind="guest", object_id=guest_id, name=name, detail=detail)
    finally:
        current.reset(marker)
