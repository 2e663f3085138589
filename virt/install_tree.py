"""What can be installed from the files of a disc: kernel and initrd, and package repositories.

The Red Hat family says it in .treeinfo (https://release-engineering.github.io/productmd/treeinfo-1.2.html), the others
keep to places of their own.
"""

from __future__ import annotations

import configparser
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from virt.iso_tree import IsoTree

MAX_TEXT = 256 * 1024
TREEINFO = (".treeinfo", "treeinfo")
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
_NETBOOT = tuple(  # where the trees of distributions have them, and discs do not
    (f"{folder}/{arch}/linux", f"{folder}/{arch}/initrd.gz")
    for arch in ("amd64", "arm64")
    for folder in (
        "current/images/netboot/debian-installer",
        "images/netboot/debian-installer",
        "netboot/debian-installer",
        "current/legacy-images/netboot/ubuntu-installer",
    )
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


def candidates(treeinfo: str) -> list[TreeFacts]:
    """What a tree of which only `treeinfo` ("" where it has none) is known may have: the likeliest first.

    Each names a kernel and an initrd to look for; the first that is there tells what the tree is.
    """
    info = _parsed(treeinfo)
    family = _text(info, "general", "family") or _text(info, "release", "name")
    version = _text(info, "general", "version") or _text(info, "release", "version")
    return [
        TreeFacts(kind=_kind_at(kernel, treeinfo), family=family, version=version, kernel=kernel, initrd=initrd)
        for kernel, initrd in dict.fromkeys((_named(info), *_BOOT, *_NETBOOT))
        if _stays_below(kernel) and _stays_below(initrd)
    ]


def _kind_at(kernel: str, treeinfo: str) -> str:
    if treeinfo or kernel.startswith("images/pxeboot/"):
        return "yum"
    return "apt" if "-installer/" in kernel or kernel.startswith("install") else ""


def _stays_below(path: str) -> bool:
    """Whether a path that a stranger gave is one within the tree."""
    parts = path.split("/")
    return bool(path) and ":" not in parts[0] and "\\" not in path and not {"", ".", ".."} & set(parts)


def _treeinfo(tree: IsoTree) -> configparser.ConfigParser:
    for name in TREEINFO:
        node = tree.find(name)
        if node and not node.is_dir:
            return _parsed(tree.content(node, MAX_TEXT).decode("utf-8", "replace"))
    return _parsed("")


def _parsed(treeinfo: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    with suppress(configparser.Error):
        parser.read_string(treeinfo)
    return parser


def _named(info: configparser.ConfigParser) -> tuple[str, str]:
    """The kernel and initrd that .treeinfo names."""
    arch = _text(info, "general", "arch") or _text(info, "tree", "arch")
    return _text(info, f"images-{arch}", "kernel"), _text(info, f"images-{arch}", "initrd")


def _boot_files(tree: IsoTree, info: configparser.ConfigParser) -> tuple[str, str]:
    for kernel, initrd in (_named(info), *_BOOT):
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
