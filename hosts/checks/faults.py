"""Versions of packages with known faults.

Distributions mend faults without changing the version: where we know since which of their packages, it is here too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .check import About, Check, Seen

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of `program` (libvirt or qemu) from version `since` on and before `until`; None: not known to be mended.

    `mended` finds a distribution's revision in the version of a package, and says from which number on it is mended.
    """

    code: str
    program: str
    since: Version
    until: Version | None
    means: Promise
    todo: Promise
    source: str
    kernel_since: Version | None = None
    mended: tuple[tuple[str, int], ...] = ()


NEWS = "https://libvirt.org/news.html"
_BOOKWORM = ((r"^9\.0\.0-4\+deb12u(\d+)", 1),)

FAULTS = [
    Fault(
        code="snapshot-deletes-disk",
        program="libvirt",
        since=(9, 9, 0),
        until=(11, 0, 0),
        means=gettext_lazy(
            "Data can be lost: going back to an internal snapshot below an external one and then deleting the "
            "external one deletes the disk image that holds the internal one."
        ),
        todo=gettext_lazy("Do not mix internal and external snapshots of a guest, or update libvirt to 11.0."),
        source=NEWS,
    ),
    Fault(
        code="snapshot-uefi-revert",
        program="libvirt",
        since=(10, 9, 0),
        until=(10, 10, 0),
        means=gettext_lazy("Going back to an internal snapshot of a UEFI guest does not bring its NVRAM back."),
        todo=gettext_lazy("Update libvirt to 10.10."),
        source=NEWS,
    ),
    Fault(
        code="migration-vmx",
        program="libvirt",
        since=(9, 10, 0),
        until=(10, 2, 0),
        means=gettext_lazy(
            "Guests with the CPU feature vmx cannot be migrated between this host and one with libvirt 9.9 or older."
        ),
        todo=gettext_lazy("Update libvirt to 10.2."),
        source=NEWS,
    ),
    Fault(
        code="nfs-root-squash",
        program="libvirt",
        since=(10, 1, 0),
        until=(10, 4, 0),
        means=gettext_lazy(
            "Guests with disks on NFS with root_squash cannot be saved or migrated (Unknown error 255)."
        ),
        todo=gettext_lazy("Update libvirt to 10.4."),
        source=NEWS,
    ),
    Fault(
        code="firmware-selection",
        program="libvirt",
        since=(9, 2, 0),
        until=(9, 7, 0),
        means=gettext_lazy(
            "The choice of UEFI firmware for guests has faults: some do not start, or start with another."
        ),
        todo=gettext_lazy("Update libvirt to 9.7."),
        source=NEWS,
    ),
    Fault(
        code="CVE-2024-8235",
        program="libvirt",
        since=(10, 4, 0),
        until=(10, 7, 0),
        means=gettext_lazy("Whoever may read from libvirt can make it crash by listing interfaces (CVE-2024-8235)."),
        todo=gettext_lazy("Update libvirt to 10.7, or to a package of your distribution in which it is mended."),
        source=NEWS,
    ),
    Fault(
        code="CVE-2024-2494",
        program="libvirt",
        since=(0, 0, 0),
        until=(10, 2, 0),
        means=gettext_lazy("Every local user can make libvirtd crash (CVE-2024-2494)."),
        todo=gettext_lazy("Update libvirt to 10.2, or to a package of your distribution in which it is mended."),
        source=NEWS,
        mended=_BOOKWORM,
    ),
    Fault(
        code="CVE-2023-3750",
        program="libvirt",
        since=(8, 3, 0),
        until=(9, 6, 0),
        means=gettext_lazy("Looking up volumes from several sides at once can make libvirtd crash (CVE-2023-3750)."),
        todo=gettext_lazy("Update libvirt to 9.6, or to a package of your distribution in which it is mended."),
        source=NEWS,
        mended=_BOOKWORM,
    ),
    Fault(
        code="CVE-2024-1441",
        program="libvirt",
        since=(1, 0, 0),
        until=(10, 1, 0),
        means=gettext_lazy(
            "Whoever may read from libvirt can make libvirtd crash by listing interfaces (CVE-2024-1441)."
        ),
        todo=gettext_lazy("Update libvirt to 10.1, or to a package of your distribution in which it is mended."),
        source=NEWS,
        mended=_BOOKWORM,
    ),
    Fault(
        code="snapshot-revert",
        program="libvirt",
        since=(0, 0, 0),
        until=(9, 9, 0),
        means=gettext_lazy("Going back to an external snapshot is not possible on this host."),
        todo=gettext_lazy("Use internal snapshots, or update libvirt to 9.9."),
        source="https://libvirt.org/formatcaps.html",
    ),
    Fault(
        code="arp-addresses",
        program="libvirt",
        since=(0, 0, 0),
        until=(10, 7, 0),
        kernel_since=(6, 10),
        means=gettext_lazy(
            "Addresses of guests cannot be read from the host's neighbour table (“wrong nlmsg len”); guests on host "
            "bridges show theirs only with a guest agent."
        ),
        todo=gettext_lazy("Update libvirt, or install the agent in those guests."),
        source="https://bugzilla.redhat.com/show_bug.cgi?id=2302245",
    ),
    Fault(
        code="vcpu-minus-one",
        program="libvirt",
        since=(9, 0, 0),
        until=(9, 0, 1),
        means=gettext_lazy(
            "A definition with −1 vCPUs makes libvirtd abort. kvmweb refuses such definitions; virsh does not."
        ),
        todo=gettext_lazy("Give access to libvirt's socket to those only whom you trust."),
        source="",
    ),
    Fault(
        code="vcpu-unplug-emulated",
        program="qemu",
        since=(7, 2, 0),
        until=(8, 0, 0),
        means=gettext_lazy("Taking vCPUs away from a running emulated guest can make it crash later."),
        todo=gettext_lazy("Change the number of vCPUs of emulated guests while they are shut off."),
        source="",
    ),
]


def known_faults(seen: Seen) -> list[Check]:
    """One check for each fault that the host has, or one that says that none is known."""
    found = [_check(seen, fault) for fault in FAULTS if _has(seen, fault)]
    about = About("faults", _("Versions with known faults"))
    return found or [about.passed(_("None is known of the versions here."))]


def _check(seen: Seen, fault: Fault) -> Check:
    name = {"libvirt": "libvirt", "qemu": "QEMU"}[fault.program]
    about = About(f"fault_{fault.code}", _("Known fault of %(program)s") % {"program": name})
    found = _("%(program)s %(version)s") % {"program": name, "version": _version_of(seen, fault)}
    details = "\n".join(_packages(seen, fault))
    return about.warning(found, means=str(fault.means), todo=str(fault.todo), source=fault.source, details=details)


def _has(seen: Seen, fault: Fault) -> bool:
    version = parsed(_version_of(seen, fault))
    if not version or version < fault.since or (fault.until and version >= fault.until):
        return False
    if fault.kernel_since:
        kernel = parsed(seen.readings.text("kernel"))
        if not kernel or kernel < fault.kernel_since:
            return False
    if fault.code == "vcpu-unplug-emulated" and seen.host.kvm_works is not False:
        return False
    return not any(_is_mended(package, fault) for package in _packages(seen, fault))


def _is_mended(package: str, fault: Fault) -> bool:
    version = package.partition(" ")[2].rpartition(":")[2]
    for pattern, first in fault.mended:
        found = re.search(pattern, version)
        if found and int(found[1]) >= first:
            return True
    return False


def _packages(seen: Seen, fault: Fault) -> Iterator[str]:
    return (line for line in seen.readings.all("package") if line.startswith(fault.program))


def _version_of(seen: Seen, fault: Fault) -> str:
    return str(seen.facts.get("libvirt_version" if fault.program == "libvirt" else "hypervisor_version", ""))


def parsed(version: str) -> Version:
    """(7, 2, 22) of "7.2.22", (6, 18, 44) of "6.18.44-generic"; empty when it is none."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
