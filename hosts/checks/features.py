"""What kvmweb can do on a host, and what keeps it from the rest: the compatibility sheet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from .check import Check, Seen
from .faults import parsed


@dataclass(frozen=True, kw_only=True)
class Feature:
    """`available` is None while nobody knows. `because` is a sentence; `checks` are codes of those that bear on it."""

    code: str
    title: str
    available: bool | None
    because: str
    checks: tuple[str, ...] = ()
    open_checks: tuple[tuple[str, str], ...] = ()  # code and title of those that are not passed


def sheet(seen: Seen, found: Sequence[Check]) -> list[Feature]:
    """Every feature that depends on the host, in the order in which people miss them; `found` are its checks."""
    open_checks = {check.code: check.title for check in found if check.verdict in ("failed", "warning")}
    return [
        replace(feature, open_checks=tuple((code, open_checks[code]) for code in feature.checks if code in open_checks))
        for feature in (make(seen) for make in _FEATURES)
    ]


def title_of(code: str) -> str:
    """The name of a feature, as it is shown beside the checks that bear on it."""
    return _titles().get(code, code)


def _titles() -> dict[str, str]:
    return {
        "kvm": _("Guests at full speed"),
        "uefi": _("UEFI guests"),
        "secure_boot": _("Secure Boot"),
        "tpm": _("TPM (Windows 11)"),
        "nested": _("Virtualisation inside guests"),
        "pci_passthrough": _("Giving PCI cards to guests"),
        "sriov": _("Parts of network cards for guests (SR-IOV)"),
        "mediated": _("Virtual GPUs"),
        "usb_passthrough": _("Giving USB devices to guests"),
        "hugepages": _("Guests on hugepages"),
        "numa": _("Pinning to NUMA cells"),
        "virtiofs": _("Shared directories (virtiofs)"),
        "nat_networks": _("Virtual networks with NAT"),
        "limits": _("Limits for guests"),
        "backup": _("Incremental backup"),
        "snapshot_revert": _("Going back to external snapshots"),
        "migration": _("Live migration"),
        "vnc": _("Consoles over VNC"),
        "commands": _("Checks and restarts of the host"),
    }


def _feature(code: str, available: bool | None, because: str, *checks: str) -> Feature:
    return Feature(code=code, title=title_of(code), available=available, because=because, checks=checks)


def _unknown() -> str:
    return _("Not known before the host was read.")


def _kvm(seen: Seen) -> Feature:
    works = seen.host.kvm_works
    because = seen.host.kvm_reason or _("Not tried yet.")
    return _feature("kvm", works, because, "kvm", "virtualisation", "kvm_device")


def _uefi(seen: Seen) -> Feature:
    images = seen.details.get("firmware")
    if images is None:
        return _feature("uefi", None, _unknown())
    if images:
        return _feature("uefi", True, _("The host has UEFI firmware for guests."))
    return _feature("uefi", False, _("The host has no UEFI firmware for guests: install OVMF (edk2)."), "helpers")


def _secure_boot(seen: Seen) -> Feature:
    images = seen.details.get("firmware")
    if images is None:
        return _feature("secure_boot", None, _unknown())
    if any(image["secure"] for image in images):
        return _feature("secure_boot", True, _("One of its firmware images does Secure Boot."))
    return _feature("secure_boot", False, _("None of its firmware images does Secure Boot."), "helpers")


def _tpm(seen: Seen) -> Feature:
    versions = seen.details.get("tpm_versions")
    models = seen.details.get("tpm_models")
    if models is None:
        return _feature("tpm", None, _unknown())
    if models:
        return _feature(
            "tpm", True, _("swtpm makes TPMs of version %(names)s.") % {"names": ", ".join(versions or ["2.0"])}
        )
    return _feature("tpm", False, _("The host has no swtpm."), "helpers")


def _nested(seen: Seen) -> Feature:
    if seen.host.kvm_works is False:
        return _feature("nested", False, _("It takes KVM, which does not work here."), "kvm")
    word = seen.readings.text("nested")
    if not word:
        return _feature("nested", None, _("The host did not tell."), "nested")
    on = word in ("Y", "1")
    return _feature("nested", on, _("It is on.") if on else _("It is off in the kernel's module."), "nested")


def _iommu_works(seen: Seen) -> bool | None:
    groups = seen.readings.number("iommu_groups")
    if groups is not None:
        return groups > 0
    told = seen.details.get("iommu")
    return told if isinstance(told, bool) else None


def _pci(seen: Seen) -> Feature:
    works = _iommu_works(seen)
    because = _("The IOMMU works.") if works else _("There is no working IOMMU.") if works is False else _unknown()
    return _feature("pci_passthrough", works, because, "iommu")


def _by_device(seen: Seen, code: str, detail: str, yes: str, no: str) -> Feature:
    works = _iommu_works(seen)
    if works is not True:
        because = _("There is no working IOMMU.") if works is False else _unknown()
        return _feature(code, works, because, "iommu")
    has = bool(seen.details.get(detail))
    return _feature(code, has, yes if has else no, "iommu")


def _sriov(seen: Seen) -> Feature:
    yes, no = _("A card of the host can be split."), _("No card of the host can be split.")
    return _by_device(seen, "sriov", "has_sriov", yes, no)


def _mediated(seen: Seen) -> Feature:
    yes, no = _("A card of the host makes mediated devices."), _("No card of the host makes mediated devices.")
    return _by_device(seen, "mediated", "has_mediated", yes, no)


def _usb(seen: Seen) -> Feature:
    has = seen.details.get("has_usb")
    if has is None:
        return _feature("usb_passthrough", None, _unknown())
    return _feature(
        "usb_passthrough", has, _("The host has USB devices.") if has else _("The host has no USB devices.")
    )


def _hugepages(seen: Seen) -> Feature:
    if "cells" not in seen.details:
        return _feature("hugepages", None, _unknown())
    has = any(p["total"] and p["size_kib"] > 64 for cell in seen.details["cells"] for p in cell["pages"])
    because = _("Hugepages are set aside.") if has else _("No hugepages are set aside.")
    return _feature("hugepages", has, because, "hugepages")


def _numa(seen: Seen) -> Feature:
    cells = len(seen.details.get("cells", ()))
    if not cells:
        return _feature("numa", None, _unknown())
    because = _("The host has %(count)d cells.") % {"count": cells} if cells > 1 else _("The host has one cell only.")
    return _feature("numa", cells > 1, because)


def _virtiofs(seen: Seen) -> Feature:
    if "virtiofs" not in seen.details:
        return _feature("virtiofs", None, _unknown())
    daemon = seen.readings.has("program", "virtiofsd") if seen.readings else None
    if not seen.details["virtiofs"]:
        return _feature("virtiofs", False, _("libvirt or QEMU is too old for it."), "versions")
    if daemon is False:
        return _feature("virtiofs", False, _("The host has no virtiofsd."), "helpers")
    return _feature("virtiofs", True, _("QEMU and libvirt can do it."))


def _nat(seen: Seen) -> Feature:
    if seen.readings and not seen.readings.all("firewall"):
        return _feature("nat_networks", False, _("The host has neither iptables nor nft."), "firewall")
    if seen.networks:
        return _feature("nat_networks", True, _("A virtual network is active."), "network", "firewall")
    return _feature("nat_networks", None, _("No virtual network is active."), "network", "firewall")


def _limits(seen: Seen) -> Feature:
    if not seen.readings:
        return _feature("limits", None, _("The host did not tell."), "cgroups")
    names = " ".join([*seen.readings.all("cgroup2"), *seen.readings.all("cgroup1")])
    has = all(name in names for name in ("cpu", "memory"))
    because = _("Control groups work.") if has else _("Controllers of control groups are missing.")
    return _feature("limits", has, because, "cgroups")


def _backup(seen: Seen) -> Feature:
    has = seen.details.get("incremental_backup")
    if has is None:
        return _feature("backup", None, _unknown())
    because = _("QEMU and libvirt can do it.") if has else _("libvirt or QEMU is too old for it.")
    return _feature("backup", bool(has), because, "versions")


def _revert(seen: Seen) -> Feature:
    version = parsed(str(seen.facts.get("libvirt_version", "")))
    if not version:
        return _feature("snapshot_revert", None, _unknown())
    has = bool(seen.details.get("external_snapshots")) or version >= (9, 9)
    values = {"version": seen.facts["libvirt_version"]}
    because = _("libvirt %(version)s can do it.") if has else _("It takes libvirt 9.9; here is %(version)s.")
    return _feature("snapshot_revert", has, because % values, "versions", "fault_snapshot-revert")


def _migration(seen: Seen) -> Feature:
    transports = seen.details.get("migration_transports")
    if transports is None:
        return _feature("migration", None, _unknown())
    if not transports:
        return _feature("migration", False, _("libvirt's driver of this host cannot do it."))
    name = seen.readings.text("hostname")
    if seen.readings and (name == "localhost" or not seen.readings.all("resolves")):
        return _feature(
            "migration", False, _("Guests can leave it; none can come, for its name is not found."), "names"
        )
    return _feature("migration", True, _("libvirt can do it."), "names", "clock")


def _vnc(seen: Seen) -> Feature:
    if not seen.facts:
        return _feature("vnc", None, _unknown())
    is_qemu = seen.facts.get("hypervisor") == "QEMU"
    return _feature("vnc", is_qemu, _("QEMU shows screens over VNC.") if is_qemu else _("The host does not run QEMU."))


def _commands(seen: Seen) -> Feature:
    if seen.readings:
        return _feature("commands", True, _("kvmweb can run commands on the host."))
    return _feature("commands", None, _("No command was run on the host yet, or none can be."), "readings")


_FEATURES: list[Callable[[Seen], Feature]] = [
    _kvm,
    _uefi,
    _secure_boot,
    _tpm,
    _nested,
    _pci,
    _sriov,
    _mediated,
    _usb,
    _hugepages,
    _numa,
    _virtiofs,
    _nat,
    _limits,
    _backup,
    _revert,
    _migration,
    _vnc,
    _commands,
]
