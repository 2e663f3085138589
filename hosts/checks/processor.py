"""The processor and what the kernel makes of it: virtualisation, nesting, IOMMU, control groups, device files."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .check import About, Check, Seen
from .families import commands, module

CONTROLLERS = ("cpu", "cpuset", "memory", "io", "pids")
_X86 = ("x86_64", "i686")


def virtualisation(seen: Seen) -> Check:
    """The flags that Intel's and AMD's virtualisation have."""
    about = About("virtualisation", _("Virtualisation in the processor"), ("kvm", "nested"))
    if seen.facts.get("arch", "x86_64") not in _X86:
        return about.skipped(_("Only x86 processors tell of it by a flag."))
    read = seen.readings
    names = {"vmx": "Intel VT-x (vmx)", "svm": "AMD-V (svm)"}
    found = [name for flag, name in names.items() if read.has("cpu_flag", flag)]
    if found:
        return about.passed(_("%(flag)s is there.") % {"flag": found[0]})
    means = _("KVM cannot work: guests are emulated, about 10 to 30 times slower.")
    if read.has("cpu_flag", "hypervisor"):
        return about.failed(
            _("Neither vmx nor svm: this host is a virtual machine whose own host does not pass virtualisation on."),
            means=means,
            todo=_("On the machine below, switch nesting on and give this guest the processor of its host."),
            commands=commands(read, every="virt-xml GUEST --edit --cpu host-passthrough"),
        )
    return about.failed(
        _("Neither vmx nor svm: the processor has no virtualisation, or the firmware has switched it off."),
        means=means,
        todo=_("Switch on VT-x or SVM in the machine's firmware settings (BIOS), then switch it off and on again."),
    )


def kvm_device(seen: Seen) -> Check:
    """/dev/kvm. That it is there does not mean that guests boot: the check "KVM" tries that."""
    about = About("kvm_device", _("Device /dev/kvm"), ("kvm",))
    if seen.readings.has("device", "/dev/kvm"):
        return about.passed(_("It is there."))
    amd = seen.facts.get("cpu_vendor") == "AMD"
    return about.failed(
        _("It is not there."),
        means=_("QEMU emulates guests instead of running them."),
        todo=_("Load the kernel's module; when that fails, the processor or the firmware does not let it."),
        commands=module(seen.readings, "kvm_amd" if amd else "kvm_intel"),
    )


def nested(seen: Seen) -> Check:
    """Whether guests can be hosts themselves."""
    about = About("nested", _("Nested virtualisation"), ("nested",))
    read = seen.readings
    if not read.text("nested"):
        return about.skipped(_("The module kvm_intel or kvm_amd is not loaded."))
    if read.text("nested") in ("Y", "1"):
        return about.passed(_("Guests can run guests of their own."))
    name = "kvm_amd" if read.has("module", "kvm_amd") else "kvm_intel"
    return about.passed(
        _("It is off."),
        means=_("Inside guests KVM does not work. Few guests need it."),
        todo=_("To switch it on, shut all guests down, then:"),
        commands=commands(
            read,
            every=f"echo 'options {name} nested=1' | sudo tee /etc/modprobe.d/kvm-nested.conf "
            f"&& sudo modprobe -r {name} && sudo modprobe {name}",
        ),
    )


def iommu(seen: Seen) -> Check:
    """Whether devices of the host can be given to guests safely."""
    about = About("iommu", _("IOMMU"), ("pci_passthrough", "sriov", "mediated"))
    read = seen.readings
    groups = read.number("iommu_groups") if read else None
    if groups or (groups is None and seen.details.get("iommu")):
        if groups is None:
            return about.passed(_("libvirt says that it works."))
        found = ngettext("It works; %(count)d group of devices.", "It works; %(count)d groups of devices.", groups)
        return about.passed(found % {"count": groups})
    means = _("Devices of the host cannot be given to guests: neither whole cards nor parts of them.")
    intel = seen.facts.get("cpu_vendor") != "AMD"
    words = "intel_iommu=on iommu=pt" if intel else "iommu=pt"
    if any(read.has("acpi", table) for table in ("DMAR", "IVRS", "IORT")):
        return about.warning(
            _("The machine has one; the kernel does not use it."),
            means=means,
            todo=_("Switch it on for the kernel and restart the host."),
            commands=commands(
                read,
                debian=f"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{words} /' /etc/default/grub && sudo update-grub",
                redhat=f'sudo grubby --update-kernel=ALL --args="{words}"',
                suse=f"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{words} /' /etc/default/grub "
                "&& sudo grub2-mkconfig -o /boot/grub2/grub.cfg",
                arch=f"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{words} /' /etc/default/grub "
                "&& sudo grub-mkconfig -o /boot/grub/grub.cfg",
            ),
        )
    return about.warning(
        _("None is seen."),
        means=means,
        todo=_("If you want to give devices to guests, switch on VT-d or AMD-Vi in the machine's firmware settings."),
    )


def cgroups(seen: Seen) -> Check:
    """The controllers by which libvirt limits and measures guests."""
    about = About("cgroups", _("Control groups"), ("limits",))
    read = seen.readings
    second = set(read.text("cgroup2").split())
    first = {word for options in read.all("cgroup1") for word in options.split(",")}
    if "blkio" in first:
        first.add("io")
    missing = [name for name in CONTROLLERS if name not in second | first]
    values = {"version": "v2" if not first & set(CONTROLLERS) else "v1", "names": ", ".join(missing)}
    if not missing:
        return about.passed(_("%(version)s, with all controllers that guests need.") % values)
    return about.warning(
        _("These controllers are missing: %(names)s.") % values,
        means=_("Limits of that kind do not work for guests, and their use of it is not measured."),
        todo=_("Look for cgroup_disable= in the kernel's command line; leave it out and restart the host."),
    )


def device_files(seen: Seen) -> list[Check]:
    """vhost-net and tun, without which networks of guests are slow or impossible."""
    read = seen.readings
    vhost, tun = About("vhost_net", _("Fast networks (vhost-net)")), About("tun", _("Network devices (tun)"))
    return [
        vhost.passed(_("/dev/vhost-net is there."))
        if read.has("device", "/dev/vhost-net")
        else vhost.warning(
            _("/dev/vhost-net is not there."),
            means=_("Networks of guests work; they cost more processor time and are slower."),
            todo=_("Load the kernel's module."),
            commands=module(read, "vhost_net"),
        ),
        tun.passed(_("/dev/net/tun is there."))
        if read.has("device", "/dev/net/tun")
        else tun.failed(
            _("/dev/net/tun is not there."),
            means=_("Guests with a network do not start."),
            todo=_("Load the kernel's module."),
            commands=module(read, "tun"),
        ),
    ]
