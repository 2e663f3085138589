"""Booting the installer of a tree: what its kernel is told, and the definition for that one start.

The persistent definition of a guest never names the installer's kernel: the guest is started once with a definition of
its own, as virt-install does. When the installer restarts the machine, the guest goes off instead of into the installer
again, and its next start is from its disk.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from virt import validate
from virt.errors import Invalid
from virt.install_tree import TreeFacts
from virt.xmltree import E, dump, indent, parse

MAX_ARGUMENTS = 2000  # kernels take 2048 bytes on x86
HEAD_BYTES = 4096
_YUM_BEFORE_INST = 6  # RHEL and CentOS up to 6 know method=, later ones inst.repo=
_SUSE = ("opensuse", "suse", "sle")


def is_kernel(head: bytes) -> bool:
    """Whether a file that begins like this is a Linux kernel: bzImage, an EFI program, arm64's Image, or packed.

    A server that answers every address with the same page is known by this.
    https://www.kernel.org/doc/html/latest/arch/x86/boot.html#the-real-mode-kernel-header
    """
    if head[0x202:0x206] == b"HdrS" or head[56:60] == b"ARM\x64":
        return True
    return head.startswith((b"MZ", b"\x1f\x8b", b"\x7fELF"))


def boot_arguments(facts: TreeFacts, base: str, *, image: str = "") -> list[str]:
    """What the installer's kernel is told so that it finds its packages at `base` (no slash at its end).

    `image` is the address of the whole image, for live systems that load it; "" where there is none.
    """
    if _is_suse(facts):
        return [f"install={base}/"]
    if facts.kind == "yum":
        return [f"{'method' if _is_old(facts) else 'inst.repo'}={base}/", "ip=dhcp"]
    if facts.kernel.startswith("casper/"):
        return ["ip=dhcp", f"url={image}"] if image else ["ip=dhcp"]
    if facts.kernel.startswith("live/"):
        return ["boot=live", "ip=dhcp", f"fetch={base}/live/filesystem.squashfs"]
    if facts.kernel.startswith("arch/"):
        return ["archisobasedir=arch", f"archiso_http_srv={base}/", "ip=dhcp"]
    if facts.kernel == "boot/vmlinuz-lts":
        return ["ip=dhcp", f"alpine_repo={base}/apks", f"modloop={base}/boot/modloop-lts"]
    if facts.kind == "apt":
        return _mirror(base)
    return []


def first_start_xml(xml: str, *, kernel: str, initrd: str, arguments: str) -> str:
    """The definition `xml` for the one start that boots `kernel`. Raises Invalid.

    https://libvirt.org/formatdomain.html#direct-kernel-boot
    """
    root = parse(xml, keep_layout=False)
    system = root.find("os")
    if system is None:
        raise Invalid("The definition has no <os>.", field="xml")
    for name, path in (("kernel", kernel), ("initrd", initrd)):
        system.append(E(name, validate.absolute_path(path, field=name)))
    if arguments:
        system.append(E.cmdline(checked_arguments(arguments)))
    reboot = root.find("on_reboot")
    if reboot is None:
        reboot = E.on_reboot()
        root.append(reboot)
    reboot.text = "destroy"
    return dump(indent(root))


def checked_arguments(text: str, *, field: str = "tree_arguments") -> str:
    """Arguments for a kernel on one line. Raises Invalid."""
    text = validate.xml_text(text.strip(), field=field)
    if len(text.encode()) > MAX_ARGUMENTS:
        raise Invalid(f"A kernel takes {MAX_ARGUMENTS} bytes of arguments at most.", field=field)
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise Invalid("The arguments of a kernel are one line of text.", field=field)
    return text


def _is_suse(facts: TreeFacts) -> bool:
    return facts.family.lower().startswith(_SUSE) or "/loader/linux" in facts.kernel


def _is_old(facts: TreeFacts) -> bool:
    major = facts.version.partition(".")[0]
    is_rhel = facts.family.lower().startswith(("red hat", "centos", "scientific", "oracle"))
    return is_rhel and major.isdigit() and int(major) <= _YUM_BEFORE_INST


def _mirror(base: str) -> list[str]:
    """Debian's installer asks which mirror to use, unless it is told. https://www.debian.org/releases/stable/amd64/apb"""
    parts = urlsplit(base)
    directory = parts.path.partition("/dists/")[0].rstrip("/") or "/"
    words = ["mirror/country=manual", f"mirror/protocol={parts.scheme}"]
    words += [f"mirror/{parts.scheme}/hostname={parts.netloc}", f"mirror/{parts.scheme}/directory={directory}"]
    return words
