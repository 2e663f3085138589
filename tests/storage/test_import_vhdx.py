"""Disks of Hyper-V: read and streamed out by kvmweb itself, as libvirt does not open them. qemu-img is the witness."""

import os
import struct
import subprocess
from pathlib import Path

import pytest

from jobs.models import JobUndo
from storage import media
from storage.importing import services
from storage.models import Volume
from tests.storage.test_import import MIB, convert, disk, library, ova, run, same
from virt import vhdx
from virt.errors import NotImportable
from virt.image_guard import ReferenceRefused
from virt.qcow2_writer import Qcow2Writer

__all__ = ["disk", "library"]
METADATA_AT = 2 * MIB  # where qemu-img puts it, with a log of 1 MiB


def reader(content: bytes | bytearray):
    return lambda offset, length: bytes(content[offset : offset + length])


def looked_at(content: bytes | bytearray) -> vhdx.Vhdx:
    return vhdx.read_vhdx(reader(content), len(content), "machine.vhdx")


@pytest.fixture
def content(disk, tmp_path) -> bytearray:
    return bytearray(convert(disk, tmp_path / "machine.vhdx", "vhdx", "-o", "block_size=1M").read_bytes())


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (24 * MIB, "subformat=dynamic"),
        (24 * MIB, "subformat=fixed"),
        (24 * MIB + 512, "subformat=dynamic,block_size=1M"),
        (5 * 1024 * MIB, "subformat=dynamic,block_size=256M"),
        (5 * 1024 * MIB + 4096, "subformat=dynamic,block_size=1M"),  # more than one group of blocks, and odd
    ],
)
def test_what_is_on_it_comes_out_as_a_sparse_qcow2(disk, tmp_path, size, options):
    with disk.open("r+b") as file:
        file.truncate(size)
        file.seek(size - 700)
        file.write(os.urandom(700))
    path, made = convert(disk, tmp_path / "machine.vhdx", "vhdx", "-o", options), tmp_path / "machine.qcow2"
    with path.open("rb") as source, made.open("wb") as target:

        def read(offset: int, length: int) -> bytes:
            return os.pread(source.fileno(), length, offset)

        found = vhdx.read_vhdx(read, path.stat().st_size, path.name)
        assert found.capacity_bytes >= size  # qemu-img rounds up to what the format can say
        writer = Qcow2Writer(found.capacity_bytes)
        target.writelines(writer.body(vhdx.pieces(read, found)))
        assert not target.seek(0)
        target.write(writer.header)
    checked = subprocess.run(["qemu-img", "check", "-f", "qcow2", str(made)], capture_output=True, text=True)
    assert "No errors were found" in checked.stdout, checked.stdout + checked.stderr
    compared = subprocess.run(["qemu-img", "compare", "-f", "qcow2", "-F", "raw", str(made), str(disk)])
    assert compared.returncode == 0
    assert made.stat().st_size < 6 * MIB  # zeros are left out, also within a block that is stored


def test_what_is_no_whole_disk_is_refused_with_a_reason(content):
    assert looked_at(content).capacity_bytes == 24 * MIB
    with pytest.raises(NotImportable, match="cut off"):
        looked_at(content[: len(content) - MIB])
    broken = bytearray(content)
    for at in (65536, 131072):
        broken[at + 20] ^= 1
    with pytest.raises(NotImportable, match="damaged"):
        looked_at(broken)
    one_header = bytearray(content)
    one_header[65536 + 20] ^= 1  # the other one counts
    assert looked_at(one_header).stored_bytes == looked_at(content).stored_bytes
    place = content.index(struct.pack("<II", MIB, 0), METADATA_AT)
    differencing = bytearray(content)
    differencing[place + 4] |= 2
    with pytest.raises(ReferenceRefused, match="Merge it"):
        looked_at(differencing)
    sectors = bytearray(content)
    at = content.index(struct.pack("<I", 512), place + 16)
    sectors[at : at + 4] = struct.pack("<I", 4096)
    with pytest.raises(NotImportable, match="sectors of 4096 bytes"):
        looked_at(sectors)
    for junk in (b"vhdxfile", b"vhdxfile" + os.urandom(MIB)):
        with pytest.raises(NotImportable):
            looked_at(bytearray(junk))


def test_a_disk_that_was_not_closed_is_refused(content, monkeypatch):
    monkeypatch.setattr(vhdx, "_is_intact", lambda data: True)
    for at in (65536, 131072):
        content[at + 48 : at + 64] = os.urandom(16)
    with pytest.raises(NotImportable, match="waiting in its log"):
        looked_at(content)


def test_blocks_that_lie_on_one_another_are_no_disk(content):
    regions = content.index(b"regi")
    bat = next(
        struct.unpack_from("<Q", content, at + 16)[0]
        for at in (regions + 16, regions + 48)
        if content[at : at + 2] == b"\x66\x77"
    )
    first = content[bat : bat + 8]
    content[bat : bat + 8 * 24] = first * 24
    with pytest.raises(NotImportable, match="damaged"):
        looked_at(content)


@pytest.mark.libvirt
@pytest.mark.parametrize(("image_format", "is_remote"), [("qcow2", False), ("raw", False), ("qcow2", True)])
def test_a_vhdx_becomes_a_disk_that_the_wizard_offers(
    library, pool, new_pool, admin, disk, client, monkeypatch, image_format, is_remote
):
    if is_remote:
        monkeypatch.setattr(media, "open_local", lambda volume: None)
    convert(disk, Path(pool.target_path, "machine.vhdx"), "vhdx")
    iso, store = library("machine.vhdx"), new_pool()
    job = run(services.inspect_appliance(iso, by=admin))
    assert [(d["format"], d["capacity_bytes"]) for d in job.result["disks"]] == [("vhdx", 24 * MIB)], job.error
    iso.refresh_from_db()
    job = run(services.import_disks(iso, store, "machine", by=admin, image_format=image_format))
    assert job.status == "succeeded", job.error
    volume = Volume.objects.get(pk=job.result["volume_ids"][0])
    assert (volume.format, volume.capacity_bytes) == (image_format, 24 * MIB)
    assert same(volume, disk)
    assert volume.allocation_bytes < 6 * MIB
    assert os.stat(volume.path).st_mode & 0o777 == 0o600
    client.force_login(admin)
    assert volume.name in client.get("/guests/new/").content.decode()


@pytest.mark.libvirt
def test_a_vhdx_in_an_ova_is_read_where_it_lies(library, pool, new_pool, admin, disk, tmp_path):
    path = convert(disk, tmp_path / "machine.vhdx", "vhdx", "-o", "block_size=1M")
    ova(Path(pool.target_path, "machine.ova"), [path])
    iso, store = library("machine.ova"), new_pool()
    run(services.inspect_appliance(iso, by=admin))
    iso.refresh_from_db()
    job = run(services.import_disks(iso, store, "machine", by=admin))
    assert job.status == "succeeded", job.error
    assert same(Volume.objects.get(pool=store), disk)


@pytest.mark.libvirt
@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_whatever_stops_it_nothing_stays(library, pool, new_pool, admin, disk, monkeypatch, image_format):
    convert(disk, Path(pool.target_path, "machine.vhdx"), "vhdx", "-o", "block_size=1M")
    iso, store = library("machine.vhdx"), new_pool()
    run(services.inspect_appliance(iso, by=admin))
    iso.refresh_from_db()
    job = services.import_disks(iso, store, "machine", by=admin, image_format=image_format)
    pieces = vhdx.pieces

    def cancelled_half_way(read, found):
        for number, piece in enumerate(pieces(read, found)):
            yield piece
            if number == 2:
                job.request_cancel(admin)

    with monkeypatch.context() as patched:
        patched.setattr(vhdx, "pieces", cancelled_half_way)
        patched.setattr("storage.content.REPORT_EVERY_S", 0)
        assert run(job).status == "cancelled"
    assert not list(Path(store.target_path).iterdir())

    def breaks(read, found):
        yield next(pieces(read, found))
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr("virt.vhdx.pieces", breaks)
        assert run(services.import_disks(iso, store, "machine", by=admin, image_format=image_format)).status == "failed"
    assert not list(Path(store.target_path).iterdir())
    assert not JobUndo.objects.exists()
