"""What starts a disk is read out of images of every kind, and nothing that is in one does harm."""

import os
import random
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from virt import appliance
from virt.appliance import Appliance
from virt.first_bytes import TABLE_BYTES, first_bytes

MIB = 1024**2
EFI = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")  # as gdisk writes C12A7328-F81F-11D2-BA4B-00A0C93EC93B
RESERVED = bytes.fromhex("16e3c9e35c0bb84d817df92df00215ae")
LINUX = bytes.fromhex("af3dc60f838472478e793d69d8477de4")
KINDS = {
    "raw": ("raw", "raw"),
    "qcow2": ("qcow2", "qcow2"),
    "packed qcow2": ("qcow2", "qcow2", "-c"),
    "vmdk": ("vmdk", "vmdk"),
    "vmdk of an OVA": ("vmdk", "vmdk", "-o", "subformat=streamOptimized"),
    "vhd": ("vhd", "vpc", "-o", "force_size=on"),
    "vhd of fixed size": ("vhd", "vpc", "-o", "subformat=fixed,force_size=on"),
    "vdi": ("vdi", "vdi"),
    "vhdx": ("vhdx", "vhdx"),
}


def gpt(*kinds: bytes) -> bytes:
    mbr = bytes(446) + struct.pack("<B3xB3xII", 0, 0xEE, 1, 0xFFFFFFFF).ljust(64, b"\0") + b"\x55\xaa"
    return mbr + b"EFI PART".ljust(512, b"\0") + b"".join(kind.ljust(128, b"\1") for kind in kinds).ljust(16384, b"\0")


def mbr(kind: int) -> bytes:
    return bytes(446) + struct.pack("<B3xB3xII", 0x80, kind, 2048, 4096).ljust(64, b"\0") + b"\x55\xaa"


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def convert(request, tmp_path):
    """Makes a disk that begins with these bytes, in an image of one kind; returns what it is called and the file."""
    kind, written, *options = request.param

    def make(start: bytes) -> tuple[str, Path]:
        raw, image = tmp_path / "disk.raw", tmp_path / f"disk.{kind}"
        raw.write_bytes(start + os.urandom(MIB) + bytes(7 * MIB))
        os.truncate(raw, 8 * MIB)
        if kind != "raw":
            subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", written, *options, raw, image], check=True)
        return kind, image

    return make


def look(content: bytes, name: str) -> Appliance:
    return appliance.inspect(lambda offset, length: content[offset : offset + length], len(content), name)


def test_each_kind_tells_how_its_disk_begins(convert):
    start = gpt(RESERVED, EFI)
    kind, image = convert(start)
    content = image.read_bytes()
    found = first_bytes(lambda offset, length: content[offset : offset + length], len(content), kind)
    assert found[: len(start)] == start[:TABLE_BYTES]
    machine = look(content, "disk1." + kind)
    assert (machine.firmware, machine.suggested_bus) == ("uefi", "sata")
    assert "virtio-win" in machine.warnings[0]
    assert "UEFI" in machine.warnings[1]


@pytest.mark.parametrize(
    ("start", "firmware", "bus"),
    [
        (gpt(EFI, LINUX), "uefi", "virtio"),
        (gpt(LINUX), "bios", "virtio"),
        (mbr(0x07), "bios", "sata"),  # NTFS
        (mbr(0x83), "bios", "virtio"),
        (mbr(0xEF), "uefi", "virtio"),
        (b"no table", "", "virtio"),
    ],
)
def test_a_table_tells_the_firmware_and_the_system(start, firmware, bus):
    machine = look(start.ljust(MIB, b"\0"), "disk1.raw")
    assert (machine.firmware, machine.suggested_bus) == (firmware, bus)


def test_an_image_that_is_damaged_or_lies_tells_nothing_and_does_no_harm(convert):
    kind, image = convert(gpt(EFI))
    content = bytearray(image.read_bytes())
    dice = random.Random(28)
    read = 0

    def count(offset: int, length: int) -> bytes:
        nonlocal read
        assert 0 <= offset <= len(content)
        read = max(read, length)
        return bytes(content[offset : offset + length])

    for _try in range(60):
        before = bytes(content[:4096])
        for _byte in range(dice.randrange(1, 40)):
            content[dice.randrange(4096)] = dice.choice((0, 1, 127, 255))
        assert len(first_bytes(count, len(content), kind)) <= TABLE_BYTES
        content[:4096] = before
    whole = bytes(content)
    for length in (0, 1, 511, 512, 1000, 4096, 70_000):
        content[:] = whole[:length]
        assert len(first_bytes(count, len(content), kind)) <= TABLE_BYTES
    assert read <= 4 * MIB


def test_a_packed_bomb_is_opened_no_further_than_a_table():
    bomb = zlib.compress(bytes(64 * MIB))
    header = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 3, 0x30001, 2**20, 2**20, 1, 1, 512, 0, 2, 128)
    content = (
        header.ljust(1024, b"\0") + struct.pack("<I", 3).ljust(512, b"\0") + struct.pack("<I", 4).ljust(512, b"\0")
    )
    content += struct.pack("<QI", 0, len(bomb)) + bomb
    assert first_bytes(lambda at, n: content[at : at + n], len(content), "vmdk") == bytes(TABLE_BYTES)
