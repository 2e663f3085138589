"""Files inside images, read without mounting; xorriso, which made the images, is the second witness."""

import os
import subprocess
from pathlib import Path

import pytest

from virt.install_tree import examine
from virt.iso_tree import IsoTree, NotATree

DEEP = "/".join(f"a directory of level {n}" for n in range(1, 12))
LONG = "a-package-with-a-rather-long-name_" + "x" * 190 + ".rpm"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A directory with the oddities that discs have."""
    top = tmp_path_factory.mktemp("tree")
    (top / DEEP).mkdir(parents=True)
    (top / DEEP / "deep.txt").write_text("deep")
    (top / "Packages").mkdir()
    for number in range(300):
        (top / "Packages" / f"package-{number:03}.RPM").write_bytes(bytes([number % 256]) * number)
    (top / "Packages" / LONG).write_text("long")
    (top / "中文 file & <name>.txt").write_text("中文")
    (top / "EMPTY").touch()
    (top / "large.bin").write_bytes(os.urandom(3_000_000))
    (top / "link-to-file").symlink_to("Packages/package-007.RPM")
    (top / "link-to-dir").symlink_to("./Packages")
    (top / "dists").mkdir()
    (top / "dists" / "stable").symlink_to("../Packages")
    (top / "loop").symlink_to("loop2")
    (top / "loop2").symlink_to("loop")
    (top / "out").symlink_to("../../../../etc/passwd")
    (top / "etc").mkdir()
    (top / "etc" / "passwd").write_text("of the image")
    return top


def build(source: Path, target: Path, *options: str) -> IsoTree:
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-V", "TEST", *options, "-o", str(target), str(source)],
        check=True,
        capture_output=True,
    )
    return opened(target)


def opened(path: Path) -> IsoTree:
    content = path.read_bytes()
    return IsoTree(lambda offset, length: content[offset : offset + length], len(content))


def files_of(tree: IsoTree, node=None, path="") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for child in tree.entries(node or tree.root):
        place = f"{path}/{child.name}".lstrip("/")
        if child.is_dir:
            found |= files_of(tree, child, place)
        elif not child.link:
            found[place] = tree.content(child, child.size)
    return found


@pytest.mark.parametrize("options", [("-R",), ("-r", "-J"), ("-R", "-iso-level", "1")], ids=" ".join)
def test_every_file_is_found_with_its_content(source, tmp_path, options):
    tree = build(source, tmp_path / "disc.iso", *options)
    assert tree.names == "rock-ridge"
    wanted = {
        str(p.relative_to(source)): p.read_bytes() for p in source.rglob("*") if p.is_file() and not p.is_symlink()
    }
    assert files_of(tree) == wanted
    node = tree.find(f"{DEEP}/deep.txt")
    assert node is not None
    assert tree.content(node, 100) == b"deep"
    large = tree.find("large.bin")
    assert list(large.places(1000, 5000)) == [(large.extents[0][0] + 1000, 5000)]
    assert abs(large.modified - (source / "large.bin").stat().st_mtime) < 2


def test_links_are_followed_inside_the_image_only(source, tmp_path):
    tree = build(source, tmp_path / "disc.iso", "-R")
    assert tree.content(tree.find("link-to-file"), 100) == bytes([7]) * 7
    assert tree.find("link-to-dir/package-003.RPM").size == 3
    assert tree.find("dists/stable/package-003.RPM").size == 3
    assert tree.find("loop") is None
    assert tree.content(tree.find("out"), 100) == b"of the image"
    assert tree.content(tree.find("../../etc/passwd"), 100) == b"of the image"
    assert tree.find("etc/passwd/x") is None
    assert tree.find("none") is None


def test_joliet_and_plain_names_where_there_is_nothing_better(tmp_path):
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "Ein Name.txt").write_text("x")
    command = ["xorriso", "-outdev", str(tmp_path / "j.iso"), "-compliance", "joliet_long_names", "-joliet", "on"]
    subprocess.run([*command, "-rockridge", "off", "-map", str(source), "/"], check=True, capture_output=True)
    tree = opened(tmp_path / "j.iso")
    assert tree.names == "joliet"
    assert tree.find("sub/Ein Name.txt").size == 1
    subprocess.run(
        ["xorriso", "-outdev", str(tmp_path / "p.iso"), "-rockridge", "off", "-map", str(source), "/"],
        check=True,
        capture_output=True,
    )
    assert opened(tmp_path / "p.iso").names == "plain"
    plain = opened(tmp_path / "p.iso")
    assert [node.name for node in plain.entries(plain.root)] == ["sub"]


def test_a_damaged_image_ends_in_a_sentence_not_in_a_loop(source, tmp_path):
    build(source, tmp_path / "disc.iso", "-R")
    content = (tmp_path / "disc.iso").read_bytes()
    for cut in (0, 2048, 40_000, len(content) // 2):
        short = content[:cut]
        try:
            tree = IsoTree(lambda offset, length, short=short: short[offset : offset + length], len(short))  # type: ignore[misc]
        except NotATree:
            continue
        files_of(tree)
    for at in range(34_000, 90_000, 997):  # a byte here and there
        broken = bytearray(content)
        broken[at] ^= 0xFF
        try:
            tree = IsoTree(lambda offset, length, b=broken: bytes(b[offset : offset + length]), len(broken))  # type: ignore[misc]
            tree.entries(tree.root)
            tree.find(f"{DEEP}/deep.txt")
        except NotATree:
            continue


def test_kernel_and_packages_are_found_where_distributions_keep_them(tmp_path):
    red = tmp_path / "red"
    for path in (
        "images/pxeboot/vmlinuz",
        "images/pxeboot/initrd.img",
        "AppStream/repodata/repomd.xml",
        "BaseOS/repodata/repomd.xml",
    ):
        (red / path).parent.mkdir(parents=True, exist_ok=True)
        (red / path).write_text("x")
    (red / ".treeinfo").write_text(
        "[general]\nfamily = AlmaLinux\nversion = 9.4\narch = x86_64\n"
        "[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n"
        "[variant-AppStream]\nrepository = AppStream\n[variant-BaseOS]\nrepository = BaseOS\n[variant-Gone]\n"
        "repository = Gone\n"
    )
    facts = examine(build(red, tmp_path / "red.iso", "-R"))
    assert (facts.kind, facts.family, facts.version) == ("yum", "AlmaLinux", "9.4")
    assert (facts.kernel, facts.initrd) == ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img")
    assert facts.repositories == ["AppStream", "BaseOS"]
    debian = tmp_path / "debian"
    for path in ("install.amd/vmlinuz", "install.amd/initrd.gz", "dists/trixie/main/x"):
        (debian / path).parent.mkdir(parents=True, exist_ok=True)
        (debian / path).write_text("x")
    (debian / "dists/trixie/Release").write_text("Suite: stable\nComponents: main contrib non-free-firmware\n")
    (debian / "dists/stable").symlink_to("trixie")
    facts = examine(build(debian, tmp_path / "debian.iso", "-R"))
    assert (facts.kind, facts.kernel, facts.suites) == ("apt", "install.amd/vmlinuz", [("trixie", "main")])
    empty = examine(build(tmp_path / "debian" / "dists", tmp_path / "none.iso", "-R"))
    assert (empty.kind, empty.kernel) == ("", "")
