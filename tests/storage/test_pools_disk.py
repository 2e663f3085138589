"""A whole disk as a pool: its partitions are volumes, which the kernel names. libvirt's driver is real, the disk a
loop device.
"""

import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from hosts.models import Host
from jobs.models import Job
from storage import copying, pooling, services
from storage.models import Pool, Volume
from tests.storage.conftest import run
from tests.virt.daemon import private_daemon
from virt import partitions, pools
from virt.errors import Invalid, NotSupported, PoolFull
from virt.pool_xml import PoolSpec

pytestmark = pytest.mark.libvirt
MIB = 1024**2


@pytest.fixture
def disk(loop):
    """The name of a loop device, where partitions of them can be made."""
    if not shutil.which("parted"):
        pytest.skip("disk: this machine has no parted")
    partition = Path(f"{loop}p1")
    parted(loop, "mklabel", "gpt")
    parted(loop, "mkpart", "primary", "1MiB", "2MiB")
    is_shown = partition.exists()
    parted(loop, "rm", "1")
    subprocess.run(["wipefs", "--quiet", "--all", loop], check=True)
    if not is_shown:
        pytest.skip("disk: this machine shows no partitions of loop devices below /dev")
    yield loop
    for number, *_rest in table(loop):
        parted(loop, "rm", number)
    assert not partition.exists()


@pytest.fixture
def link(disk, directory):
    """Another name for the disk, which ends in a letter: only of such disks libvirt can delete partitions."""
    path = directory / f"{Path(disk).name}p"
    path.symlink_to(disk)
    return str(path)


@pytest.fixture
def make(local_host, admin, virsh):
    """Makes a pool on that device."""
    name = f"kvt-{uuid.uuid4().hex[:8]}"

    def create(device: str, build: str = "build", table: str = "gpt") -> Job:
        spec = PoolSpec(name=name, type="disk", device=device, format=table)
        return run(pooling.create_pool(local_host, spec, by=admin, build=build))

    yield create
    virsh("pool-destroy", name, check=False)
    virsh("pool-undefine", name, check=False)


@pytest.fixture
def host_without_parted(db, directory):
    """A libvirtd of the tests' own, which does not find it where it looks for programs."""
    if shutil.which("parted", path="/usr/bin:/bin"):
        pytest.skip("disk: parted is where libvirtd needs its other programs from, so it cannot be hidden")
    with private_daemon(directory, path="/usr/bin:/bin") as daemon:
        yield Host.objects.create(name="bare", uri=daemon.uri, state=Host.State.CONNECTED)


def parted(disk: str, *words: str) -> str:
    done = subprocess.run(["parted", "--script", "--machine", disk, *words], capture_output=True, text=True)
    return done.stdout


def table(disk: str) -> list[list[str]]:
    """The partitions as parted sees them: number, start, end and size in bytes …"""
    return [line.rstrip(";").split(":") for line in parted(disk, "unit", "B", "print").splitlines()[2:]]


def pool_of(job: Job) -> Pool:
    assert job.status == "succeeded", (job.error, job.error_details)
    return Pool.objects.get(pk=job.result["pool_id"])


def test_a_disk_is_divided_and_given_back(make, link, disk, admin, virsh):
    pool = pool_of(make(link))
    base = Path(disk).name
    for number in (1, 2):
        job = run(services.create_volume(pool, "", 20 * MIB, "raw", by=admin))
        assert job.status == "succeeded", (job.error, job.error_details)
        assert Volume.objects.get(pk=job.result["volume_id"]).name == f"{base}p{number}"
    assert [(number, size) for number, _start, _end, size, *_rest in table(disk)] == [
        ("1", f"{20 * MIB}B"),
        ("2", f"{20 * MIB}B"),
    ]
    first, _second = pool.volumes.order_by("name")
    assert (first.capacity_bytes, first.path) == (20 * MIB, f"/dev/{base}p1")
    assert f"{base}p1" in virsh("vol-list", pool.name)
    # What lies in the middle is free again, and the next partition has its number.
    assert run(services.delete_volume(first, by=admin)).status == "succeeded"
    assert [each[0] for each in table(disk)] == ["2"]
    job = run(services.create_volume(pool, "", 8 * MIB, "raw", by=admin))
    assert Volume.objects.get(pk=job.result["volume_id"]).name == f"{base}p1"
    deleted = run(pooling.delete_pool(pool, by=admin, data="volumes"))
    assert deleted.status == "succeeded", (deleted.error, deleted.error_details)
    assert table(disk) == []
    assert pool.name not in virsh("pool-list", "--all")


def test_what_cannot_be_is_refused_with_its_reason(make, link, disk, admin, new_pool):
    pool = pool_of(make(link))
    for name, size, image_format, error in (
        ("mine", 8 * MIB, "raw", Invalid),
        ("", 8 * MIB, "qcow2", Invalid),
        ("", 80 * MIB, "raw", PoolFull),
    ):
        with pytest.raises(error):
            services.create_volume(pool, name, size, image_format, by=admin)
    made = run(services.create_volume(pool, "", 8 * MIB, "raw", by=admin))
    volume = Volume.objects.select_related("pool__host").get(pk=made.result["volume_id"])
    with pytest.raises(NotSupported, match="keeps its size"):
        services.resize_volume(volume, 16 * MIB, by=admin)
    elsewhere = new_pool()
    file = run(services.create_volume(elsewhere, "a.raw", 8 * MIB, "raw", by=admin))
    original = Volume.objects.select_related("pool__host").get(pk=file.result["volume_id"])
    with pytest.raises(NotSupported, match="the kernel names"):
        copying.copy_volume(original, pool, "a", by=admin)
    # Its free space lies in two pieces, of which none is as large as all of it.
    second = run(services.create_volume(pool, "", 30 * MIB, "raw", by=admin))
    assert second.status == "succeeded", second.error
    assert run(services.delete_volume(volume, by=admin)).status == "succeeded"
    pool.refresh_from_db()
    refused = run(services.create_volume(pool, "", 30 * MIB, "raw", by=admin))
    assert (refused.status, refused.error_code) == ("failed", "pool_full"), refused.error_details
    assert len(table(disk)) == 1


def test_a_partition_is_written_over_and_copied_like_any_disk(make, link, admin, new_pool, virsh, tmp_path):
    pool, files = pool_of(make(link)), new_pool()
    made = run(services.create_volume(pool, "", 8 * MIB, "raw", by=admin))
    volume = Volume.objects.select_related("pool__host").get(pk=made.result["volume_id"])
    content = tmp_path / "content"
    content.write_bytes(b"kvt" * (MIB // 3))
    virsh("vol-upload", "--pool", pool.name, volume.name, str(content))
    job = run(copying.copy_volume(volume, files, "copy.qcow2", by=admin, image_format="qcow2"))
    assert job.status == "succeeded", (job.error, job.error_details)
    copied = f"{files.target_path}/copy.qcow2"
    subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", volume.path, copied], check=True)
    assert run(services.wipe_volume(volume, by=admin)).status == "succeeded"
    assert not any(Path(volume.path).read_bytes())


def test_a_disk_with_something_on_it_is_left_alone(make, link, disk, admin):
    blank = make(link, build="none")
    assert (blank.status, blank.error_code) == ("failed", "wrong_state"), blank.error_details
    assert "partition table" in blank.error
    pool = pool_of(make(link))
    run(services.create_volume(pool, "", 8 * MIB, "raw", by=admin))
    assert run(pooling.delete_pool(pool, by=admin)).status == "succeeded"
    again = make(link)
    assert (again.status, again.error_code) == ("failed", "wrong_state"), again.error_details
    assert "something is on its device" in again.error
    kept = pool_of(make(link, build="none"))
    assert kept.volumes.count() == len(table(disk)) == 1
    assert run(pooling.delete_pool(kept, by=admin)).status == "succeeded"
    emptied = pool_of(make(link, build="overwrite"))
    assert emptied.volumes.count() == len(table(disk)) == 0
    assert run(pooling.delete_pool(emptied, by=admin)).status == "succeeded"
    gone = make("/dev/kvt-not-there")
    assert gone.status == "failed"
    assert "no such device" in gone.error, gone.error_details


def test_a_job_that_dies_takes_its_partition_back(make, link, disk, admin, monkeypatch):
    pool = pool_of(make(link))
    real = partitions.create_partition

    def dies(*arguments):
        real(*arguments)
        assert len(table(disk)) == 1
        raise RuntimeError

    monkeypatch.setattr("storage.making.partitions.create_partition", dies)
    assert run(services.create_volume(pool, "", 8 * MIB, "raw", by=admin)).status == "failed"
    assert table(disk) == []
    assert not pool.volumes.exists()


def test_a_disk_that_the_pool_names_by_a_link(make, disk, directory, admin):
    """As everybody does who means one disk and no other: by-id. Of the kernel's name nobody knows beforehand."""
    by_id = directory / "pci-0000:00:1f.2-ata-a"
    by_id.symlink_to(disk)
    pool = pool_of(make(str(by_id)))
    for number in (1, 2):
        job = run(services.create_volume(pool, "", 8 * MIB + 1, "raw", by=admin))
        assert job.status == "succeeded", (job.error, job.error_details)
        made = Volume.objects.get(pk=job.result["volume_id"])
        assert (made.name, made.capacity_bytes >= 8 * MIB + 1) == (f"{Path(disk).name}p{number}", True)
        assert len(table(disk)) == number


def test_a_disk_whose_name_ends_in_a_digit_keeps_its_partitions(make, disk, admin, local_host):
    """As nvme0n1 does: libvirt asks parted to delete the partition "p1"."""
    job = make(disk, table="dos")
    pool = pool_of(job)
    assert "deletes none" in "".join(job.log.values_list("text", flat=True))
    made = run(services.create_volume(pool, "", 8 * MIB, "raw", by=admin))
    assert made.status == "succeeded", (made.error, made.error_details)
    volume = Volume.objects.select_related("pool__host").get(pk=made.result["volume_id"])
    refused = run(services.delete_volume(volume, by=admin))
    assert (refused.status, refused.error_code) == ("failed", "not_supported"), refused.error_details
    assert "parted" in refused.error
    assert len(table(disk)) == 1
    # A wrong guess of its name leaves nothing beside the partition that was asked for.
    with local_host.connect() as conn, pytest.raises(partitions.OtherName) as other:
        partitions.create_partition(conn, pool.name, "loopx", 8 * MIB)
    assert (other.value.name, other.value.exists) == (f"{Path(disk).name}p2", True)


def test_a_host_without_parted_is_told_so(host_without_parted, admin, directory):
    device = directory / "device"
    with device.open("wb") as file:
        file.truncate(16 * MIB)
    device.chmod(0o666)
    spec = PoolSpec(name="kvt-bare", type="disk", device=str(device), format="gpt")
    job = run(pooling.create_pool(host_without_parted, spec, by=admin, build="build"))
    assert (job.status, job.error_code) == ("failed", "not_supported"), job.error_details
    assert "Install parted" in job.error
    with host_without_parted.connect() as conn:
        assert pools.list_pools(conn) == []
