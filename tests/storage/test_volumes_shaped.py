"""Overlays, copies, other formats, smaller disks, wiped disks, and images that point where they must not."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from hosts.models import Host
from jobs.models import Job
from storage import services
from storage.inventory import refresh_pool
from storage.models import Volume
from tests.storage.conftest import run
from virt.errors import Invalid, PoolFull, VolumeExists, VolumeInUse, WrongState

pytestmark = pytest.mark.libvirt
MIB = 1024**2


def make(pool, admin, name="data.qcow2", mib=64, image_format="qcow2", **options):
    job = run(services.create_volume(pool, name, mib * MIB, image_format, by=admin, **options))
    assert job.status == "succeeded", job.error
    return Volume.objects.get(pk=job.result["volume_id"])


def io(path, *commands, image_format="qcow2"):
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(["qemu-io", "-f", image_format, *words, str(path)], check=True, capture_output=True)


def info(path):
    return json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", str(path)]))


def look(pool):
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)


def test_an_overlay_holds_what_differs_and_shares_nothing_by_writing(pool, admin, new_guest, virsh):
    base = make(pool, admin, "base.qcow2")
    io(base.path, "write -P 5 0 1M")
    overlay = make(pool, admin, "top.qcow2", backing=base)
    assert info(overlay.path)["backing-filename"] == base.path
    assert info(overlay.path)["backing-filename-format"] == "qcow2"
    io(overlay.path, "read -P 5 0 1M", "write -P 6 0 64k")
    io(base.path, "read -P 5 0 1M")
    with pytest.raises(Invalid):
        services.create_volume(pool, "small.qcow2", 32 * MIB, by=admin, backing=base)
    with pytest.raises(Invalid):
        services.create_volume(pool, "raw", 64 * MIB, "raw", by=admin, backing=base)
    with pytest.raises(VolumeInUse, match=r"top\.qcow2"):
        services.wipe_volume(base, by=admin)
    with pytest.raises(VolumeInUse, match=r"top\.qcow2"):
        services.resize_volume(base, 128 * MIB, by=admin)
    name = new_guest(base.path)
    refused = run(services.create_volume(pool, "other.qcow2", 64 * MIB, by=admin, backing=base))
    assert (refused.status, refused.error_code) == ("failed", "volume_in_use")
    assert name in refused.error


def test_what_others_only_read_can_be_copied_meanwhile(pool, admin, new_guest, virsh):
    base = make(pool, admin, "base.qcow2")
    io(base.path, "write -P 5 0 1M")
    overlay = make(pool, admin, "top.qcow2", backing=base)
    guest = new_guest(overlay.path, start=True)
    job = run(services.copy_volume(base, pool, "again.qcow2", by=admin))
    assert job.status == "succeeded", job.error
    io(job.result["path"], "read -P 5 0 1M")
    assert virsh("domstate", guest) == "running"
    assert "no errors" in virsh("domblkerror", guest).lower() or virsh("domblkerror", guest) == ""


def test_the_tables_of_a_qcow2_can_be_made_beforehand(pool, admin):
    volume = make(pool, admin, preallocation="metadata")
    assert info(volume.path)["virtual-size"] == 64 * MIB
    assert len(json.loads(subprocess.check_output(["qemu-img", "map", "--output=json", volume.path]))) >= 1
    assert Path(volume.path).stat().st_size >= 64 * MIB
    assert volume.allocation_bytes < 8 * MIB


def test_a_copy_is_the_same_in_another_format_and_needs_nothing_below(new_pool, admin):
    here, there = new_pool(), new_pool()
    base = make(here, admin, "base.qcow2")
    io(base.path, "write -P 5 0 1M")
    top = make(here, admin, "top.qcow2", backing=base)
    io(top.path, "write -P 6 32M 1M")
    job = run(services.copy_volume(top, there, "flat.raw", by=admin, image_format="raw"))
    assert job.status == "succeeded", job.error
    copy = Volume.objects.get(pk=job.result["volume_id"])
    assert (copy.pool, copy.format, copy.backing_path, copy.capacity_bytes) == (there, "raw", "", 64 * MIB)
    subprocess.run(["qemu-img", "compare", "-F", "raw", top.path, copy.path], check=True, capture_output=True)
    assert copy.allocation_bytes < 8 * MIB
    back = run(services.copy_volume(copy, there, "back.qcow2", by=admin, image_format="qcow2"))
    assert back.status == "succeeded", back.error
    subprocess.run(["qemu-img", "compare", top.path, back.result["path"]], check=True, capture_output=True)
    with pytest.raises(VolumeExists):
        services.copy_volume(copy, there, "back.qcow2", by=admin)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_copy_goes_to_another_host_byte_by_byte(new_pool, admin, image_format):
    here, there = new_pool(), new_pool()
    there.host = Host.objects.create(name="other", uri="qemu+unix:///system", state="connected")
    there.save()
    volume = make(here, admin, "disk", 16, image_format)
    io(volume.path, "write -P 5 1M 3M", image_format=image_format)
    job = run(services.copy_volume(volume, there, "disk", by=admin))
    assert job.status == "succeeded", job.error
    copy = Volume.objects.get(pk=job.result["volume_id"])
    assert (copy.pool.host.name, copy.format, copy.capacity_bytes) == ("other", image_format, 16 * MIB)
    compare = ["qemu-img", "compare", "-f", image_format, "-F", image_format, volume.path, copy.path]
    subprocess.run(compare, check=True, capture_output=True)
    with pytest.raises(Invalid):
        services.move_volume(volume, there, by=admin)
    other = "raw" if image_format == "qcow2" else "qcow2"
    with pytest.raises(Invalid):
        services.copy_volume(volume, there, "other", by=admin, image_format=other)


def test_a_disk_is_converted_in_its_pool(pool, admin):
    volume = make(pool, admin, "data.raw", image_format="raw")
    io(volume.path, "write -P 5 0 1M", image_format="raw")
    job = run(services.move_volume(volume, pool, by=admin, image_format="qcow2"))
    assert job.status == "succeeded", job.error
    now = Volume.objects.get()
    assert (now.name, now.format) == ("data.qcow2", "qcow2")
    assert [path.name for path in Path(pool.target_path).iterdir()] == ["data.qcow2"]
    io(now.path, "read -P 5 0 1M")


@pytest.mark.parametrize("size", [MIB + 512, MIB + 1])
def test_a_disk_of_an_odd_size_is_converted(pool, admin, size):
    made = run(services.create_volume(pool, "odd.raw", size, "raw", by=admin))
    volume = Volume.objects.get(pk=made.result["volume_id"])
    job = run(services.copy_volume(volume, pool, "odd.qcow2", by=admin, image_format="qcow2"))
    assert job.status == "succeeded", job.error
    assert Volume.objects.get(name="odd.qcow2").capacity_bytes == MIB + 512


def test_a_copy_into_a_pool_that_is_full_at_99_percent(new_pool, admin):
    here, there = new_pool(), new_pool(size_mib=24)
    volume = make(here, admin, mib=64)
    io(volume.path, "write -P 5 0 16M")
    look(here)
    volume.refresh_from_db()
    job = services.copy_volume(volume, there, "copy.qcow2", by=admin)
    Path(there.target_path, "filler").write_bytes(bytes(10 * MIB))
    run(job)
    assert (job.status, job.error_code) == ("failed", "pool_full"), job.error
    assert [path.name for path in Path(there.target_path).iterdir()] == ["filler"]
    look(there)
    there.refresh_from_db()
    with pytest.raises(PoolFull):
        services.copy_volume(volume, there, "copy.qcow2", by=admin)


@pytest.mark.parametrize("name", ["../x", "a/b", "a\0b", "虚" * 86, ""])
def test_a_copy_is_never_called_what_leads_elsewhere(pool, admin, name):
    volume = make(pool, admin)
    with pytest.raises(Invalid):
        services.copy_volume(volume, pool, name, by=admin)
    assert Job.objects.count() == 1


def test_a_disk_is_wiped(pool, admin):
    volume = make(pool, admin, "secret.raw", 8, "raw")
    io(volume.path, "write -P 5 0 8M", image_format="raw")
    assert run(services.wipe_volume(volume, by=admin)).status == "succeeded"
    assert Path(volume.path).read_bytes() == bytes(8 * MIB)


def mbr(*partitions):
    """A first sector with partitions (type, first sector, sectors)."""
    table = b"".join(struct.pack("<B3xB3xII", 0, *each) for each in partitions).ljust(64, b"\0")
    return bytes(446) + table + b"\x55\xaa"


def shrunk(volume, mib, admin):
    volume.refresh_from_db()
    return run(services.resize_volume(volume, mib * MIB, by=admin, shrink=True))


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_disk_shrinks_only_where_nothing_can_be_lost(pool, admin, image_format):
    volume = make(pool, admin, "disk", 64, image_format)
    with pytest.raises(Invalid):
        services.resize_volume(volume, 48 * MIB, by=admin)
    blank = shrunk(volume, 48, admin)
    assert blank.status == "succeeded", blank.error
    assert info(volume.path)["virtual-size"] == 48 * MIB

    io(volume.path, "write -P 7 40M 64k", image_format=image_format)
    assert "there is data at its end" in shrunk(volume, 32, admin).error
    io(volume.path, "write -P 0 40M 64k", image_format=image_format)

    start = Path(pool.target_path).parent / f"{volume.pool.name}.mbr"
    start.write_bytes(mbr((0x83, 2048, 24 * 2048)))
    io(volume.path, f"write -s {start} 0 512", image_format=image_format)
    assert "its last partition ends" in shrunk(volume, 20, admin).error
    assert shrunk(volume, 32, admin).status == "succeeded"
    assert info(volume.path)["virtual-size"] == 32 * MIB

    start.write_bytes(mbr((0xEE, 1, 2**20)))
    io(volume.path, f"write -s {start} 0 512", image_format=image_format)
    assert "GPT" in shrunk(volume, 30, admin).error
    start.write_bytes(b"\xeb<\x90mkfs.fat".ljust(510, b"\1") + b"\x55\xaa")
    io(volume.path, f"write -s {start} 0 512", image_format=image_format)
    refused = shrunk(volume, 30, admin)
    assert (refused.status, refused.error_code) == ("failed", "wrong_state")
    assert info(volume.path)["virtual-size"] == 32 * MIB
    start.unlink()


def test_an_image_that_points_at_a_file_of_the_host_is_never_opened(new_pool, admin):
    pool = new_pool()
    target = Path(pool.target_path)
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", str(target / "real"), "1M"], check=True)
    for name, reference in (("evil.qcow2", "/etc/shadow"), ("json.qcow2", 'json:{"driver":"host_device"}')):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(target / name), "1M"], check=True)
        rebase = ["qemu-img", "rebase", "-u", "-F", "raw", "-b", reference, str(target / name)]
        subprocess.run(rebase, check=True, capture_output=True)
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*create, "-o", f"data_file={target}/data.bin", str(target / "data.qcow2"), "1M"], check=True)
    ring = ["a.qcow2", "b.qcow2"]
    for name in ring:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(target / name), "1M"], check=True)
    for name, below in zip(ring, reversed(ring), strict=True):
        subprocess.run(
            ["qemu-img", "rebase", "-u", "-F", "qcow2", "-b", str(target / below), str(target / name)], check=True
        )
    look(pool)
    before = sorted(path.name for path in target.iterdir())
    for name, words in (
        ("evil.qcow2", "/etc/shadow"),
        ("json.qcow2", "json:"),
        ("data.qcow2", "data.bin"),
        ("a.qcow2", "in a circle"),
    ):
        volume = Volume.objects.get(pool=pool, name=name)
        job = run(services.copy_volume(volume, pool, "stolen.raw", by=admin, image_format="raw"))
        assert (job.status, job.error_code) == ("failed", "unsafe_image"), (name, job.error)
        assert words in job.error
        overlay = run(services.create_volume(pool, "over.qcow2", MIB, by=admin, backing=volume))
        assert (overlay.status, overlay.error_code) == ("failed", "unsafe_image")
        if name not in ring:
            grown = run(services.resize_volume(volume, 2 * MIB, by=admin))
            assert (grown.status, grown.error_code) == ("failed", "unsafe_image")
    assert sorted(path.name for path in target.iterdir()) == before


def test_only_one_job_changes_a_volume(pool, admin):
    volume = make(pool, admin)
    job = services.copy_volume(volume, pool, "copy.qcow2", by=admin)
    with pytest.raises(Exception, match="is being changed"):
        services.wipe_volume(volume, by=admin)
    job.request_cancel(admin)
    Volume.objects.filter(pk=volume.pk).update(format="vmdk")
    volume.refresh_from_db()
    with pytest.raises(WrongState, match="vmdk"):
        services.copy_volume(volume, pool, "copy.qcow2", by=admin)


def test_images_that_lie_on_each_other_in_a_circle_can_be_deleted(pool, admin):
    names = ("a.qcow2", "b.qcow2", "self.qcow2")
    paths = {name: Path(pool.target_path, name) for name in names}
    for name in names:
        make(pool, admin, name, mib=1)
    over = {"a.qcow2": "b.qcow2", "b.qcow2": "a.qcow2", "self.qcow2": "self.qcow2"}
    for name, below in over.items():
        words = ["-u", "-F", "qcow2", "-b", str(paths[below]), "-f", "qcow2", str(paths[name])]
        subprocess.run(["qemu-img", "rebase", *words], check=True)
    top = paths["a.qcow2"].with_name("top.qcow2")
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", str(paths["a.qcow2"]), "-F", "qcow2", str(top), "1M"],
        check=True,
    )
    look(pool)
    with pytest.raises(VolumeInUse, match=r"top\.qcow2"):
        services.delete_volume(pool.volumes.get(name="a.qcow2"), by=admin)
    for name in ("top.qcow2", *names):
        job = run(services.delete_volume(pool.volumes.get(name=name), by=admin))
        assert job.status == "succeeded", job.error
    assert list(Path(pool.target_path).iterdir()) == []
