"""What is worth knowing about a guest before it is made: what fits, what does not, what will be slow."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from storage.rules import gib
from virt.types import CompatSheet

from .plan_tree import NewTree, is_loopback

if TYPE_CHECKING:
    from .plan import GuestPlan

MIB = 2**20


class Check(NamedTuple):
    """`verdict`: ok, warn or info."""

    verdict: str
    text: str


def checks_of(plan: "GuestPlan", sheet: CompatSheet, disk_warning: str) -> Iterator[Check]:
    """The checks of a plan, in the order in which they are shown."""
    yield _acceleration(plan)
    yield from _memory(plan)
    yield from _processors(plan)
    yield from _disk(plan, disk_warning)
    yield from _medium(plan, sheet)
    yield Check("ok", _("The name %(name)s is free on %(host)s.") % {"name": plan.name, "host": plan.host.name})


def _acceleration(plan: "GuestPlan") -> Check:
    host = plan.host
    if host.kvm_works:
        return Check("ok", _("Runs on KVM: %(host)s booted a probe guest with it.") % {"host": host.name})
    if host.kvm_works is None:
        return Check(
            "info", _("Would be emulated: it is not known yet whether KVM works on %(host)s.") % {"host": host.name}
        )
    return Check("warn", _("Would be emulated, which is many times slower. %(why)s") % {"why": host.kvm_reason})


def _memory(plan: "GuestPlan") -> Iterator[Check]:
    host, wanted = plan.host, gib(plan.memory_mib * MIB)
    if plan.memory_mib < plan.os.min_memory_mib:
        sentence = _("%(os)s needs at least %(least)s of memory.")
        yield Check("warn", sentence % {"os": plan.os.name, "least": gib(plan.os.min_memory_mib * MIB)})
    if not host.memory_mib or host.memory_used_mib is None:
        return
    free = host.memory_mib - host.memory_used_mib
    words = {"wanted": wanted, "free": gib(max(0, free) * MIB), "all": gib(host.memory_mib * MIB)}
    if plan.memory_mib <= free:
        yield Check("ok", _("%(wanted)s of memory fit: %(free)s of %(all)s are free.") % words)
    else:
        yield Check("warn", _("%(wanted)s of memory do not fit now: %(free)s of %(all)s are free.") % words)


def _processors(plan: "GuestPlan") -> Iterator[Check]:
    if plan.host.cpus and plan.vcpus > plan.host.cpus:
        sentence = ngettext(
            "More vCPUs than the host has processors (%(number)d): the guest gets slower, not faster.",
            "More vCPUs than the host has processors (%(number)d): the guest gets slower, not faster.",
            plan.host.cpus,
        )
        yield Check("warn", sentence % {"number": plan.host.cpus})


def _disk(plan: "GuestPlan", warning: str) -> Iterator[Check]:
    if warning:
        yield Check("warn", _("The disk fits now. %(warning)s") % {"warning": warning})
    elif plan.disk:
        sentence = _("%(size)s of disk fit: %(free)s are free in %(pool)s.")
        pool = plan.disk.pool
        words = {"size": gib(plan.disk.capacity_bytes), "free": gib(pool.available_bytes), "pool": pool.name}
        yield Check("ok", sentence % words)
    if plan.disk and plan.os.name and plan.disk.capacity_bytes < plan.os.min_disk_gib * 2**30:
        sentence = _("%(os)s needs a disk of at least %(least)d GiB.")
        yield Check("warn", sentence % {"os": plan.os.name, "least": plan.os.min_disk_gib})


def _medium(plan: "GuestPlan", sheet: CompatSheet) -> Iterator[Check]:
    iso = plan.iso
    if plan.tree:
        yield from _tree(plan, plan.tree, sheet)
    if iso is None:
        if not plan.tree and not plan.volume and not plan.wanted.boots_from_network:
            yield Check("info", _("There is nothing to boot from yet: put an ISO into its drive before it is started."))
        return
    if iso.is_iso9660 is False:
        yield Check("warn", _("%(iso)s is no ISO image: the guest will not boot from it.") % {"iso": iso.name})
    if iso.arch and iso.arch not in (sheet.arch, "all"):
        sentence = _("%(iso)s is for %(arch)s, and guests here are %(own)s: it will not boot.")
        yield Check("warn", sentence % {"iso": iso.name, "arch": iso.arch, "own": sheet.arch})
    boots = iso.boots_bios if plan.firmware == "bios" else iso.boots_uefi
    if boots is False and iso.is_iso9660:
        firmware = "BIOS" if plan.firmware == "bios" else "UEFI"
        sentence = _("%(iso)s does not boot with %(firmware)s. Choose another firmware.")
        yield Check("warn", sentence % {"iso": iso.name, "firmware": firmware})


def _tree(plan: "GuestPlan", tree: NewTree, sheet: CompatSheet) -> Iterator[Check]:
    yield Check(
        "info",
        _(
            "The first start boots the tree's installer. When that restarts the guest, it goes off; started again, it"
            " boots from its disk."
        ),
    )
    if tree.is_guess:
        sentence = _("Kernel and initrd are looked for at %(url)s when the guest is made.")
        yield Check("info", sentence % {"url": f"{tree.url}/"})
    if is_loopback(urlsplit(tree.url).hostname or ""):
        sentence = _("%(url)s leads the guest to itself. Give kvmweb's address as the guest reaches it.")
        yield Check("warn", sentence % {"url": f"{tree.url}/"})
    if not tree.is_reached and tree.iso and plan.network:
        sentence = _(
            "%(iso)s is not published for the addresses of the network %(network)s: its installer gets nothing."
        )
        yield Check("warn", sentence % {"iso": tree.iso.name, "network": plan.network.name})
    if tree.iso and tree.iso.arch and tree.iso.arch not in (sheet.arch, "all"):
        sentence = _("%(iso)s is for %(arch)s, and guests here are %(own)s: it will not boot.")
        yield Check("warn", sentence % {"iso": tree.iso.name, "arch": tree.iso.arch, "own": sheet.arch})
    if not plan.disk and not plan.volume:
        yield Check("warn", _("It has no disk, so its installer has nothing to install to."))
