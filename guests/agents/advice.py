"""How a guest gets its agent, by the system that it runs."""

from dataclasses import dataclass
from typing import NamedTuple

from django.utils.translation import gettext as _

from guests.models import Guest

from .models import AgentReport

CHANNEL_XML = '<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>'


class Install(NamedTuple):
    """What to run inside the guest."""

    systems: str
    command: str


# By words in libosinfo's ids, such as http://debian.org/debian/12 or http://microsoft.com/win/2k22
_ENABLE = "systemctl enable --now qemu-guest-agent"
_INSTALLS = {
    ("debian.org", "ubuntu.com", "linuxmint", "devuan"): Install(
        "Debian, Ubuntu", f"sudo apt install qemu-guest-agent && sudo {_ENABLE}"
    ),
    ("fedoraproject", "redhat", "centos", "rockylinux", "almalinux", "oracle", "amazon"): Install(
        "Fedora, RHEL, CentOS, Rocky, AlmaLinux", f"sudo dnf install qemu-guest-agent && sudo {_ENABLE}"
    ),
    ("suse",): Install("openSUSE, SLES", f"sudo zypper install qemu-guest-agent && sudo {_ENABLE}"),
    ("archlinux", "manjaro"): Install("Arch", f"sudo pacman -S qemu-guest-agent && sudo {_ENABLE}"),
    ("alpinelinux",): Install(
        "Alpine", "apk add qemu-guest-agent && rc-update add qemu-guest-agent && rc-service qemu-guest-agent start"
    ),
    ("freebsd",): Install(
        "FreeBSD", "pkg install qemu-guest-agent && sysrc qemu_guest_agent_enable=YES && service qemu-guest-agent start"
    ),
    ("microsoft",): Install("Windows", r"msiexec /i E:\guest-agent\qemu-ga-x86_64.msi"),
}


@dataclass(frozen=True)
class Advice:
    """Why there is nothing new from the agent, and what helps: a definition's line, or a command in the guest."""

    text: str
    xml: str = ""
    installs: tuple[Install, ...] = ()


def advice(guest: Guest, report: AgentReport | None) -> Advice | None:
    """What to do about a guest whose agent says nothing; None where there is nothing to do."""
    if not guest.is_on:
        return Advice(_("The agent answers only while the guest runs."))
    if not guest.has_agent_channel:
        return Advice(
            _("This guest has no channel for an agent. Add this to its devices, then shut it down and start it."),
            xml=CHANNEL_XML,
        )
    if report is None:
        return Advice(_("The agent has not been asked yet. That takes up to a minute."))
    if report.state == AgentReport.State.SILENT:
        return Advice(
            _(
                "The agent took a question and does not answer: often something in the guest hangs, such as a network "
                "filesystem. It is asked again every ten minutes, and when it was restarted."
            )
        )
    if report.state == AgentReport.State.ABSENT:
        text = _("No agent runs in this guest. Install it there; what it says appears here by itself.")
        if "microsoft" in guest.os_id:
            text += " " + _("On Windows it is on the disc virtio-win.")
        return Advice(text, installs=installs_for(guest.os_id))
    return None


def installs_for(os_id: str) -> tuple[Install, ...]:
    """The command for that system, or all of them where it is not known."""
    fitting = tuple(install for words, install in _INSTALLS.items() if any(word in os_id.lower() for word in words))
    return fitting or tuple(_INSTALLS.values())
