"""Commands differ from one family of distributions to the next; a host whose family is known is shown its own only."""

from .check import Command, Readings

FAMILIES = {"debian": "Debian, Ubuntu", "redhat": "Fedora, RHEL", "suse": "openSUSE, SLES", "arch": "Arch"}
_MEMBERS = {
    "debian": {"debian", "ubuntu", "linuxmint", "raspbian"},
    "redhat": {"rhel", "fedora", "centos", "rocky", "almalinux", "ol"},
    "suse": {"suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles", "sled"},
    "arch": {"arch", "manjaro"},
}
_INSTALL = {
    "debian": "sudo apt install {}",
    "redhat": "sudo dnf install {}",
    "suse": "sudo zypper install {}",
    "arch": "sudo pacman -S {}",
}


def family_of(readings: Readings) -> str:
    """debian, redhat, suse, arch, or "" for another or an unknown one."""
    names = {readings.text("os_id"), *readings.text("os_like").split()}
    return next((family for family, members in _MEMBERS.items() if names & members), "")


def commands(readings: Readings, **by_family: str) -> tuple[Command, ...]:
    """The command for the host's family; those for all where it is not known. `every` is the same for all."""
    if "every" in by_family:
        return (Command(by_family["every"]),)
    family = family_of(readings)
    if family in by_family:
        return (Command(by_family[family]),)
    return tuple(Command(text, FAMILIES[name]) for name, text in by_family.items()) if not family else ()


def install(readings: Readings, **packages: str) -> tuple[Command, ...]:
    """How to install something whose packages have these names: install(…, debian="swtpm swtpm-tools", …)."""
    return commands(readings, **{family: _INSTALL[family].format(names) for family, names in packages.items()})


def module(readings: Readings, name: str) -> tuple[Command, ...]:
    """Load a kernel module now and at every start."""
    return commands(readings, every=f"sudo modprobe {name} && echo {name} | sudo tee /etc/modules-load.d/{name}.conf")
