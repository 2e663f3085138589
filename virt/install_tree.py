"""What can be installed from the files of a disc: kernel and initrd, and package repositories.

The Red Hat family says it in .treeinfo (https://release-engineering.github.io/productmd/treeinfo-1.2.html), the others
keep to places of their own.
"""

from __future__ import annotations

import configparser
from dataclasses import asdict, dataclass, field
from typing import Any

from virt.iso_tree import IsoTree

MAX_TEXT = 256 * 1024
_BOOT = (
    ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"),
    ("install.amd/vmlinuz", "install.amd/initrd.gz"),
    ("install.a64/vmlinuz", "install.a64/initrd.gz"),
    ("install/vmlinuz", "install/initrd.gz"),
    ("install/netboot/ubuntu-installer/amd64/linux", "install/netboot/ubuntu-installer/amd64/initrd.gz"),
    ("casper/vmlinuz", "casper/initrd"),
    ("casper/vmlinuz", "casper/initrd.lz"),
    ("live/vmlinuz", "live/initrd.img"),
    ("boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"),
    ("boot/aarch64/linux", "boot/aarch64/initrd"),
    ("arch/boot/x86_64/vmlinuz-linux", "arch/boot/x86_64/initramfs-linux.img"),
    ("boot/vmlinuz-lts", "boot/initramfs-lts"),
    ("boot/vmlinuz", "boot/initrd"),
    ("boot/vmlinuz", "boot/initrd.img"),
    ("boot/vmlinuz", "boot/initrd.gz"),
    ("isolinux/vmlinuz", "isolinux/initrd.img"),
    ("linux", "initrd"),
)


@dataclass(frozen=True, kw_only=True)
class TreeFacts:
    """`kind` is yum, apt or "" (no packages). Paths are within the tree; `suites` are apt's, with their components."""

    kind: str = ""
    family: str = ""
    version: str = ""
    kernel: str = ""
    initrd: str = ""
    repositories: list[str] = field(default_factory=list)
    suites: list[tuple[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(tree: IsoTree) -> TreeFacts:
    """Look through a disc for what can be installed from it."""
    info = _treeinfo(tree)
    kernel, initrd = _boot_files(tree, info)
    repositories, suites = _repositories(tree, info), _suites(tree)
    return TreeFacts(
        kind="yum" if repositories else "apt" if suites else "",
        family=_text(info, "general", "family") or _text(info, "release", "name"),
        version=_text(info, "general", "version") or _text(info, "release", "version"),
        kernel=kernel,
        initrd=initrd,
        repositories=repositories,
        suites=suites,
    )


def _treeinfo(tree: IsoTree) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    for name in (".treeinfo", "treeinfo"):
        node = tree.find(name)
        if node and not node.is_dir:
            try:
                parser.read_string(tree.content(node, MAX_TEXT).decode("utf-8", "replace"))
            except configparser.Error:
                continue
            break
    return parser


def _boot_files(tree: IsoTree, info: configparser.ConfigParser) -> tuple[str, str]:
    arch = _text(info, "general", "arch") or _text(info, "tree", "arch")
    named = (_text(info, f"images-{arch}", "kernel"), _text(info, f"images-{arch}", "initrd"))
    for kernel, initrd in (named, *_BOOT):
        if kernel and initrd and _is_file(tree, kernel) and _is_file(tree, initrd):
            return kernel, initrd
    return "", ""


def _repositories(tree: IsoTree, info: configparser.ConfigParser) -> list[str]:
    """Directories that have yum's repodata: those that .treeinfo names, the root, and its own sub-directories."""
    named = [_text(info, section, "repository") for section in info.sections() if section.startswith("variant-")]
    found = [path.removeprefix("./").strip("/") for path in named if path]
    found = ["" if path == "." else path for path in found]
    if not found:
        found = ["", *(node.name for node in tree.entries(tree.root) if node.is_dir)]
    return [path for path in dict.fromkeys(found) if _is_file(tree, f"{path}/repodata/repomd.xml")]


def _suites(tree: IsoTree) -> list[tuple[str, str]]:
    """Debian's: the directories of dists/ that have a Release, with their components."""
    dists = tree.find("dists")
    if dists is None or not dists.is_dir:
        return []
    found = []
    for node in tree.entries(dists):
        release = tree.find(f"dists/{node.name}/Release") if node.is_dir else None
        if release is None or release.is_dir:
            continue
        text = tree.content(release, MAX_TEXT).decode("utf-8", "replace")
        line = next((line for line in text.splitlines() if line.startswith("Components:")), "")
        listed = line.removeprefix("Components:").split()
        there = [part for part in listed if tree.find(f"dists/{node.name}/{part}")] or ["main"]
        found.append((node.name, " ".join(part for part in there if part.replace("-", "").isalnum())))
    return found


def _is_file(tree: IsoTree, path: str) -> bool:
    node = tree.find(path)
    return node is not None and not node.is_dir


def _text(info: configparser.ConfigParser, section: str, key: str) -> str:
    value = info.get(section, key, fallback="").strip()
    return "" if any(ord(c) < 32 for c in value) else value
