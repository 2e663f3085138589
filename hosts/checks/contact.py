"""The way to a host, whether guests run accelerated there, and what kvmweb keeps on it."""

from pathlib import PurePosixPath

from django.conf import settings
from django.utils.translation import gettext as _

from hosts.models import Host

from .check import About, Check, Seen


def contact(seen: Seen) -> Check:
    """Whether libvirt answers, and whether the watcher runs."""
    host, about = seen.host, About("contact", _("Connection to libvirt"))
    if host.state == Host.State.DISABLED:
        return about.skipped(_("The host is switched off in kvmweb; nothing is asked of it."))
    if host.is_unattended:
        return about.warning(
            _("Nothing on this host was compared with libvirt for more than a minute."),
            title=_("The watcher is silent"),
            means=_("What you see may be old, and changes made elsewhere do not show up."),
            todo=_("See to it that the process manage.py watch_hosts runs; /readyz tells."),
        )
    if host.state == Host.State.CONNECTING:
        return about.skipped(_("Connecting to %(uri)s.") % {"uri": host.uri})
    if host.state == Host.State.UNREACHABLE:
        return about.failed(
            host.error,
            title=_("There is no contact with this host"),
            means=_("Its guests go on running. What you see here is from the last contact, and jobs on it will fail."),
            todo=_("See to it that the machine is on and libvirtd runs on it. kvmweb tries again by itself."),
            details=host.error_details,
            fix="check",
        )
    return about.passed(_("%(uri)s answers and tells of changes.") % {"uri": host.uri})


def kvm(seen: Seen) -> Check:
    """What became of the tiny guest that was booted with KVM."""
    host, about = seen.host, About("kvm", _("KVM"), ("kvm", "nested"))
    if host.kvm_works is None:
        return about.skipped(host.kvm_reason or _("Not tried yet; kvmweb tries when it is connected."), fix="probe")
    if host.kvm_works:
        return about.passed(host.kvm_reason)
    return about.failed(
        host.kvm_reason,
        title=_("This host cannot run guests with KVM; it emulates them"),
        means=_("Guests work, about 10 to 30 times slower. kvmweb makes them as type qemu and marks them Emulated."),
        todo=_(
            "On a machine of its own: switch virtualisation on in its firmware settings. Where the host is itself a "
            "virtual machine: switch nested virtualisation on for it. Then restart it and try again."
        ),
        fix="probe",
    )


def versions(seen: Seen) -> Check:
    """What runs there."""
    found = _("libvirt %(libvirt)s, %(hypervisor)s %(version)s") % {
        "libvirt": seen.facts.get("libvirt_version", "?"),
        "hypervisor": seen.facts.get("hypervisor", "?"),
        "version": seen.facts.get("hypervisor_version", "?"),
    }
    return About("versions", _("Versions")).passed(found)


def pools(seen: Seen) -> list[Check]:
    """Whether the two directories that kvmweb uses are pools."""
    made = []
    wanted = (
        ("pool_iso", _("Directory of ISO images"), settings.ISO_DIR),
        ("pool_store", _("Directory of disks"), settings.STORE_DIR),
    )
    for code, title, directory in wanted:
        about = About(code, title)
        pool = next((pool for pool in seen.pools if PurePosixPath(pool.target_path) == PurePosixPath(directory)), None)
        values = {"path": directory, "pool": pool.name if pool else ""}
        if pool and pool.is_active:
            made.append(about.passed(_("Pool %(pool)s: %(path)s") % values))
        elif pool:
            found = _("Pool %(pool)s for %(path)s is not active.") % values
            made.append(about.warning(found, means=_("Guests with disks in it do not start."), fix="prepare"))
        else:
            made.append(about.warning(_("The host has no pool for %(path)s.") % values, fix="prepare"))
    return made


def network(seen: Seen) -> Check:
    """Whether guests have a network to be plugged into."""
    about = About("network", _("Virtual networks"), ("nat_networks",))
    if seen.networks:
        return about.passed(_("Active: %(names)s") % {"names": ", ".join(seen.networks)})
    means = _("Guests have nothing to be plugged into, unless the host has a bridge.")
    return about.warning(_("No virtual network is active."), means=means, fix="prepare")
