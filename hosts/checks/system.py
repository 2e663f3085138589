"""The system around libvirt: clock, names, firewall, protection, services, updates."""

import shlex

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hosts.words import span

from .check import About, Check, Readings, Seen
from .families import commands, install

CLOCK_WARNS_S, CLOCK_FAILS_S = 2.0, 60.0
TIME_KEEPERS = ("chronyd", "chrony", "systemd-timesyncd", "ntpd", "ntpsec", "openntpd")


def clock(seen: Seen) -> Check:
    """The host's clock against ours."""
    about = About("clock", _("Time in step"), ("migration",))
    read = seen.readings
    ahead, doubt = read.decimal("clock_ahead_s"), read.decimal("clock_doubt_s") or 0.0
    if ahead is None:
        return about.skipped(_("The host's clock could not be read."))
    off = max(0.0, abs(ahead) - doubt)
    if off <= CLOCK_WARNS_S:
        if not _keeps_time(read):
            return about.warning(
                _("The clock is right now, but nothing is seen that keeps it so."),
                means=_("In weeks it may drift away from that of other hosts."),
                todo=_("Let the host ask time servers."),
                commands=install(read, debian="chrony", redhat="chrony", suse="chrony", arch="chrony"),
            )
        return about.passed(_("The host's clock and that of kvmweb agree."))
    words = {"time": span(abs(ahead))}
    found = _("The host's clock is %(time)s ahead.") if ahead > 0 else _("The host's clock is %(time)s behind.")
    verdict = about.failed if off > CLOCK_FAILS_S else about.warning
    return verdict(
        found % words,
        means=_(
            "TLS certificates may be refused, guests start with a wrong time and jump when they are migrated, and the "
            "times in logs do not fit together. Times on these pages are kvmweb's own."
        ),
        todo=_("Let the host ask time servers."),
        commands=commands(read, every="sudo timedatectl set-ntp true")
        if read.has("init", "systemd")
        else install(read, debian="chrony", redhat="chrony", suse="chrony", arch="chrony"),
    )


def _keeps_time(read: Readings) -> bool:
    if not read.has("init", "systemd"):
        return True  # nobody can tell
    return read.has("clock_synchronised", "yes") or any(read.has("active", unit) for unit in TIME_KEEPERS)


def names(seen: Seen) -> Check:
    """Whether the host knows its own name: libvirt gives it to the other side of a migration."""
    about = About("names", _("Name resolution"), ("migration",))
    read = seen.readings
    name = read.text("hostname")
    values = {"name": name, "addresses": ", ".join(read.all("resolves"))}
    if name.partition(".")[0] in ("", "localhost"):
        return about.warning(
            _("The host is called localhost."),
            means=_("libvirt refuses to migrate guests to it: others would look for them on themselves."),
            todo=_("Give it a name of its own."),
            commands=commands(read, every="sudo hostnamectl set-hostname NAME"),
        )
    if not read.all("resolves"):
        return about.warning(
            _("The host does not find its own name %(name)s.") % values,
            means=_("Guests cannot be migrated to it, and starting libvirt may take long."),
            todo=_("Add it to the host's own table of names, or to your name server."),
            commands=commands(read, every=f"echo 127.0.1.1 {shlex.quote(name)} | sudo tee -a /etc/hosts"),
        )
    return about.passed(_("%(name)s is %(addresses)s.") % values)


def firewall(seen: Seen) -> Check:
    """The program by which libvirt makes NAT for virtual networks, and what may get into its way."""
    about = About("firewall", _("Firewall"), ("nat_networks",))
    read = seen.readings
    programs = read.all("firewall")
    if not programs:
        return about.failed(
            _("Neither iptables nor nft is installed."),
            means=_("Virtual networks with NAT or routing do not start."),
            todo=_("Install one of them."),
            commands=install(read, debian="nftables iptables", redhat="nftables", suse="nftables", arch="nftables"),
        )
    managers = [unit for unit in ("firewalld", "ufw") if read.has("active", unit)]
    backend = read.text("firewall_backend")
    told = [", ".join(programs)]
    told += [_("libvirt is set to %(backend)s") % {"backend": backend}] if backend else []
    told += [_("%(names)s is active") % {"names": ", ".join(managers)}] if managers else []
    if read.has("docker", "yes") and read.text("bridge_filtered") == "1":
        return about.warning(
            _("Docker runs here, and traffic on bridges goes through the firewall."),
            means=_("Docker drops what it does not know: guests on a host bridge get no answers from the LAN."),
            todo=_("Take bridges out of the firewall."),
            commands=commands(
                read,
                every="echo net.bridge.bridge-nf-call-iptables=0 | sudo tee /etc/sysctl.d/90-bridge.conf "
                "&& sudo sysctl --system",
            ),
            details="\n".join(told),
            source="https://wiki.libvirt.org/Net.bridge.bridge-nf-call_and_sysctl.conf.html",
        )
    return about.passed("; ".join(told))


def protection(seen: Seen) -> Check:
    """Whether SELinux or AppArmor confines guests."""
    about = About("protection", _("SELinux or AppArmor"))
    read = seen.readings
    used = [model for model in seen.facts.get("secure_models", ()) if model in ("selinux", "apparmor")]
    if used:
        name = {"selinux": "SELinux", "apparmor": "AppArmor"}[used[0]]
        if used[0] == "selinux" and read.text("selinux") == "Permissive":
            return about.warning(
                _("libvirt labels guests for SELinux, which only warns (permissive)."),
                means=_("A guest that breaks out of QEMU is not held back."),
                todo=_("Make it enforcing, after a look at what it has warned of."),
                commands=commands(read, every="sudo ausearch -m avc -ts recent; sudo setenforce 1"),
            )
        return about.passed(_("%(name)s confines each guest.") % {"name": name})
    on = [name for name, word in (("SELinux", "Enforcing"), ("AppArmor", "Y")) if word in _states(read)]
    return about.warning(
        _("%(name)s is on, but libvirt does not use it for guests.") % {"name": on[0]}
        if on
        else _("libvirt uses neither."),
        means=_("A guest that breaks out of QEMU can read what QEMU's user can, other guests' disks among them."),
        todo=_("Switch one on and restart libvirtd."),
        commands=install(
            read,
            debian="apparmor apparmor-utils libvirt-daemon-system",
            redhat="libvirt-daemon-driver-qemu selinux-policy-targeted",
            suse="apparmor-parser apparmor-profiles",
        ),
        source="https://libvirt.org/drvqemu.html#security-driver",
    )


def _states(read: Readings) -> tuple[str, str]:
    return read.text("selinux"), read.text("apparmor")


def services(seen: Seen) -> Check:
    """Whether libvirt comes back after a restart of the host."""
    about = About("services", _("libvirt at start"))
    read = seen.readings
    if not read.has("init", "systemd"):
        return about.skipped(_("The host has no systemd; kvmweb cannot tell what starts with it."))
    if read.all("enabled"):
        return about.passed(_("%(names)s starts with the host.") % {"names": ", ".join(read.all("enabled"))})
    name = "virtqemud.socket" if read.has("active", "virtqemud") else "libvirtd"
    return about.warning(
        _("Neither libvirtd nor virtqemud starts with the host."),
        means=_("After a restart of the host kvmweb has no contact, and guests are not started."),
        todo=_("Let it start with the host."),
        commands=commands(read, every=f"sudo systemctl enable --now {name}"),
    )


def updates(seen: Seen) -> Check:
    """How many there are, and whether the host waits for a restart."""
    about = About("updates", _("Updates of the system"))
    read = seen.readings
    count, security = read.number("updates"), read.number("security_updates") or 0
    restart = read.has("reboot_required", "yes")
    if count is None and not restart:
        return about.skipped(_("The host's package manager did not tell."))
    told = ngettext("%(count)d update is waiting", "%(count)d updates are waiting", count or 0) % {"count": count or 0}
    if security:
        told = ngettext(
            "%(count)d update is waiting, %(security)d of them for security",
            "%(count)d updates are waiting, %(security)d of them for security",
            count or 0,
        ) % {"count": count or 0, "security": security}
    if restart:
        return about.warning(
            _("The host waits for a restart (%(updates)s).") % {"updates": told},
            means=_("The kernel or a library that runs is older than the one installed."),
            todo=_("Move or shut down its guests, then restart it."),
            commands=commands(read, every="sudo systemctl reboot"),
        )
    how = commands(
        read,
        debian="sudo apt update && sudo apt full-upgrade",
        redhat="sudo dnf upgrade",
        suse="sudo zypper update",
        arch="sudo pacman -Syu",
    )
    if security:
        return about.warning(
            _("%(updates)s.") % {"updates": told},
            means=_("Known holes are open."),
            todo=_("Install them. Guests go on running."),
            commands=how,
        )
    return about.passed(_("%(updates)s.") % {"updates": told}, commands=how if count else ())
