"""The disk of a guest is copied from one host to a pool of another, by page and by REST, over a lab of two hosts."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from guests.inventory import refresh_guest
from guests.models import Disk
from hosts.models import Host
from jobs.models import Job, JobUndo
from jobs.tasks import RunningJob
from storage import copy_tasks, services
from storage.inventory import refresh_pool
from storage.models import Volume
from tests.lab_hosts import running_lab
from tests.storage.conftest import run

pytestmark = pytest.mark.libvirt
MIB = 1024**2
DISK = "kvt-far-vda.qcow2"
GUEST = f"""<domain type='qemu'><name>kvt-far</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>
<driver name='qemu' type='qcow2'/><source file='/var/lib/libvirt/images/{DISK}'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>"""


@pytest.fixture
def lab(db):
    with running_lab(net="192.168.197", hosts="1 2") as lab:
        yield lab


def images(lab, number: int) -> Path:
    return Path(lab.environment["LAB_STATE"], f"h{number}", "var-lib-libvirt", "images")


def pool_on(lab, number: int):
    lab.virsh(number, "pool-create-as", "far", "dir", "--target", "/var/lib/libvirt/images")
    host = Host.objects.create(name=f"far-{number}", uri=lab.uri(number), state="connected")
    with host.connect() as conn:
        return refresh_pool(host, conn, "far", rescan=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_disk_goes_to_another_host_by_page_and_rest_with_a_bar_and_stops_when_asked(
    lab, client, admin, bearer, tmp_path, monkeypatch
):
    raw = tmp_path / "raw"
    raw.write_bytes(os.urandom(24 * MIB))
    original = images(lab, 1) / DISK
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(original)], check=True)
    here, there = pool_on(lab, 1), pool_on(lab, 2)
    (tmp_path / "guest.xml").write_text(GUEST)
    lab.virsh(1, "define", str(tmp_path / "guest.xml"))
    with here.host.connect() as conn:
        refresh_guest(here.host, conn, lab.virsh(1, "domuuid", "kvt-far"))
    volume = Disk.objects.get(guest__name="kvt-far").volume
    assert volume == Volume.objects.get(pool=here, name=DISK)

    client.force_login(admin)
    page = client.get(f"/volumes/{volume.pk}/copy/").content.decode()
    assert f'<option value="{there.pk}"' in page
    monkeypatch.setattr(copy_tasks, "REPORT_EVERY_S", 0)
    seen, progress = [], RunningJob.progress

    def watched(self, done, total):
        seen.append((done, total))
        progress(self, done, total)

    monkeypatch.setattr(RunningJob, "progress", watched)
    posted = {"pool": there.pk, "name": "copy.qcow2", "image_format": ""}
    assert client.post(f"/volumes/{volume.pk}/copy/", posted).status_code == 302
    job = run(Job.objects.active().get())
    assert job.status == "succeeded", job.error
    assert digest(images(lab, 2) / "copy.qcow2") == digest(original)
    assert len(seen) > 3  # the bar moved
    assert seen == sorted(seen, key=lambda each: each[0])
    assert Volume.objects.get(pk=job.result["volume_id"]).pool == there

    def cancelling(self, done, total):
        if done >= 8 * MIB:
            Job.objects.get(pk=self.row.pk).request_cancel(admin)
        progress(self, done, total)

    monkeypatch.setattr(RunningJob, "progress", cancelling)
    body = {"pool": there.pk, "name": "again.qcow2"}
    answer = client.post(f"/api/v1/volumes/{volume.pk}/copy", body, content_type="application/json", **bearer)
    assert answer.status_code == 202, answer.content
    job = run(Job.objects.get(pk=answer.json()["id"]))
    assert job.status == "cancelled", job.error
    assert sorted(path.name for path in images(lab, 2).iterdir()) == ["copy.qcow2"]
    assert "again" not in lab.virsh(2, "vol-list", "far")
    assert not JobUndo.objects.exists()

    lab.virsh(1, "start", "kvt-far")
    with here.host.connect() as conn:
        refresh_guest(here.host, conn, lab.virsh(1, "domuuid", "kvt-far"))
    answer = client.post(f"/api/v1/volumes/{volume.pk}/copy", body, content_type="application/json", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "volume_in_use")
    assert "kvt-far" in answer.json()["message"]
    assert original.is_file()


def test_an_encrypted_disk_goes_to_another_host_as_it_is_and_opens_there(lab, admin):
    original = images(lab, 1) / "kvt-far.luks"
    known = ["--object", "secret,id=known,data=correct horse"]
    command = ["qemu-img", "create", "-q", *known, "-f", "luks", "-o", "key-secret=known,iter-time=10"]
    subprocess.run([*command, str(original), "24M"], check=True)
    here, there = pool_on(lab, 1), pool_on(lab, 2)
    volume = Volume.objects.get(pool=here, name=original.name)
    assert volume.encryption == "luks"

    wrong = run(services.copy_volume(volume, there, "copy.luks", by=admin, passphrase="another horse"))
    assert (wrong.status, wrong.error_code) == ("failed", "wrong_passphrase")
    assert list(images(lab, 2).iterdir()) == []
    job = run(services.copy_volume(volume, there, "copy.luks", by=admin, passphrase="correct horse"))
    assert job.status == "succeeded", job.error
    copy = images(lab, 2) / "copy.luks"
    assert digest(copy) == digest(original)
    assert copy.stat().st_blocks * 512 < 8 * MIB
    assert Volume.objects.get(pk=job.result["volume_id"]).encryption == "luks"
    assert "volume /var/lib/libvirt/images/copy.luks" in lab.virsh(2, "secret-list")
    assert "kvt-far" not in lab.virsh(1, "secret-list")
