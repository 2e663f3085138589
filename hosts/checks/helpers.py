"""Programs beside QEMU that features need, and what there is to say where no command can be run."""

from django.utils.translation import gettext as _

from .check import About, Check, Seen
from .families import install


def programs(seen: Seen) -> Check:
    """qemu-img, swtpm, virtiofsd and UEFI firmware."""
    about = About("helpers", _("Programs that features need"), ("uefi", "secure_boot", "tpm", "virtiofs"))
    read = seen.readings
    missing, packages = [], []
    wanted = {
        "swtpm": (read.has("program", "swtpm"), "TPM (swtpm)", ("swtpm swtpm-tools", "swtpm", "swtpm", "swtpm")),
        "qemu-img": (
            read.has("program", "qemu-img"),
            "qemu-img",
            ("qemu-utils", "qemu-img", "qemu-img", "qemu-img"),
        ),
        "virtiofsd": (
            read.has("program", "virtiofsd"),
            "virtiofsd",
            ("virtiofsd", "virtiofsd", "virtiofsd", "virtiofsd"),
        ),
        "ovmf": (
            bool(seen.details.get("firmware", True)),
            "UEFI (OVMF)",
            ("ovmf", "edk2-ovmf", "qemu-ovmf-x86_64", "edk2-ovmf"),
        ),
    }
    for is_there, name, names in wanted.values():
        if not is_there:
            missing.append(name)
            packages.append(names)
    if not missing:
        return about.passed(_("qemu-img, swtpm, virtiofsd and UEFI firmware are there."))
    together = [" ".join(names) for names in zip(*packages, strict=True)]
    return about.warning(
        _("Not there: %(names)s.") % {"names": ", ".join(missing)},
        means=_("What needs them is greyed out for guests on this host."),
        todo=_("Install them; guests go on running."),
        commands=install(read, **dict(zip(("debian", "redhat", "suse", "arch"), together, strict=True))),
    )


def no_readings(seen: Seen) -> Check:
    """That much is not checked yet, and why."""
    about = About("readings", _("What only the host itself can tell"))
    return about.skipped(
        seen.why_no_readings or _("The checks were not run yet."),
        means=_(
            "Not checked: virtualisation flags, control groups, vhost-net, time, names, firewall, protection, swap, "
            "updates, and whether QEMU may enter the directories of pools."
        ),
        fix="run",
    )
