"""What can be done with a host. Whoever calls has asked `permitted` for the host already."""

import socket

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from jobs.live import publish
from jobs.models import Job, Ref
from virt.errors import Invalid, UserError

from . import tasks
from .models import Host

LONGEST_NAME = 255


class HostDisabled(UserError):
    """Somebody switched the host off in kvmweb; nothing is asked of it."""

    code, status = "host_disabled", 409


def register_local_host(uri: str) -> Host:
    """The row of the machine that kvmweb runs on, made at the first call and named by its host name."""
    known: Host | None = Host.objects.filter(uri=uri).first()
    if known:
        return known
    name = socket.gethostname().partition(".")[0] or "localhost"
    number, free = 1, name
    while Host.objects.filter(name=free).exists():
        number += 1
        free = f"{name}-{number}"
    with transaction.atomic():
        host = Host.objects.create(name=free, uri=uri)
        audit.record(None, "add_host", kind="host", object_id=host.pk, name=host.name, detail=uri)
        publish("hosts", f"host-{host.pk}")
    return host


def rename_host(host: Host, name: str, *, by: User) -> Host:
    """Give the host another name in kvmweb; the machine's own is not touched. Raises Invalid (field "name")."""
    wanted = " ".join(name.split())
    if not wanted or len(wanted) > LONGEST_NAME or not wanted.isprintable():
        raise Invalid(_("A host's name has 1 to %(most)d printable characters.") % {"most": LONGEST_NAME}, field="name")
    if wanted == host.name:
        return host
    before = host.name
    try:
        with transaction.atomic():
            Host.objects.filter(pk=host.pk).update(name=wanted)
            audit.record(by, "rename_host", kind="host", object_id=host.pk, name=wanted, detail=f"was {before}")
    except IntegrityError as error:
        raise Invalid(
            _("There is a host %(name)s already. Choose another name.") % {"name": wanted}, field="name"
        ) from error
    host.name = wanted
    publish("hosts", f"host-{host.pk}", "guests")
    return host


def set_enabled(host: Host, enabled: bool, *, by: User) -> Host:
    """Let the watcher look after the host, or no longer. Its guests go on; their rows stay as they were last seen.

    Raises HostDisabled for one that was removed.
    """
    if host.removed_at:
        raise HostDisabled(_("%(host)s was removed from kvmweb. Add it again first.") % {"host": host.name})
    state = Host.State.CONNECTING if enabled else Host.State.DISABLED
    rows = Host.objects.filter(pk=host.pk)
    rows = rows.filter(state=Host.State.DISABLED) if enabled else rows.exclude(state=Host.State.DISABLED)
    with transaction.atomic():
        if rows.update(state=state, state_since=timezone.now(), error="", error_details=""):
            action = "enable_host" if enabled else "disable_host"
            audit.record(by, action, kind="host", object_id=host.pk, name=host.name)
            publish("hosts", f"host-{host.pk}", "guests")
    host.refresh_from_db()
    return host


def check_again(host: Host, *, by: User) -> Host:
    """Have the watcher connect and compare everything now instead of at its next turn. Raises HostDisabled."""
    require_enabled(host)
    now = timezone.now()
    with transaction.atomic():
        Host.objects.filter(pk=host.pk).update(check_requested_at=now)
        Host.objects.filter(pk=host.pk, state=Host.State.UNREACHABLE).update(
            state=Host.State.CONNECTING, state_since=now
        )
        audit.record(by, "check_host", kind="host", object_id=host.pk, name=host.name)
        publish("hosts", f"host-{host.pk}")
    host.refresh_from_db()
    return host


def probe_kvm(host: Host, *, by: User | None) -> Job:
    """Find out again whether guests run accelerated on the host. Raises HostDisabled or Busy."""
    require_enabled(host)
    title = _("Try KVM on %(host)s") % {"host": host.name}
    return Job.start(
        tasks.probe_kvm, title=title, by=by, objects=[Ref("host", host.pk, host.name, exclusive=True)], host_id=host.pk
    )


def prepare_host(host: Host, *, by: User | None) -> Job:
    """Make the pools and the network that guests need, as far as they are missing. Raises HostDisabled or Busy."""
    require_enabled(host)
    with transaction.atomic():
        job = Job.start(
            tasks.prepare_host,
            title=_("Prepare %(host)s") % {"host": host.name},
            by=by,
            objects=[Ref("host", host.pk, host.name, exclusive=True)],
            host_id=host.pk,
        )
        host.prepared_at = timezone.now()
        Host.objects.filter(pk=host.pk).update(prepared_at=host.prepared_at)
    return job


def require_enabled(host: Host) -> None:
    """Raise HostDisabled when somebody switched the host off: no job is started on it."""
    if host.removed_at:
        raise HostDisabled(_("%(host)s was removed from kvmweb. Add it again first.") % {"host": host.name})
    if host.state == Host.State.DISABLED:
        raise HostDisabled(_("%(host)s is switched off in kvmweb. Enable it first.") % {"host": host.name})
