"""What is well and what is not with a host, from its rows: found, what it means, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from django.conf import settings
from django.utils.translation import gettext as _

from .models import Host


class PoolRow(Protocol):
    """What is asked of a pool; the storage room is above this one."""

    name: str
    target_path: str
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class Check:
    """`verdict`: passed, warning, failed or skipped. `fix` names the button that may help: check, probe or prepare."""

    verdict: str
    title: str
    found: str
    means: str = ""
    todo: str = ""
    details: str = ""
    fix: str = ""


def of(host: Host, *, pools: Sequence[PoolRow], networks: Sequence[str]) -> list[Check]:
    """All checks of a host, failed ones first. `networks` are the names of its active virtual networks."""
    found = [_contact(host), _kvm(host)]
    if host.facts:
        found += [_versions(host), *_pools(pools), _network(networks)]
    order = ["failed", "warning", "skipped", "passed"]
    return sorted(found, key=lambda check: order.index(check.verdict))


def _contact(host: Host) -> Check:
    title = _("Connection to libvirt")
    if host.state == Host.State.DISABLED:
        found = _("The host is switched off in kvmweb; nothing is asked of it.")
        return Check(verdict="skipped", title=title, found=found)
    if host.is_unattended:
        return Check(
            verdict="warning",
            title=_("The watcher is silent"),
            found=_("Nothing on this host was compared with libvirt for more than a minute."),
            means=_("What you see may be old, and changes made elsewhere do not show up."),
            todo=_("See to it that the process manage.py watch_hosts runs; /readyz tells."),
        )
    if host.state == Host.State.CONNECTING:
        return Check(verdict="skipped", title=title, found=_("Connecting to %(uri)s.") % {"uri": host.uri})
    if host.state == Host.State.UNREACHABLE:
        return Check(
            verdict="failed",
            title=_("There is no contact with this host"),
            found=host.error,
            means=_("Its guests go on running. What you see here is from the last contact, and jobs on it will fail."),
            todo=_("See to it that the machine is on and libvirtd runs on it. kvmweb tries again by itself."),
            details=host.error_details,
            fix="check",
        )
    return Check(verdict="passed", title=title, found=_("%(uri)s answers and tells of changes.") % {"uri": host.uri})


def _kvm(host: Host) -> Check:
    if host.kvm_works is None:
        found = host.kvm_reason or _("Not tried yet; kvmweb tries when it is connected.")
        return Check(verdict="skipped", title=_("KVM"), found=found, fix="probe")
    if host.kvm_works:
        return Check(verdict="passed", title=_("KVM"), found=host.kvm_reason)
    return Check(
        verdict="failed",
        title=_("This host cannot run guests with KVM; it emulates them"),
        found=host.kvm_reason,
        means=_("Guests work, about 10 to 30 times slower. kvmweb makes them as type qemu and marks them Emulated."),
        todo=_(
            "On a machine of its own: switch virtualisation on in its firmware settings. Where the host is itself a "
            "virtual machine: switch nested virtualisation on for it. Then restart it and try again."
        ),
        fix="probe",
    )


def _versions(host: Host) -> Check:
    facts = host.facts
    found = _("libvirt %(libvirt)s, %(hypervisor)s %(version)s") % {
        "libvirt": facts.get("libvirt_version", "?"),
        "hypervisor": facts.get("hypervisor", "?"),
        "version": facts.get("hypervisor_version", "?"),
    }
    return Check(verdict="passed", title=_("Versions"), found=found)


def _pools(pools: Sequence[PoolRow]) -> list[Check]:
    made = []
    wanted = ((_("Directory of ISO images"), settings.ISO_DIR), (_("Directory of disks"), settings.STORE_DIR))
    for title, directory in wanted:
        pool = next((pool for pool in pools if PurePosixPath(pool.target_path) == PurePosixPath(directory)), None)
        values = {"path": directory, "pool": pool.name if pool else ""}
        if pool and pool.is_active:
            made.append(Check(verdict="passed", title=title, found=_("Pool %(pool)s: %(path)s") % values))
        elif pool:
            found = _("Pool %(pool)s for %(path)s is not active.") % values
            means = _("Guests with disks in it do not start.")
            made.append(Check(verdict="warning", title=title, found=found, means=means, fix="prepare"))
        else:
            found = _("The host has no pool for %(path)s.") % values
            made.append(Check(verdict="warning", title=title, found=found, fix="prepare"))
    return made


def _network(networks: Sequence[str]) -> Check:
    title = _("Virtual networks")
    if networks:
        return Check(verdict="passed", title=title, found=_("Active: %(names)s") % {"names": ", ".join(networks)})
    found = _("No virtual network is active.")
    means = _("Guests have nothing to be plugged into, unless the host has a bridge.")
    return Check(verdict="warning", title=title, found=found, means=means, fix="prepare")
