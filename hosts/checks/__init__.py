"""What is well and what is not with a host: found, what it means, what to do, and what kvmweb can do there.

All is made from rows (of the host, its report, its pools and networks), in the reader's language; nothing is asked of a
host. What the rows rest on is read by the watcher and by the job "examine_host".
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from hosts.hardware.models import HostDevice, HostReport
from hosts.models import Host

from . import contact, faults, features, helpers, memory, processor, room, system
from .check import VERDICTS, Check, Command, PoolRow, Readings, Seen
from .features import Feature

Maker = Callable[[Seen], Check | list[Check]]
_ALWAYS: list[Maker] = [contact.contact, contact.kvm]
_WITH_FACTS: list[Maker] = [contact.versions, contact.pools, contact.network, faults.known_faults]
_WITH_DETAILS: list[Maker] = [memory.hugepages]
_WITH_READINGS: list[Maker] = [
    processor.virtualisation,
    processor.kvm_device,
    processor.nested,
    processor.iommu,
    processor.cgroups,
    processor.device_files,
    memory.swap,
    memory.merging,
    room.free_space,
    room.reach,
    system.clock,
    system.names,
    system.firewall,
    system.protection,
    system.services,
    system.updates,
    helpers.programs,
]
_WITHOUT_READINGS: list[Maker] = [room.free_space, processor.iommu, helpers.no_readings]

__all__ = [
    "Check",
    "Command",
    "Feature",
    "PoolRow",
    "Readings",
    "Seen",
    "as_text",
    "counted",
    "features_of",
    "of",
    "seen",
]


def seen(host: Host, *, pools: Sequence[PoolRow], networks: Sequence[str], report: HostReport | None = None) -> Seen:
    """What the checks of a host rest on. `networks` are the names of its active virtual networks."""
    return Seen(
        host=host,
        details=report.details if report else {},
        readings=Readings(report.readings if report else {}),
        pools=pools,
        networks=networks,
        why_no_readings=report.readings_error if report else "",
    )


def of(given: Seen) -> list[Check]:
    """All checks of a host, failed ones first."""
    makers = list(_ALWAYS)
    if given.facts:
        makers += _WITH_FACTS
    if given.details:
        makers += _WITH_DETAILS
    if given.facts:
        makers += _WITH_READINGS if given.readings else _WITHOUT_READINGS
    found: list[Check] = []
    for make in makers:
        made = make(given)
        found += made if isinstance(made, list) else [made]
    return sorted(found, key=lambda check: VERDICTS.index(check.verdict))


def features_of(given: Seen, found: Sequence[Check]) -> list[Feature]:
    """The compatibility sheet of a host; `found` are its checks."""
    if given.details:
        given = replace(given, details={**given.details, **_devices(given.host)})
    return features.sheet(given, found)


def as_text(host: Host, found: Sequence[Check]) -> str:
    """All checks for a support thread."""
    lines = [f"{host.name} ({host.uri})"]
    for check in found:
        lines.append(f"[{check.verdict}] {check.title}: {check.found}")
        lines += [
            f"    {line}" for line in (check.means, check.todo, *(command.text for command in check.commands)) if line
        ]
    return "\n".join(lines)


def counted(found: Sequence[Check]) -> dict[str, int]:
    """How many checks of each verdict there are."""
    counts = Counter(check.verdict for check in found)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def _devices(host: Host) -> dict[str, bool]:
    """Which devices it has that features need."""
    devices = HostDevice.objects.filter(host=host)
    cards = devices.filter(kind="pci")
    return {
        "has_usb": devices.filter(kind="usb").exists(),
        "has_sriov": cards.filter(details__virtual_functions_max__gt=0).exists(),
        "has_mediated": cards.exclude(details__mediated_types=[]).filter(details__has_key="mediated_types").exists(),
    }
