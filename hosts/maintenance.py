"""Hosts in maintenance: nothing new is placed on them, what is there goes on."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from jobs.live import publish
from virt.errors import Invalid, UserError

from .models import Host

LONGEST_REASON = 500


class HostInMaintenance(UserError):
    """Somebody works on the host: nothing new is placed on it."""

    code, status = "host_in_maintenance", 409


def require_open(host: Host) -> None:
    """Raise HostInMaintenance where nothing new may be placed on the host."""
    if not host.is_in_maintenance:
        return
    words = {"host": host.name, "reason": host.maintenance_reason, "name": host.maintenance_by}
    if host.maintenance_reason:
        sentence = _("%(host)s is in maintenance (%(reason)s): nothing new is placed on it. Choose another host.")
    else:
        sentence = _("%(host)s is in maintenance: nothing new is placed on it. Choose another host.")
    raise HostInMaintenance(sentence % words, field="host")


def enter(host: Host, *, by: User, reason: str = "") -> Host:
    """Place nothing new on the host from now on. In it already: the reason is changed. Raises Invalid ("reason")."""
    reason = " ".join(reason.split())
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Invalid(
            _("The reason has at most %(most)d printable characters.") % {"most": LONGEST_REASON}, field="reason"
        )
    since = host.maintenance_since or timezone.now()
    return _change(host, "enter_maintenance", by, reason, since=since, name=by.username)


def leave(host: Host, *, by: User) -> Host:
    """Take the host back into use. It is so already: nothing happens."""
    return _change(host, "leave_maintenance", by, "", since=None, name="") if host.is_in_maintenance else host


def _change(host: Host, action: str, by: User, reason: str, *, since: object, name: str) -> Host:
    with transaction.atomic():
        Host.objects.filter(pk=host.pk).update(maintenance_since=since, maintenance_reason=reason, maintenance_by=name)
        audit.record(by, action, kind="host", object_id=host.pk, name=host.name, detail=reason)
        publish("hosts", f"host-{host.pk}")
    host.refresh_from_db()
    return host
