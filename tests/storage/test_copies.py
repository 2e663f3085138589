"""Images that are copied into other pools, from host to host, and kept in step."""

import uuid
from pathlib import Path

import pytest

from guests.models import Disk, Guest
from hosts.models import Host
from jobs.models import Busy, Job, JobUndo
from storage.content import Progress
from storage.copies import services, tasks
from storage.inventory import refresh_pool
from storage.models import ImageCopy, Iso, Pool, Volume
from tests.lab_hosts import running_lab
from tests.storage.conftest import run as run_check
from virt.errors import Invalid

pytestmark = pytest.mark.libvirt
MIB = 1024**2


def run(job: Job) -> Job:
    tasks.copy_image.run_here(job)
    job.refresh_from_db()
    return job


def look(pool: Pool) -> None:
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)


@pytest.fixture
def iso(pool, build_iso) -> Iso:
    return put(pool, build_iso, "Ubuntu-Server 24.04 LTS amd64")


def put(pool, build_iso, label) -> Iso:
    """A checked image in the pool."""
    path = Path(pool.target_path, "ubuntu.iso")
    path.unlink(missing_ok=True)
    build_iso(path, label, padding_mib=3 + len(label) % 3)
    look(pool)
    while job := Job.objects.active().first():
        assert run_check(job).status == "succeeded", job.error
    return Iso.objects.select_related("volume__pool__host").get(volume__pool=pool)


def test_a_copy_arrives_whole_is_known_at_once_and_is_not_made_twice(iso, new_pool, admin, client):
    other = new_pool()
    (job,) = services.copy_image(iso, [other], by=admin)
    with pytest.raises(Busy):
        services.start_copy(iso, other, by=admin)
    assert run(job).status == "succeeded", job.error
    assert Path(other.target_path, "ubuntu.iso").read_bytes() == Path(iso.volume.path).read_bytes()
    copied = Iso.objects.get(pk=job.result["iso_id"])
    assert (copied.sha256, copied.os_name) == (iso.sha256, "Ubuntu 24.04 LTS")
    assert ImageCopy.objects.get().made_from == iso.sha256
    (job,) = services.copy_image(iso, [other], by=admin)
    assert run(job).status == "succeeded"
    assert "already" in " ".join(job.log_lines.values_list("text", flat=True))
    client.force_login(admin)
    page = client.get(f"/isos/{iso.pk}/").content.decode()
    assert other.name in page
    assert "1 more like it" in client.get("/isos/").content.decode()


def test_a_copy_that_is_kept_in_step_follows_its_original_unless_a_guest_has_it(iso, new_pool, admin, build_iso):
    other, pool = new_pool(), iso.volume.pool
    (job,) = services.copy_image(iso, [other], by=admin, keep_in_step=True)
    assert run(job).status == "succeeded", job.error
    tasks.keep_in_step()
    assert not Job.objects.active().exists()
    newer = put(pool, build_iso, "Ubuntu-Server 24.04.1 LTS amd64")
    assert newer.sha256 != iso.sha256
    guest = Guest.objects.create(host=pool.host, uuid=uuid.uuid4(), name="web-01", state="shutoff")
    copy = Volume.objects.get(pool=other)
    drive = Disk.objects.create(guest=guest, target="sda", device="cdrom", source=copy.path, volume=copy)
    tasks.keep_in_step()
    assert run(Job.objects.active().get()).error_code == "volume_in_use"
    drive.delete()
    tasks.keep_in_step()
    assert run(Job.objects.active().get()).status == "succeeded"
    assert Path(other.target_path, "ubuntu.iso").read_bytes() == Path(newer.volume.path).read_bytes()


def test_what_is_not_ours_stays_and_a_cancelled_copy_leaves_nothing(iso, new_pool, admin, monkeypatch):
    other = new_pool()
    Path(other.target_path, "ubuntu.iso").write_bytes(b"somebody else's")
    (job,) = services.copy_image(iso, [other], by=admin)
    assert run(job).error_code == "volume_exists"
    assert Path(other.target_path, "ubuntu.iso").read_bytes() == b"somebody else's"
    Job.objects.active().delete()  # the check of that file
    Path(other.target_path, "ubuntu.iso").unlink()
    look(other)
    monkeypatch.setattr("storage.content.REPORT_EVERY_S", 0)
    (job,) = services.copy_image(iso, [other], by=admin)
    progress = Progress.__call__

    def cancel(self, done):
        Job.objects.get(pk=job.pk).request_cancel(admin)
        progress(self, done)

    monkeypatch.setattr(Progress, "__call__", cancel)
    assert run(job).status == "cancelled"
    assert not list(Path(other.target_path).iterdir())
    assert not JobUndo.objects.exists()
    with pytest.raises(Invalid):
        services.copy_image(iso, [iso.volume.pool], by=admin)
    with pytest.raises(Invalid):
        services.copy_image(iso, [], by=admin)


def test_from_host_to_host_over_ssh_and_back(iso, admin, new_pool):
    with running_lab(net="192.168.196") as lab:
        lab.virsh(1, "pool-create-as", "far", "dir", "--target", "/var/lib/libvirt/images")
        host = Host.objects.create(name="far", uri=lab.uri_over("ssh"), state="connected")
        with host.connect() as conn:
            far = refresh_pool(host, conn, "far", rescan=True)
        assert far
        (job,) = services.copy_image(iso, [far], by=admin)
        assert run(job).status == "succeeded", job.error
        there = Iso.objects.get(pk=job.result["iso_id"])
        assert there.sha256 == iso.sha256
        state = Path(lab.environment["LAB_STATE"], "h1", "var-lib-libvirt", "images", "ubuntu.iso")
        assert state.read_bytes() == Path(iso.volume.path).read_bytes()
        back = new_pool()
        (job,) = services.copy_image(there, [back], by=admin)
        assert run(job).status == "succeeded", job.error
        assert Path(back.target_path, "ubuntu.iso").read_bytes() == Path(iso.volume.path).read_bytes()
