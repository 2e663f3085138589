"""What is made up for a tree: the index of a directory, the script for iPXE, lines for yum and apt."""

import html
import mimetypes
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from django.http import HttpRequest

from virt.install_tree import TreeFacts
from virt.iso_tree import Node
from virt.tree_boot import boot_arguments

_TYPES = {
    ".rpm": "application/x-rpm",
    ".deb": "application/vnd.debian.binary-package",
    ".udeb": "application/vnd.debian.binary-package",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".bz2": "application/x-bzip2",
    ".zst": "application/zstd",
    ".img": "application/octet-stream",
    ".iso": "application/x-iso9660-image",
    ".efi": "application/efi",
    ".cfg": "text/plain",
    ".repo": "text/plain",
    ".asc": "text/plain",
}


def origin(request: HttpRequest) -> str:
    """kvmweb as this request called it."""
    return f"{request.scheme}://{request.get_host()}"


def content_type(name: str) -> str:
    """By the name. Packed files stay what they are: a client must not unpack a Packages.gz on the way."""
    suffix = "." + name.lower().rpartition(".")[2] if "." in name else ""
    guessed = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if "." not in name and name.isupper():  # README, EULA
        guessed = "text/plain"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


def index(path: str, entries: Iterable[Node], *, is_root: bool) -> bytes:
    """The page of a directory: links that need no script, as yum, apt, wget -r and people read them."""
    title = html.escape(f"Index of {path}")
    lines = [] if is_root else ['<a href="../">../</a>']
    for node in entries:
        name = f"{node.name}/" if node.is_dir else node.name
        link, shown = quote(name), html.escape(name)
        when = datetime.fromtimestamp(node.modified, UTC).strftime("%Y-%m-%d %H:%M") if node.modified else ""
        size = "-" if node.is_dir or node.link else str(node.size)
        lines.append(f'<a href="./{link}">{shown}</a>{" " * max(60 - len(name), 1)}{when:16} {size:>14}')
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1><hr><pre>{chr(10).join(lines)}</pre><hr></body></html>\n"
    ).encode()


def ipxe(base: str, facts: TreeFacts) -> bytes:
    """A script that loads kernel and initrd from the tree at `base` and starts the installer with it as its source."""
    found = boot_arguments(facts, base, image=f"{base}.iso")
    arguments = ["initrd=initrd", *(word for word in found if word != "ip=dhcp"), "ip=dhcp"]
    lines = (
        "#!ipxe",
        f"kernel {base}/{quote(facts.kernel)} {' '.join(arguments)} console=tty0 console=ttyS0",
        f"initrd --name initrd {base}/{quote(facts.initrd)}",
        "boot",
    )
    return ("\n".join(lines) + "\n").encode()


def yum_repo(base: str, iso_id: int, name: str, facts: TreeFacts) -> str:
    """A file for /etc/yum.repos.d, ready to copy."""
    sections = []
    for path in facts.repositories:
        part = path.replace("/", "-").lower() or "packages"
        words = " ".join(name.split())
        url = f"{base}/{quote(path)}{'/' if path else ''}"
        sections.append(f"[iso{iso_id}-{part}]\nname={words} {path}\nbaseurl={url}\nenabled=1\ngpgcheck=0\n")
    return "\n".join(sections)


def apt_sources(base: str, facts: TreeFacts) -> str:
    """Lines for /etc/apt/sources.list. What is on a disc is not signed the way that apt wants it, hence trusted=yes."""
    return "\n".join(f"deb [trusted=yes] {base}/ {suite} {components}" for suite, components in facts.suites)
