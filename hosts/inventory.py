"""The rows of hosts, from what libvirt says. Called by the watcher and by jobs, never by a request."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from history import recent, store
from history.series import HOST
from jobs.live import publish
from virt import kvm_probe
from virt.connection import Connection
from virt.errors import HostUnreachable, UserError
from virt.host import host_facts
from virt.types import HostFacts, HostUsage, KvmProbe

from .models import Host
from .strain import Strain

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
VISIBLE_PERCENT = 1.0  # pages show whole percents: a smaller change is none


def columns_of(facts: HostFacts) -> dict[str, Any]:
    """The columns of a host that say what it is."""
    known = json.loads(json.dumps(asdict(facts)))  # as the column will give it back: lists, not tuples
    uuid = UUID(facts.uuid) if facts.uuid else None  # libvirt's test driver has none
    return {"facts": known, "uuid": uuid, "cpus": facts.cpus, "memory_mib": facts.memory_mib}


def refresh_facts(host: Host, conn: Connection) -> bool:
    """Read what the host is. Returns whether that changed.

    Raises VirtError: HostUnreachable when another machine than before answers, whose guests are not this host's.
    """
    facts = host_facts(conn)
    fields = columns_of(facts)
    uuid = fields["uuid"]
    # Where there is no SMBIOS, libvirt makes up another UUID at each of its starts: the host's name decides then.
    if host.uuid and uuid and host.uuid != uuid and host.facts.get("hostname") != facts.hostname:
        raise HostUnreachable(
            _(
                "Another machine answers at the address of %(host)s: its UUID is %(uuid)s. "
                "Try the connection of the host to go on with that machine."
            )
            % {"host": host.name, "uuid": uuid}
        )
    if all(getattr(host, name) == value for name, value in fields.items()):
        return False
    _write(host, **fields)
    publish(f"host-{host.pk}", "hosts")
    return True


def record_usage(host: Host, usage: HostUsage, strain: Strain | None = None) -> None:
    """Keep a sample of load and memory. Pages hear of it only when a number that they show moved.

    `strain` is None where nobody can read it.
    """
    before = (host.cpu_percent, host.memory_used_mib)
    now = timezone.now()
    some = strain.some if strain else {}
    _write(
        host,
        cpu_percent=usage.cpu_percent,
        cpu_recent=recent.with_sample(bytes(host.cpu_recent), usage.cpu_percent, now, host.sampled_at),
        memory_used_mib=usage.memory_used_mib,
        load=strain.load if strain else None,
        pressure_cpu_percent=some.get("cpu"),
        pressure_memory_percent=some.get("memory"),
        pressure_io_percent=some.get("io"),
        sampled_at=now,
        seen_at=now,
    )
    store.record(HOST, {host.pk: _history(usage, strain)}, now.timestamp())
    total_mib = max(1, usage.memory_total_mib)
    shares = [(value * 100 / total_mib if value is not None else None) for value in (before[1], usage.memory_used_mib)]
    if _moved(before[0], usage.cpu_percent) or _moved(*shares):
        publish(f"host-{host.pk}", "hosts")


def _history(usage: HostUsage, strain: Strain | None) -> tuple[float | None, ...]:
    """In the order of history.series.HOST."""
    some, full = (strain.some, strain.full) if strain else ({}, {})
    return (
        usage.cpu_percent,
        usage.iowait_percent,
        usage.memory_used_mib * 2**20,
        strain.load if strain else None,
        some.get("cpu"),
        some.get("memory"),
        some.get("io"),
        full.get("memory"),
        full.get("io"),
    )


def record_seen(host: Host) -> None:
    """Note that its rows were just compared with libvirt."""
    _write(host, seen_at=timezone.now())


def record_state(host: Host, state: Host.State, error: UserError | None = None) -> bool:
    """Note what the way to the host is like. A host that somebody disabled stays so. Returns whether it changed."""
    sentence, details = (str(error), error.details) if error else ("", "")
    rows = Host.objects.filter(pk=host.pk).exclude(state=Host.State.DISABLED)
    # The time counts from the first failure on, however its words change.
    changed = rows.exclude(state=state).update(
        state=state, state_since=timezone.now(), error=sentence, error_details=details
    )
    if not changed:
        changed = rows.exclude(error=sentence, error_details=details).update(error=sentence, error_details=details)
    if changed:
        host.refresh_from_db(fields=["state", "state_since", "error", "error_details"])
        publish(f"host-{host.pk}", "hosts", "guests")  # lists of guests grey those whose host is silent
    return bool(changed)


def boot_of(host: Host) -> str:
    """Which boot of the machine this is, or "" where that cannot be known: only the local kernel tells us."""
    try:
        return BOOT_ID.read_text().strip() if host.is_local else ""
    except OSError:
        return ""


def needs_probe(host: Host) -> bool:
    """Whether nobody has tried yet if a guest boots with KVM, since the host last started where that is known."""
    boot = boot_of(host)
    return host.kvm_probed_at is None or (boot != "" and boot != host.kvm_probed_boot)


def probe_kvm(host: Host, conn: Connection) -> KvmProbe:
    """Boot something tiny with KVM and keep the verdict. Takes some seconds where it fails. Raises VirtError."""
    probe = kvm_probe.probe_kvm(conn)
    before = (host.kvm_works, host.kvm_reason)
    _write(
        host,
        kvm_works=probe.accelerated,
        kvm_reason=probe.reason,
        kvm_probed_at=timezone.now(),
        kvm_probed_boot=boot_of(host),
    )
    if before != (probe.accelerated, probe.reason):
        publish(f"host-{host.pk}", "hosts")
    return probe


def _moved(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(now - before) >= VISIBLE_PERCENT


def _write(host: Host, **fields: object) -> None:
    """Only these columns: others of the row may have been changed meanwhile by a request."""
    Host.objects.filter(pk=host.pk).update(**fields)
    for name, value in fields.items():
        setattr(host, name, value)
