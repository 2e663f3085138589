"""Volumes are made, grown and deleted by jobs; whatever stops one, nothing half is left behind."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from jobs.models import Busy, Job
from jobs.runner import roll_back_dead_jobs
from storage import services
from storage import tasks as storage_tasks
from storage.inventory import refresh_pool
from storage.making import take_back_volume
from storage.models import Volume
from tests.storage.conftest import run
from virt import volumes
from virt.errors import Invalid, PoolFull, VolumeExists, VolumeInUse, WrongState

pytestmark = pytest.mark.libvirt
MIB = 1024**2
GIB = 1024**3


@pytest.fixture
def made(pool, admin):
    job = run(services.create_volume(pool, "data.qcow2", 64 * MIB, by=admin))
    assert job.status == "succeeded", job.error
    return Volume.objects.get(pk=job.result["volume_id"])


def names(virsh, pool):
    return [line.split()[0] for line in virsh("vol-list", pool.name).splitlines() if line.strip()]


def qemu_info(path):
    return json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", str(path)]))


def look(pool):
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)


def expire(job):
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_volume_is_made_and_is_there_for_virsh(made, pool, virsh):
    assert (made.format, made.capacity_bytes, made.missing_since) == ("qcow2", 64 * MIB, None)
    assert names(virsh, pool) == ["data.qcow2"]
    info = qemu_info(made.path)
    assert (info["format"], info["virtual-size"]) == ("qcow2", 64 * MIB)


@pytest.mark.parametrize(("image_format", "preallocation"), [("raw", "full"), ("qcow2", "full"), ("raw", "none")])
def test_a_volume_takes_its_space_now_or_later(pool, admin, image_format, preallocation):
    job = services.create_volume(pool, "disk", 16 * MIB, image_format, by=admin, preallocation=preallocation)
    assert run(job).status == "succeeded", job.error
    volume = Volume.objects.get()
    assert volume.format == image_format
    assert (volume.allocation_bytes >= 16 * MIB) == (preallocation == "full")


@pytest.mark.parametrize(
    ("name", "capacity_bytes", "image_format", "field"),
    [
        ("", 64 * MIB, "qcow2", "name"),
        ("a/b", 64 * MIB, "qcow2", "name"),
        ("../b", 64 * MIB, "qcow2", "name"),
        ("a\nb", 64 * MIB, "qcow2", "name"),
        ('"quoted"', 64 * MIB, "qcow2", "name"),
        ("a<b>", 64 * MIB, "qcow2", "name"),
        ("x" * 300, 64 * MIB, "qcow2", "name"),
        ("虚" * 100, 64 * MIB, "qcow2", "name"),
        ("a", 0, "qcow2", "capacity_bytes"),
        ("a", -1, "qcow2", "capacity_bytes"),
        ("a", 2**63, "qcow2", "capacity_bytes"),
        ("a", 64 * MIB, "vmdk", "format"),
    ],
)
def test_what_cannot_be_a_volume_is_refused_before_a_job_starts(pool, admin, name, capacity_bytes, image_format, field):
    with pytest.raises(Invalid) as refused:
        services.create_volume(pool, name, capacity_bytes, image_format, by=admin)
    assert refused.value.field == field
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", ["虚拟机 磁盘.qcow2", "Tom & Anna's disk", "a;b$(c)", "虚" * 85])
def test_a_name_in_any_script_is_just_a_name(pool, admin, virsh, name):
    job = run(services.create_volume(pool, name, 4 * MIB, by=admin))
    assert job.status == "succeeded", job.error
    assert Volume.objects.get().name == name
    assert (Path(pool.target_path) / name).is_file()
    run(services.delete_volume(Volume.objects.get(), by=admin))
    assert virsh("vol-list", pool.name).strip() == ""


def test_more_than_the_pool_holds_is_refused_before_anything_is_made(new_pool, admin, virsh):
    pool = new_pool(size_mib=24)
    for size, image_format, preallocation in ((25, "qcow2", "none"), (24, "raw", "none"), (24, "qcow2", "full")):
        Path(pool.target_path, "filler").write_bytes(bytes(MIB))
        look(pool)
        pool.refresh_from_db()
        with pytest.raises(PoolFull) as refused:
            services.create_volume(pool, "big", size * MIB, image_format, by=admin, preallocation=preallocation)
        assert (refused.value.status, refused.value.field) == (507, "capacity_bytes")
        assert "24 MiB" in str(refused.value)
    assert names(virsh, pool) == ["filler"]


def test_a_qcow2_may_promise_more_than_is_free_and_the_job_says_so(new_pool, admin):
    pool = new_pool(size_mib=24)
    Path(pool.target_path, "filler").write_bytes(bytes(20 * MIB))
    look(pool)
    pool.refresh_from_db()
    job = run(services.create_volume(pool, "promise", 16 * MIB, by=admin))
    assert job.status == "succeeded", job.error
    assert any("may grow to 16 MiB" in line.text for line in job.log_lines)


def test_a_pool_that_fills_up_in_the_middle_leaves_nothing_behind(new_pool, admin, virsh):
    pool = new_pool(size_mib=24)
    job = services.create_volume(pool, "big", 20 * MIB, "raw", by=admin, preallocation="full")
    Path(pool.target_path, "filler").write_bytes(bytes(10 * MIB))  # after the last look, before the job
    run(job)
    assert (job.status, job.error_code) == ("failed", "pool_full")
    assert names(virsh, pool) == ["filler"]
    assert not job.journal.exists()


def test_a_name_that_is_taken_is_refused_and_the_volume_that_has_it_stays(made, pool, admin, virsh):
    with pytest.raises(VolumeExists):
        services.create_volume(pool, "data.qcow2", 4 * MIB, by=admin)
    job = services.create_volume(pool, "other", 4 * MIB, by=admin)
    Path(pool.target_path, "other").write_text("somebody's file")  # copied there meanwhile; libvirt does not know it
    run(job)
    assert (job.status, job.error_code) == ("failed", "volume_exists")
    assert Path(pool.target_path, "other").read_text() == "somebody's file"
    assert Volume.objects.filter(name="other", missing_since=None).exists()


def test_a_name_that_somebody_takes_in_the_same_instant_is_not_taken_back(pool, admin, monkeypatch):
    job = services.create_volume(pool, "other", 4 * MIB, by=admin)
    create = volumes.create_volume

    def late(*arguments, **options):
        Path(pool.target_path, "other").write_text("somebody's file")
        return create(*arguments, **options)

    monkeypatch.setattr(volumes, "create_volume", late)
    run(job)
    assert (job.status, job.error_code) == ("failed", "volume_exists")
    assert Path(pool.target_path, "other").read_text() == "somebody's file"


class Killed(BaseException):
    """Stands for the instant at which the process is gone."""


@pytest.mark.parametrize("instant", ["before", "after"])
def test_a_worker_that_dies_while_it_makes_a_volume_leaves_none(pool, admin, virsh, monkeypatch, instant):
    job = services.create_volume(pool, "half.qcow2", 64 * MIB, by=admin)
    create = volumes.create_volume

    def die(*arguments, **options):
        if instant == "after":
            create(*arguments, **options)
        raise Killed

    monkeypatch.setattr(volumes, "create_volume", die)
    with pytest.raises(Killed):
        storage_tasks.create_volume.run_here(job)
    assert names(virsh, pool) == (["half.qcow2"] if instant == "after" else [])
    expire(job)
    roll_back_dead_jobs()
    job.refresh_from_db()
    assert job.status == "failed"
    assert "worker was stopped" in job.error
    assert names(virsh, pool) == []
    assert not Volume.objects.exists()
    assert not job.journal.exists()


def test_taking_back_is_safe_to_repeat_and_when_there_is_nothing(made, pool, virsh):
    for _time in range(2):
        take_back_volume(host_id=pool.host_id, pool=pool.name, name=made.name)
    take_back_volume(host_id=pool.host_id, pool="kvt-no-such-pool", name="x")
    take_back_volume(host_id=0, pool=pool.name, name="x")
    assert names(virsh, pool) == []
    assert not Volume.objects.exists()


def test_a_volume_grows_and_shrinks_only_when_asked(made, admin):
    for size in (64 * MIB, 32 * MIB):
        with pytest.raises(Invalid) as refused:
            services.resize_volume(made, size, by=admin)
        assert refused.value.field == "capacity_bytes"
    job = run(services.resize_volume(made, 128 * MIB, by=admin))
    assert job.status == "succeeded", job.error
    made.refresh_from_db()
    assert made.capacity_bytes == 128 * MIB == qemu_info(made.path)["virtual-size"]
    with pytest.raises(PoolFull):
        services.resize_volume(made, 2**59, by=admin)


def test_a_disk_of_a_running_guest_grows_and_neither_shrinks_nor_goes(made, admin, new_guest, virsh):
    guest = new_guest(made.path, start=True)
    assert run(services.resize_volume(made, 128 * MIB, by=admin)).status == "succeeded"
    made.refresh_from_db()
    assert made.capacity_bytes == 128 * MIB
    assert str(128 * MIB) in virsh("domblkinfo", guest, "vda")
    shrink = run(services.resize_volume(made, 64 * MIB, by=admin, shrink=True))
    assert (shrink.status, shrink.error_code) == ("failed", "volume_in_use")
    assert guest in shrink.error
    delete = run(services.delete_volume(made, by=admin))
    assert (delete.status, delete.error_code) == ("failed", "volume_in_use")
    assert guest in delete.error
    assert qemu_info_of_open(made)["virtual-size"] == 128 * MIB


def qemu_info_of_open(volume):
    return json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", volume.path]))


def test_a_disk_of_a_guest_that_is_off_can_grow_but_not_go(made, admin, new_guest, virsh, pool):
    guest = new_guest(made.path)
    assert run(services.resize_volume(made, 128 * MIB, by=admin)).status == "succeeded"
    job = run(services.delete_volume(made, by=admin))
    assert (job.status, job.error_code) == ("failed", "volume_in_use")
    assert guest in job.error
    virsh("undefine", guest)
    assert run(services.delete_volume(made, by=admin)).status == "succeeded"
    assert names(virsh, pool) == []
    assert not Volume.objects.exists()


def test_a_volume_on_which_another_one_lies_is_not_deleted(made, pool, admin):
    overlay = Path(pool.target_path) / "overlay.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", made.path, str(overlay)], check=True
    )
    look(pool)
    assert Volume.objects.get(name="overlay.qcow2").backing_path == made.path
    with pytest.raises(VolumeInUse, match=r"overlay\.qcow2"):
        services.delete_volume(made, by=admin)


def test_what_is_gone_already_is_just_forgotten(made, pool, admin):
    Path(made.path).unlink()
    assert run(services.delete_volume(made, by=admin)).status == "succeeded"
    assert not Volume.objects.exists()


def test_two_changes_of_one_volume_at_once_are_refused(made, admin):
    first = services.resize_volume(made, 128 * MIB, by=admin)
    with pytest.raises(Busy, match=r"Grow data\.qcow2"):
        services.delete_volume(made, by=admin)
    run(first)
    run(services.delete_volume(made, by=admin))


def test_nothing_can_be_made_in_a_stopped_pool(pool, admin, virsh):
    job = run(services.stop_pool(pool, by=admin))
    assert job.status == "succeeded", job.error
    pool.refresh_from_db()
    assert not pool.is_active
    with pytest.raises(WrongState):
        services.create_volume(pool, "a", 4 * MIB, by=admin)
    assert run(services.start_pool(pool, by=admin)).status == "succeeded"
    again = run(services.start_pool(pool, by=admin))
    assert again.status == "succeeded"
    assert "nothing to do" in "".join(line.text for line in again.log_lines)
    assert virsh("pool-info", pool.name).split("State:")[1].split()[0] == "running"


def test_a_pool_is_started_with_its_host_or_not(pool, admin, virsh):
    for on, word in ((True, "yes"), (False, "no")):
        run(services.set_pool_autostart(pool, on, by=admin))
        assert virsh("pool-info", pool.name).split("Autostart:")[1].split()[0] == word
        pool.refresh_from_db()
        assert pool.autostart is on


def test_what_was_copied_into_the_directory_shows_up_after_a_refresh(pool, admin):
    Path(pool.target_path, "copied.img").write_bytes(bytes(MIB))
    job = run(services.refresh_pool(pool, by=admin))
    assert job.status == "succeeded"
    assert Volume.objects.get().name == "copied.img"
    pool.refresh_from_db()
    assert pool.refreshed_at > job.started_at
