"""A guest that boots from an encrypted disk: its host opens it, loses the passphrase, is given it again."""

import json
import re
import subprocess

import pytest

from accounts.models import AuditEntry
from guests import services as guest_services
from guests import tasks as guest_tasks
from guests.models import Guest
from guests.plan import NewGuest
from jobs.models import Job, JobLogLine, JobUndo
from storage import services
from storage import tasks as storage_tasks
from storage.models import Volume
from storage.secrets import services as secrets
from storage.secrets.inventory import sync_secrets
from storage.secrets.models import HostSecret, PassingValue
from tests.story.conftest import Serial
from virt import volumes
from virt.errors import SecretInUse, VirtError, VolumeInUse

pytestmark = pytest.mark.libvirt
MIB = 1024**2
PASSPHRASE = "correct horse 虚 battery"
# Writes what follows it to the first serial port, again and again: mov dx,3f8h / mov si,7c10h / lodsb / out dx,al …
BOOT_SECTOR = bytes.fromhex("baf803 be107c ac 84c0 7403 ee ebf8 ebf0") + b"OPENED AND BOOTED\r\n\0"


@pytest.fixture(autouse=True)
def no_secrets_left(virsh):
    """Whatever a test that fails left of its secrets is gone at its end."""
    yield
    for line in virsh("secret-list").splitlines():
        if "kvmweb-test-" in line and "kvt-" in line:
            virsh("secret-undefine", line.split()[0], check=False)


def run(job: Job) -> Job:
    task = getattr(storage_tasks, job.kind, None) or getattr(guest_tasks, job.kind)
    task.run_here(job)
    job.refresh_from_db()
    return job


def write_boot_sector(path, sector):
    """Through the encryption, as somebody would who knows the passphrase."""
    sector.write_bytes(BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa")
    known = f"secret,id=known,data={PASSPHRASE}"
    options = f"driver=luks,key-secret=known,file.driver=file,file.filename={path}"
    command = ["qemu-io", "--object", known, "--image-opts", "-c", f"write -q -s {sector} 0 512", options]
    subprocess.run(command, check=True, capture_output=True)


def test_a_guest_boots_from_an_encrypted_disk_and_again_after_its_host_lost_the_passphrase(
    admin, store, kvt, conn, virsh, tmp_path
):
    made = run(services.create_volume(store, f"{kvt}.luks", 16 * MIB, "luks", by=admin, passphrase=PASSPHRASE))
    assert made.status == "succeeded", made.error
    volume = Volume.objects.get(pk=made.result["volume_id"])
    assert (volume.format, volume.encryption) == ("raw", "luks")
    write_boot_sector(volume.path, tmp_path / "sector")

    wanted = NewGuest(name=f"{kvt}-safe", vcpus=1, memory_mib=64, has_network=False, volume=volume.pk, disk_gib=None)
    plan = guest_services.plan_guest(wanted, by=admin)
    started = run(guest_services.create_guest(plan, by=admin))
    assert started.status == "succeeded", started.error
    serial = Serial(f"{kvt}-safe")
    serial.wait_for("OPENED AND BOOTED", seconds=60)
    serial.close()
    assert f"<secret type='passphrase' usage='{volume.path}'/>" in virsh("dumpxml", f"{kvt}-safe")
    info = json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", volume.path]))
    assert (info["format"], info["encrypted"]) == ("luks", True)

    grown = run(services.resize_volume(volume, 20 * MIB, by=admin))
    assert grown.status == "succeeded", grown.error
    assert "20.000 MiB" in virsh("domblkinfo", f"{kvt}-safe", "vda", "--human")
    secret = HostSecret.objects.get(usage_id=volume.path)
    with pytest.raises(SecretInUse, match=f"{kvt}-safe"):
        secrets.delete_secret(secret, by=admin)
    with pytest.raises(VolumeInUse, match=f"{kvt}-safe"):
        services.copy_volume(volume, store, "copy.luks", by=admin)

    guest = Guest.objects.get()
    assert run(guest_services.power(guest, "destroy", by=admin)).status == "succeeded"
    virsh("secret-undefine", str(secret.uuid))
    sync_secrets(store.host, conn)
    assert not HostSecret.objects.filter(usage_id=volume.path).exists()
    lost = run(guest_services.power(guest, "start", by=admin))
    assert (lost.status, lost.error_code) == ("failed", "secret_missing")
    assert "Give the passphrase again on the page of the volume" in lost.error

    wrong = run(secrets.give_passphrase(volume, "another passphrase", by=admin))
    assert (wrong.status, wrong.error_code) == ("failed", "wrong_passphrase")
    assert "does not open" in wrong.error
    assert volume.path not in virsh("secret-list")
    right = run(secrets.give_passphrase(volume, PASSPHRASE, by=admin, keep=False))
    assert right.status == "succeeded", right.error
    assert HostSecret.objects.get(usage_id=volume.path).is_ephemeral
    again = run(guest_services.power(guest, "start", by=admin))
    assert again.status == "succeeded", again.error

    gone = run(guest_services.delete_guest(guest, by=admin, disks=["vda"], force=True))
    assert gone.status == "succeeded", gone.error
    assert volume.path not in virsh("secret-list")
    assert not HostSecret.objects.filter(usage_id=volume.path).exists()
    assert not Volume.objects.filter(pk=volume.pk).exists()


TYPED = {"source": "none", "vcpus": "1", "memory": "64 MiB", "disk": "1 GiB", "disk_format": "qcow2"}


def everything_kept():
    """What the database says of jobs, their logs, journals and audit, and of values that wait."""
    kinds = (Job, JobLogLine, JobUndo, AuditEntry, PassingValue, HostSecret, Guest)
    return "".join(str(list(row.values())) for kind in kinds for row in kind.objects.values())


def test_a_new_guest_gets_an_encrypted_disk(client, admin, store, kvt, virsh, caplog):
    client.force_login(admin)
    typed = TYPED | {"name": f"{kvt}-new", "host": store.host_id, "pool": store.pk, "network": "none"}
    typed |= {"encrypt": "on", "keep_passphrase": "on", "start": "on"}
    page = client.get("/guests/new/").content.decode()
    assert 'hx-params="not passphrase,passphrase_again"' in page
    preview = client.post("/guests/new/preview/", typed).content.decode()
    path = f"{store.target_path}/{kvt}-new-vda.qcow2"
    assert f"usage=&#x27;{path}&#x27;" in preview or f"usage=&quot;{path}&quot;" in preview
    assert "encrypted" in preview
    for given, problem in (
        ({"passphrase": PASSPHRASE, "passphrase_again": "something else"}, "not what was typed above"),
        ({"passphrase": "short", "passphrase_again": "short"}, "at least 8 characters"),
        ({}, "at least 8 characters"),
    ):
        answer = client.post("/guests/new/", typed | given)
        assert answer.status_code == 422
        assert problem in answer.content.decode()
        assert PASSPHRASE not in answer.content.decode()
    assert not Job.objects.exists()

    typed |= dict.fromkeys(("passphrase", "passphrase_again"), PASSPHRASE)
    assert client.post("/guests/new/", typed).status_code == 302
    job = Job.objects.get()
    assert PASSPHRASE not in everything_kept()
    run(job)
    assert job.status == "succeeded", job.error
    assert virsh("domstate", f"{kvt}-new").strip() == "running"
    assert f"<secret type='passphrase' usage='{path}'/>" in virsh("dumpxml", f"{kvt}-new")
    info = json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", path]))
    assert (info["format"], info["encrypted"]) == ("qcow2", True)
    assert Volume.objects.get(path=path).encryption == "luks"
    assert PASSPHRASE not in everything_kept() + caplog.text
    again = client.get(f"/guests/new/?again={job.pk}").content.decode()
    assert re.search(r'name="encrypt"[^>]* checked', again)

    gone = run(guest_services.delete_guest(Guest.objects.get(), by=admin, disks=["vda"], force=True))
    assert gone.status == "succeeded", gone.error
    assert path not in virsh("secret-list")


def test_rest_takes_the_passphrase_of_a_new_disk_and_a_failure_takes_it_back(
    client, admin, bearer, store, kvt, virsh, monkeypatch
):
    def post(address, **changed):
        body = {"name": f"{kvt}-new", "disk_gib": 1, "pool": store.pk, "has_network": False, "encryption": "luks"}
        return client.post(address, body | changed, "application/json", **bearer)

    plan = post("/api/v1/guests/plan", format="raw")
    assert (plan.status_code, plan.json()["disk"]["encryption"]) == (200, "luks")
    assert "<encryption" in plan.json()["xml"]
    for changed, field in (
        ({}, "passphrase"),
        ({"encryption": "aes"}, "encryption"),
        ({"disk_gib": 0, "passphrase": PASSPHRASE}, "encryption"),
        ({"encryption": "", "passphrase": PASSPHRASE}, "passphrase"),
    ):
        refused = post("/api/v1/guests", **changed)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.content
    assert not Job.objects.exists()
    assert not PassingValue.objects.exists()

    def full(*_arguments, **_options):
        raise VirtError("The storage is full.")

    monkeypatch.setattr(volumes, "create_volume", full)
    assert post("/api/v1/guests", passphrase=PASSPHRASE, keep_passphrase=False).status_code == 202
    job = Job.objects.get()
    assert job.arguments["disk"]["luks"]["ephemeral"] is True
    assert PASSPHRASE not in everything_kept()
    assert run(job).status == "failed"
    assert store.target_path not in virsh("secret-list")
    assert not HostSecret.objects.filter(usage_id__startswith=store.target_path).exists()
    assert not Guest.objects.exists()
