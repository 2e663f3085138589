"""Headers of real images, made by xorriso, and of things that are no images."""

import subprocess

import pytest

from virt.iso9660 import read_iso


def header_of(path):
    with path.open("rb") as file:

        def read(offset, length):
            file.seek(offset)
            return file.read(length)

        return read_iso(read)


@pytest.fixture
def make_iso(tmp_path):
    """Make an image with these arguments to mkisofs, of a tree with a boot image in it."""

    def make(*arguments):
        tree, image = tmp_path / "tree", tmp_path / "image.iso"
        tree.mkdir()
        (tree / "boot.img").write_bytes(bytes(4096))
        (tree / "efi.img").write_bytes(bytes(4096))
        command = ["xorriso", "-as", "mkisofs", "-o", str(image), *arguments, str(tree)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return image

    return make


BIOS = ("-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4")
EFI = ("-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot")


@pytest.mark.parametrize(
    ("arguments", "bios", "uefi"),
    [
        ((), False, False),
        (BIOS, True, False),
        (BIOS + EFI, True, True),
        (("-e", "efi.img", "-no-emul-boot"), False, True),
    ],
)
def test_what_boots_a_disc_is_read_from_its_boot_catalogue(make_iso, arguments, bios, uefi):
    header = header_of(make_iso("-V", "Debian 12.5.0 amd64 n", *arguments))
    assert (header.boots_bios, header.boots_uefi) == (bios, uefi)
    assert (header.volume_id, header.arch) == ("Debian 12.5.0 amd64 n", "x86_64")


def test_the_size_that_an_image_should_have_is_told(make_iso):
    image = make_iso("-V", "x", "-no-pad")
    assert header_of(image).size_bytes == image.stat().st_size


@pytest.mark.parametrize(
    "content", [b"", b"MZ" + bytes(100), bytes(2**20), b"\xff" * 2**20, bytes(32768) + b"\x01CD00"]
)
def test_what_is_not_an_image_is_told_apart(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert header_of(path) is None


def test_a_disc_that_is_udf_only_is_known_as_one(tmp_path):
    path = tmp_path / "udf.iso"
    sectors = b"".join((b"\0" + name + b"\x01").ljust(2048, b"\0") for name in (b"BEA01", b"NSR02", b"TEA01"))
    path.write_bytes(bytes(32768) + sectors)
    header = header_of(path)
    assert header.is_udf
    assert header.volume_id == ""


def test_an_image_that_was_cut_off_does_not_break_the_reader(make_iso, tmp_path):
    whole = make_iso("-V", "cut", *BIOS).read_bytes()
    for length in range(32768, 40960, 97):
        path = tmp_path / "cut.iso"
        path.write_bytes(whole[:length])
        header = header_of(path)
        assert header is None or header.volume_id == "cut"
