"""From an attempt that came to its end to the row of a host."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from hosts.inventory import columns_of
from hosts.models import Host, HostTag
from jobs.live import publish
from virt.types import HostFacts

from .address import Address, Scope
from .models import LOGIN_FIELDS, Attempt, Credentials

LONGEST_TAG = 64


def save_host(attempt: Attempt, facts: HostFacts, *, by: User | None) -> Host:
    """Add the host of an attempt, or give the host that it is for its new address and login.

    A host that was removed and is the same machine comes back with its history.
    """
    with transaction.atomic():
        host = attempt.host or _removed(attempt, facts)
        is_new = host is None
        fields: dict[str, Any] = {"uri": attempt.uri, "removed_at": None, "error": "", "error_details": ""}
        fields |= columns_of(facts)
        if host is None or host.state != Host.State.DISABLED or host.removed_at:
            fields |= {"state": Host.State.CONNECTING, "state_since": timezone.now()}
        if host is None:
            host = Host.objects.create(name=free_name(attempt.name or facts.hostname.partition(".")[0]), **fields)
        else:
            if attempt.host is None and attempt.name:
                fields["name"] = free_name(attempt.name, but=host)
            fields["check_requested_at"] = timezone.now()
            Host.objects.filter(pk=host.pk).update(**fields)
            host.refresh_from_db()
        login = {name: getattr(attempt, name) for name in LOGIN_FIELDS}
        Credentials.objects.update_or_create(host=host, defaults=login)
        if attempt.host is None:
            set_tags(host, attempt.tags)
        attempt.host = host
        for name in ("sealed_password", "sealed_tls_key"):  # they live with the host from here on
            setattr(attempt, name, "")
        attempt.save(update_fields=["host", "sealed_password", "sealed_tls_key"])
        action = "add_host" if is_new else "change_host"
        audit.record(by, action, kind="host", object_id=host.pk, name=host.name, detail=attempt.uri)
        publish("hosts", f"host-{host.pk}", "guests")
    return host


def set_tags(host: Host, names: list[str]) -> None:
    """Let the host have just these tags; a tag that no host has any more is forgotten."""
    host.tags.set([HostTag.objects.get_or_create(name=name)[0] for name in names])
    HostTag.objects.filter(hosts=None).delete()


def free_name(wanted: str, *, but: Host | None = None) -> str:
    """`wanted`, or with a number behind it where another host has that name."""
    taken = Host.objects.exclude(pk=but.pk) if but else Host.objects.all()
    base = wanted or "host"
    number, free = 1, base
    while taken.filter(name=free).exists():
        number += 1
        free = f"{base}-{number}"
    return free


def _removed(attempt: Attempt, facts: HostFacts) -> Host | None:
    """The row of the same machine that somebody removed. The address alone may be another machine's by now."""
    gone = Host.objects.exclude(removed_at=None).order_by("-removed_at")
    uuid = UUID(facts.uuid) if facts.uuid else None  # libvirt's test driver has none
    here: Host | None = gone.filter(uri=attempt.uri).first()
    if here is not None and here.uuid in (None, uuid):
        return here
    if here is not None:  # its address has to be free for the new one
        Host.objects.filter(pk=here.pk).update(uri=f"{here.uri}#removed-{here.pk}")
    if uuid is None or attempt.address.scope == Scope.SESSION:
        return None
    return next((row for row in gone.filter(uuid=uuid) if Address.parse(row.uri).scope == Scope.SYSTEM), None)
