"""Pools of every type are made, changed and deleted; whatever fails, libvirt has what it had."""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from lxml import etree

from jobs.models import Job
from storage import pooling, services
from storage.inventory import refresh_pool, sync_kinds
from storage.models import Pool, Volume
from tests.storage.conftest import run
from virt import pool_reach, pools
from virt.errors import Invalid, PoolExists, VolumeInUse, WrongState
from virt.pool_xml import FIELDS, PoolSpec

pytestmark = pytest.mark.libvirt
MIB = 1024**2
SECRET = "5b3c2f1e-8f3f-4f6c-9d0e-0a1b2c3d4e5f"
SPECS = {
    "dir": {"path": "/srv/images", "mode": "711", "owner": "0", "group": "0"},
    "fs": {"device": "/dev/vdz1", "path": "/srv/images", "format": "ext4"},
    "netfs": {"host": "nas.example", "directory": "/export/vm", "path": "/srv/nfs", "format": "nfs"},
    "logical": {"source_name": "vg0", "device": "/dev/vdz,/dev/vdy"},
    "disk": {"device": "/dev/vdz", "format": "gpt"},
    "iscsi": {"host": "san.example:3261", "target": "iqn.2013-06.com.x:a", "auth_user": "u", "auth_secret": SECRET},
    "iscsi-direct": {"host": "10.0.0.1", "target": "iqn.2013-06.com.example:a", "initiator": "iqn.2020-01.x:me"},
    "scsi": {"adapter": "host3"},
    "mpath": {},
    "rbd": {"host": "mon1:6789,mon2,[fd00::1]:6789", "source_name": "rbd", "auth_user": "admin", "auth_secret": SECRET},
    "gluster": {"host": "gl.example", "source_name": "vol0", "directory": "/sub"},
    "zfs": {"source_name": "tank", "device": "/dev/vdz"},
    "vstorage": {"source_name": "cluster", "path": "/srv/vstorage"},
}


@pytest.fixture
def name(virsh):
    """A name for a pool, which is gone at the end."""
    chosen = f"kvt-{uuid.uuid4().hex[:8]}"
    yield chosen
    virsh("pool-destroy", chosen, check=False)
    virsh("pool-undefine", chosen, check=False)


def test_every_type_is_described_as_libvirts_schema_wants_it(local_host, name, virsh):
    schema = etree.RelaxNG(file="/usr/share/libvirt/schemas/storagepool.rng")
    assert SPECS.keys() == FIELDS.keys()
    with local_host.connect() as conn:
        supported = {kind["type"] for kind in kinds(local_host, conn)}
        for kind, fields in SPECS.items():
            spec = PoolSpec(name=name, type=kind, **fields)
            assert schema.validate(etree.fromstring(spec.to_xml())), (kind, spec.to_xml(), schema.error_log)
            if kind in supported:
                info = pools.define_pool(conn, spec.to_xml())
                assert (info.type, info.path) == (kind, spec.target_path)
                virsh("pool-undefine", name)
    assert {"dir", "fs", "netfs", "logical", "disk", "iscsi", "scsi", "mpath"} <= supported


def kinds(host, conn):
    sync_kinds(host, conn)
    return pooling.kinds_of(host)


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("dir", {}, "path"),
        ("dir", {"path": "/a/../etc"}, "path"),
        ("dir", {"path": "relative"}, "path"),
        ("dir", {"path": "/a\0b"}, "path"),
        ("dir", {"path": "/a", "mode": "rwx"}, "mode"),
        ("dir", {"path": "/a", "owner": "-1"}, "owner"),
        ("dir", {"path": "/a", "host": "x"}, "host"),
        ("netfs", {"host": "a b", "directory": "/x", "path": "/y"}, "host"),
        ("netfs", {"host": "x", "directory": "/x/../y", "path": "/y"}, "directory"),
        ("logical", {"source_name": "-x"}, "source_name"),
        ("iscsi", {"host": "x", "target": "iqn", "auth_user": "u"}, "auth_user"),
        ("rbd", {"host": "x:99999", "source_name": "rbd"}, "host"),
        ("sheepdog", {}, "type"),
    ],
)
def test_what_cannot_be_a_pool_is_refused_before_a_job_starts(local_host, admin, kind, fields, field):
    with pytest.raises(Invalid) as refused:
        pooling.create_pool(local_host, PoolSpec(name="kvt-x", type=kind, **fields), by=admin)
    assert refused.value.field == field
    assert not Job.objects.exists()


def test_a_directory_is_made_with_owner_and_mode(local_host, admin, directory, name, virsh):
    path = directory / "deep"
    spec = PoolSpec(name=name, type="dir", path=str(path), mode="0711", owner="0", group="64055")
    job = run(pooling.create_pool(local_host, spec, by=admin, build="build"))
    assert job.status == "succeeded", job.error
    status = path.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o711, 0, 64055)
    pool = Pool.objects.get(pk=job.result["pool_id"])
    assert (pool.is_active, pool.autostart, pool.closed_to_qemu) == (True, True, "")
    assert "<capacity" not in pool.xml
    assert virsh("pool-info", name).split("Autostart:")[1].split()[0] == "yes"
    with pytest.raises(PoolExists):
        pooling.create_pool(local_host, spec, by=admin)
    with pytest.raises(PoolExists):
        pooling.create_pool(local_host, PoolSpec(name=f"{name}-b", type="dir", path=str(path)), by=admin)


def test_a_pool_that_does_not_start_is_forgotten_again(local_host, admin, directory, name, virsh):
    spec = PoolSpec(name=name, type="dir", path=str(directory / "not-there"))
    job = run(pooling.create_pool(local_host, spec, by=admin))
    assert job.status == "failed"
    assert name not in virsh("pool-list", "--all")
    assert not Pool.objects.filter(name=name).exists()


def test_qemu_is_let_into_a_directory_that_it_could_not_enter(local_host, admin, directory, name, virsh):
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    path = closed / "pool"
    path.mkdir(mode=0o750)
    job = run(pooling.create_pool(local_host, PoolSpec(name=name, type="dir", path=str(path)), by=admin))
    assert job.status == "succeeded", job.error
    pool = Pool.objects.get(pk=job.result["pool_id"])
    assert pool.closed_to_qemu == str(closed)
    mended = run(pooling.let_qemu_in(pool, by=admin))
    assert mended.status == "succeeded", mended.error
    assert mended.result["opened"] == [str(closed), str(path)]
    assert [oct(each.stat().st_mode & 0o777) for each in (closed, path)] == ["0o701", "0o751"]
    pool.refresh_from_db()
    assert (pool.closed_to_qemu, pool.is_active) == ("", True)
    with local_host.connect() as conn:
        assert pool_reach.closed_on_the_way(conn, str(path)) == []
    assert "kvmweb-look" not in virsh("pool-list", "--all")


def test_a_file_system_on_a_device(local_host, admin, directory, loop, name):
    mount = directory / "mount"
    mount.mkdir()
    fields = {"device": loop, "path": str(mount), "format": "ext4"}
    spec = PoolSpec(name=name, type="fs", **fields)
    job = run(pooling.create_pool(local_host, spec, by=admin, build="build"))
    assert job.status == "succeeded", job.error
    pool = Pool.objects.get(pk=job.result["pool_id"])
    assert os.path.ismount(mount)
    assert 32 * MIB < pool.capacity_bytes < 64 * MIB
    made = run(services.create_volume(pool, "a.qcow2", 8 * MIB, by=admin))
    assert made.status == "succeeded", made.error
    assert run(pooling.delete_pool(pool, by=admin)).status == "succeeded"
    assert not os.path.ismount(mount)
    # What is there is not destroyed unless that was asked for.
    again = run(pooling.create_pool(local_host, PoolSpec(name=name, type="fs", **fields), by=admin, build="build"))
    assert (again.status, again.error_code) == ("failed", "wrong_state"), again.error_details
    kept = run(pooling.create_pool(local_host, PoolSpec(name=name, type="fs", **fields), by=admin))
    assert kept.status == "succeeded", kept.error
    assert Volume.objects.filter(pool=kept.result["pool_id"], name="a.qcow2").exists()


def test_what_is_not_there_is_told_and_leaves_nothing(local_host, admin, directory, loop, name, virsh):
    for kind, fields, sentence in (
        ("scsi", {"adapter": "scsi_host77"}, "no such SCSI adapter"),
        ("fs", {"device": "/dev/kvt-not-there", "path": str(directory)}, "no such device"),
        ("fs", {"device": loop, "path": str(directory), "format": "ext4"}, "no file system of that kind"),
    ):
        job = run(pooling.create_pool(local_host, PoolSpec(name=name, type=kind, **fields), by=admin))
        assert (job.status, job.error_code) == ("failed", "wrong_state"), job.error_details
        assert sentence in job.error
        assert name not in virsh("pool-list", "--all")
        assert not Pool.objects.exists()


def test_multipath_devices(local_host, admin, name, virsh):
    """Where the kernel has none there are no volumes; the pool is there all the same."""
    job = run(pooling.create_pool(local_host, PoolSpec(name=name, type="mpath"), by=admin))
    assert job.status == "succeeded", job.error_details
    pool = Pool.objects.get(pk=job.result["pool_id"])
    assert run(services.refresh_pool(pool, by=admin)).status == "succeeded"
    pool.refresh_from_db()
    assert (pool.is_active, pool.target_path) == (True, "/dev/mapper")
    assert pool.volumes.count() == len(virsh("vol-list", name).splitlines()[2:-1])
    assert run(pooling.delete_pool(pool, by=admin)).status == "succeeded"
    assert name not in virsh("pool-list", "--all")


@pytest.mark.parametrize(
    ("kind", "tool", "package"),
    [("logical", "vgs", "lvm2"), ("iscsi", "iscsiadm", "open-iscsi")],
)
def test_a_host_that_lacks_the_tools_is_told_so(local_host, admin, loop, name, virsh, kind, tool, package):
    if shutil.which(tool):
        pytest.skip(f"{kind}: this machine has {tool}; what is said where it is missing cannot be seen here")
    fields = {
        "logical": {"source_name": "kvt-vg", "device": loop},
        "iscsi": {"host": "127.0.0.1", "target": "iqn.2013-06.com.example:a"},
    }[kind]
    build = "none" if kind == "iscsi" else "build"
    job = run(pooling.create_pool(local_host, PoolSpec(name=name, type=kind, **fields), by=admin, build=build))
    assert (job.status, job.error_code) == ("failed", "not_supported"), job.error_details
    assert package in job.error
    assert name not in virsh("pool-list", "--all")


def test_a_volume_group(local_host, admin, loop, name):
    if not shutil.which("vgs"):
        pytest.skip("logical: this machine has no lvm2")
    if not Path("/dev/mapper/control").exists():
        pytest.skip("logical: the kernel of this machine has no device mapper")
    spec = PoolSpec(name=name, type="logical", source_name=name, device=loop)
    job = run(pooling.create_pool(local_host, spec, by=admin, build="build"))
    assert job.status == "succeeded", job.error
    pool = Pool.objects.get(pk=job.result["pool_id"])
    made = run(services.create_volume(pool, "disk", 8 * MIB, "raw", by=admin))
    assert made.status == "succeeded", made.error
    assert run(pooling.delete_pool(pool, by=admin, data="volumes")).status == "succeeded"
    subprocess.run(["vgremove", "-f", name], check=True)


def test_a_file_server(local_host, admin, directory, name):
    """Also a pool that does not answer: nobody serves NFS on the machine's loopback."""
    if "nfs" not in Path("/proc/filesystems").read_text() or not shutil.which("mount.nfs"):
        pytest.skip("netfs: the kernel of this machine has no NFS, or mount.nfs is missing")
    spec = PoolSpec(name=name, type="netfs", host="127.0.0.1", directory="/x", path=str(directory), format="nfs")
    job = run(pooling.create_pool(local_host, spec, by=admin, build="build"))
    assert job.status == "failed"
    assert not Pool.objects.filter(name=name).exists()


def test_sources_are_looked_for(local_host, admin):
    job = run(pooling.find_sources(local_host, "scsi", by=admin))
    assert job.status == "succeeded", job.error
    names = sorted(each.name for each in Path("/sys/class/scsi_host").glob("*"))
    assert [each["adapter"] for each in job.result["sources"]] == names
    with pytest.raises(Invalid):
        pooling.find_sources(local_host, "dir", by=admin)
    with pytest.raises(Invalid):
        pooling.find_sources(local_host, "netfs", by=admin)
    with pytest.raises(Invalid):
        pooling.find_sources(local_host, "netfs", by=admin, server="$(reboot)")


def test_a_pool_goes_with_or_without_what_is_in_it(new_pool, admin, new_guest, virsh):
    pool = new_pool()
    base = run(services.create_volume(pool, "base.qcow2", 8 * MIB, by=admin))
    backing = Volume.objects.get(pk=base.result["volume_id"])
    run(services.create_volume(pool, "top.qcow2", 8 * MIB, by=admin, backing=backing))
    guest = new_guest(f"{pool.target_path}/top.qcow2")
    refused = run(pooling.delete_pool(pool, by=admin, data="volumes"))
    assert (refused.status, refused.error_code) == ("failed", "volume_in_use")
    assert guest in refused.error
    assert len(list(Path(pool.target_path).iterdir())) == 2
    virsh("undefine", guest)
    assert run(pooling.delete_pool(pool, by=admin)).status == "succeeded"
    assert len(list(Path(pool.target_path).iterdir())) == 2
    assert pool.name not in virsh("pool-list", "--all")
    assert not Pool.objects.exists()

    virsh("pool-define-as", pool.name, "dir", "--target", pool.target_path)
    virsh("pool-start", pool.name)
    with pool.host.connect() as conn:
        again = refresh_pool(pool.host, conn, pool.name, rescan=True)
    job = run(pooling.delete_pool(again, by=admin, data="volumes"))
    assert job.status == "succeeded", job.error
    assert not Path(pool.target_path).exists()
    Path(pool.target_path).mkdir()


def test_a_definition_is_edited_and_checked(pool, admin, virsh, new_pool):
    job = run(pooling.edit_xml(pool, pool.xml, by=admin))
    assert job.status == "succeeded", job.error
    other = pool.xml.replace(str(pool.uuid), str(uuid.uuid4()))
    for wrong in (pool.xml.replace(pool.name, "other"), other, "<x/>", "<"):
        with pytest.raises(Invalid):
            pooling.edit_xml(pool, wrong, by=admin)
    refused = run(pooling.edit_xml(pool, pool.xml.replace("<target>", "<nonsense/><target>"), by=admin))
    assert (refused.status, refused.error_code) == ("failed", "definition_refused")
    assert virsh("pool-info", pool.name).split("State:")[1].split()[0] == "running"


def test_a_pool_whose_directory_vanished(pool, admin):
    shutil.rmtree(pool.target_path)
    job = run(services.refresh_pool(pool, by=admin))
    assert job.status == "failed"
    assert "internal" not in job.error_code
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)
    pool.refresh_from_db()
    assert not pool.is_active
    with pytest.raises(WrongState):
        services.create_volume(pool, "a", MIB, by=admin)
    job = run(services.start_pool(pool, by=admin))
    assert (job.status, job.error_code) == ("failed", "wrong_state")
    assert "its directory is not there" in job.error
    Path(pool.target_path).mkdir()
    assert run(services.start_pool(pool, by=admin)).status == "succeeded"


def test_a_guest_whose_disk_is_in_the_pool_keeps_it(pool, admin, local_host):
    from guests.models import Disk, Guest

    volume = Volume.objects.create(pool=pool, name="a", path=f"{pool.target_path}/a")
    guest = Guest.objects.create(host=local_host, uuid=uuid.uuid4(), name="web-01", state="shutoff")
    Disk.objects.create(guest=guest, target="vda", source=volume.path, volume=volume)
    with pytest.raises(VolumeInUse, match="web-01"):
        pooling.delete_pool(pool, by=admin)
