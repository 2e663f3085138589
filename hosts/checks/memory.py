"""Memory: hugepages, swap, merging of equal pages."""

from django.utils.translation import gettext as _

from hosts.words import size

from .check import About, Check, Seen
from .families import commands

MUCH_SWAP_MIB, MUCH_SWAP_SHARE = 512, 0.25


def hugepages(seen: Seen) -> Check:
    """Those set aside, by size, from libvirt."""
    about = About("hugepages", _("Hugepages"), ("hugepages",))
    totals: dict[int, list[int]] = {}
    for cell in seen.details.get("cells", ()):
        for pages in cell["pages"]:
            if pages["size_kib"] > 64 and pages["total"]:
                counted = totals.setdefault(pages["size_kib"], [0, 0])
                counted[0] += pages["total"]
                counted[1] += pages["free"] or 0
    if not totals:
        return about.passed(
            _("None are set aside."),
            means=_("Guests that ask for hugepages do not start. Others use the kernel's transparent ones."),
            todo=_("For 1,024 of 2 MiB:"),
            commands=commands(
                seen.readings,
                every="echo vm.nr_hugepages=1024 | sudo tee /etc/sysctl.d/90-hugepages.conf && sudo sysctl --system",
            ),
        )
    told = [
        _("%(total)d of %(size)s, %(free)d free") % {"total": total, "free": free, "size": size(kib * 1024)}
        for kib, (total, free) in sorted(totals.items())
    ]
    return about.passed("; ".join(told))


def swap(seen: Seen) -> Check:
    """A host that swaps has promised its guests more memory than it has."""
    about = About("swap", _("Swap"))
    total, free = ((seen.readings.number(key) or 0) // 1024 for key in ("SwapTotal", "SwapFree"))
    used = total - free
    values = {"used": size(used * 2**20), "total": size(total * 2**20)}
    if not total:
        return about.passed(_("There is none. When memory runs out, the kernel ends a guest."))
    if used > MUCH_SWAP_MIB and used > total * MUCH_SWAP_SHARE:
        return about.warning(
            _("%(used)s of %(total)s are in use.") % values,
            means=_("The host has given away more memory than it has. Guests whose memory lies on disk are slow."),
            todo=_("Shut guests down or give them less memory; then empty the swap."),
            commands=commands(seen.readings, every="sudo swapoff -a && sudo swapon -a"),
        )
    return about.passed(_("%(used)s of %(total)s are in use.") % values)


def merging(seen: Seen) -> Check:
    """KSM: equal pages of guests are kept once."""
    about = About("ksm", _("Merging of equal memory (KSM)"))
    run = seen.readings.text("ksm_run")
    if not run:
        return about.skipped(_("The kernel does not have it."))
    if run != "1":
        return about.passed(_("It is off. It saves memory where many guests are alike, and costs processor time."))
    saved = (seen.readings.number("ksm_sharing") or 0) * (seen.readings.number("page_size") or 4096)
    return about.passed(_("It is on and saves %(size)s.") % {"size": size(saved)})
