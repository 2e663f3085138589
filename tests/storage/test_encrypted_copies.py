"""Encrypted volumes are copied and moved byte for byte, and nothing on the way opens them; or, under a running guest,
encrypted anew.
"""

import hashlib
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from guests.inventory import refresh_guest
from guests.models import Disk, Guest
from jobs.models import Job
from jobs.runner import roll_back_dead_jobs
from storage import copy_tasks, services
from storage.copying import suggested_name
from storage.inventory import refresh_pool
from storage.models import Pool, Volume
from storage.secrets.inventory import sync_secrets
from storage.secrets.models import HostSecret
from tests.guests.rows import make_guest
from tests.storage.conftest import run
from tests.storage.test_encrypted import all_that_is_kept
from virt import disk_copy, secrets
from virt.errors import Invalid, NotSupported, VolumeInUse
from virt.secret_xml import SecretXML

MIB = 1024**2
PASSPHRASE = "Tr0ub4dor & 3 虚"
KNOWN = f"secret,id=known,data={PASSPHRASE}"


class Killed(BaseException):
    """The process is gone."""


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def qemu_io(volume: Volume, *commands: str) -> None:
    """Through the encryption, as somebody would who knows the passphrase. Fails when it does not open the volume."""
    key = "key-secret" if volume.format == "raw" else "encrypt.key-secret"
    driver = "luks" if volume.format == "raw" else "qcow2"
    options = f"driver={driver},{key}=known,file.driver=file,file.filename={volume.path}"
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(["qemu-io", "--object", KNOWN, *words, "--image-opts", options], check=True, capture_output=True)


def run_until_killed(job: Job) -> None:
    """A job that ends otherwise says why."""
    try:
        copy_tasks.move_volume.run_here(job)
    except Killed:
        return
    job.refresh_from_db()
    pytest.fail(f"{job.status}: {job.error}")


def settled(job: Job, volume: Volume, there: Pool) -> Path:
    """After the worker of a move died and the job was rolled back: the one file that is left."""
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    roll_back_dead_jobs()
    job.refresh_from_db()
    assert (job.status, job.journal.exists()) == ("failed", False)
    files = [Path(volume.path), Path(there.target_path, volume.name)]
    (left,) = [path for path in files if path.exists()]
    return left


@pytest.fixture
def make(virsh):
    """make(pool, name, format) gives an encrypted volume with something on it, which its host opens. Its key costs next
    to nothing to compute, unlike that of one that kvmweb makes.
    """

    def make(pool: Pool, name: str, image_format: str) -> Volume:
        path = Path(pool.target_path, name)
        kind, prefix = ("luks", "") if image_format == "raw" else ("qcow2", "encrypt.")
        options = f"{prefix}key-secret=known,{prefix}iter-time=10"
        if prefix:
            options += ",encrypt.format=luks"
        command = ["qemu-img", "create", "-q", "--object", KNOWN, "-f", kind, "-o", options, str(path), "24M"]
        subprocess.run(command, check=True)
        with pool.host.connect() as conn:
            secret = SecretXML(uuid=str(uuid.uuid4()), usage="volume", usage_id=str(path), is_ephemeral=True)
            secrets.define_secret(conn, secret, PASSPHRASE.encode())
            refresh_pool(pool.host, conn, pool.name, rescan=True)
            sync_secrets(pool.host, conn)
        volume = Volume.objects.get(pool=pool, name=name)
        assert (volume.format, volume.encryption) == (image_format, "luks")
        qemu_io(volume, "write -P 7 2M 1M", "write -P 9 20M 1M")
        return volume

    yield make
    for line in virsh("secret-list").splitlines():
        if "/var/tmp/kvmweb-test-" in line and "kvt-copied" in line:
            virsh("secret-undefine", line.split()[0], check=False)


@pytest.fixture
def boot(virsh, local_host, tmp_path):
    """boot(volume) defines a guest with the encrypted volume as its disk and returns its row; with start it runs."""
    made = []

    def make(volume: Volume, *, start: bool = False) -> Guest:
        name = f"kvt-{uuid.uuid4().hex[:8]}"
        secret = f"<encryption format='luks'><secret type='passphrase' usage='{volume.path}'/></encryption>"
        xml = (
            f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
            f"<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>"
            f"<driver name='qemu' type='{volume.format}'/><source file='{volume.path}'>{secret}</source>"
            "<target dev='vda' bus='virtio'/></disk></devices></domain>"
        )
        (tmp_path / "guest.xml").write_text(xml)
        virsh("define", str(tmp_path / "guest.xml"))
        made.append(name)
        if start:
            virsh("start", name)
        return refreshed(name)

    def refreshed(name: str) -> Guest:
        with local_host.connect() as conn:
            refresh_guest(local_host, conn, virsh("domuuid", name).strip())
        return Guest.objects.get(name=name)

    yield make
    for name in made:
        virsh("destroy", name, check=False)
        virsh("undefine", name, check=False)


@pytest.mark.libvirt
@pytest.mark.parametrize("image_format", ["qcow2", "raw"])
def test_a_copy_is_the_same_bytes_and_opens_by_the_same_passphrase(image_format, make, new_pool, admin, virsh, client):
    here, there = new_pool(), new_pool()
    volume = make(here, "kvt-copied", image_format)
    wrong = run(services.copy_volume(volume, there, "kvt-copied", by=admin, passphrase="another passphrase"))
    assert (wrong.status, wrong.error_code) == ("failed", "wrong_passphrase")
    assert list(Path(there.target_path).iterdir()) == []

    job = services.copy_volume(volume, there, "kvt-copied", by=admin, passphrase=PASSPHRASE)
    assert run(job).status == "succeeded", job.error
    copy = Volume.objects.get(pk=job.result["volume_id"])
    assert (copy.pool, copy.format, copy.encryption) == (there, image_format, "luks")
    assert copy.capacity_bytes == volume.capacity_bytes == 24 * MIB
    assert digest(copy.path) == digest(volume.path)
    assert Path(copy.path).stat().st_blocks * 512 < 8 * MIB
    qemu_io(copy, "read -P 7 2M 1M", "read -P 9 20M 1M")
    assert f"volume {copy.path}" in virsh("secret-list")
    assert HostSecret.objects.filter(usage_id__in=[volume.path, copy.path]).count() == 2

    waiting = run(services.copy_volume(volume, here, "kvt-copied-2", by=admin))
    assert waiting.status == "succeeded", waiting.error
    assert "does not have the passphrase of kvt-copied-2" in " ".join(map(str, waiting.log.all()))
    second = Volume.objects.get(pk=waiting.result["volume_id"])
    assert digest(second.path) == digest(volume.path)
    assert second.path not in virsh("secret-list")
    client.force_login(admin)
    assert "does not have the passphrase" in client.get(f"/volumes/{second.pk}/").content.decode()
    assert "does not have the passphrase" not in client.get(f"/volumes/{copy.pk}/").content.decode()
    assert PASSPHRASE not in all_that_is_kept()


@pytest.mark.libvirt
def test_what_would_open_it_is_refused(pool, make, new_pool, admin, boot, client):
    volume = make(pool, "kvt-copied.qcow2", "qcow2")
    there = new_pool()
    blocks = Pool.objects.create(
        host=pool.host, uuid=uuid.uuid4(), name="vg", type="logical", is_active=True, target_path="/dev/vg",
        capacity_bytes=1024**4, available_bytes=1024**4,
    )  # fmt: skip
    known = {"by": admin, "passphrase": PASSPHRASE}
    for field, refused in (
        ("format", lambda: services.copy_volume(volume, there, "b", **known, image_format="raw")),
        ("format", lambda: services.move_volume(volume, there, **known, image_format="raw")),
        ("preallocation", lambda: services.copy_volume(volume, there, "b", **known, preallocation="full")),
        ("pool", lambda: services.copy_volume(volume, blocks, "b", **known)),
        ("passphrase", lambda: services.copy_volume(volume, there, "b", by=admin, passphrase="two\nlines")),
    ):
        with pytest.raises(Invalid) as error:
            refused()
        assert error.value.field == field, error.value

    guest = boot(volume, start=True)
    with pytest.raises(VolumeInUse, match=f"Shut {guest.name} down first"):
        services.copy_volume(volume, there, "b", **known)
    with pytest.raises(Invalid) as short:
        services.move_volume(volume, there, by=admin, passphrase="short")
    assert short.value.field == "passphrase"
    client.force_login(admin)
    typed = {"pool": there.pk, "passphrase": PASSPHRASE}
    for again, status in (("another one", 422), ("", 422)):
        answer = client.post(f"/volumes/{volume.pk}/move/", typed | {"passphrase_again": again})
        assert answer.status_code == status
        assert PASSPHRASE not in answer.content.decode()
    # Started beside kvmweb, which does not know it yet.
    Guest.objects.update(state="shutoff")
    late = [run(services.copy_volume(volume, there, "b", **known)), run(services.move_volume(volume, there, **known))]
    assert {(job.status, job.error_code) for job in late} == {("failed", "volume_in_use")}
    assert list(Path(there.target_path).iterdir()) == []


@pytest.mark.libvirt
def test_a_disk_moves_with_its_guest_that_is_off(make, new_pool, admin, virsh, boot):
    here, there = new_pool(), new_pool()
    volume = make(here, "kvt-copied.qcow2", "qcow2")
    before = digest(volume.path)
    guest = boot(volume)
    with pytest.raises(Invalid, match=f"{guest.name} starts with kvt-copied") as error:
        services.move_volume(volume, there, by=admin)
    assert error.value.field == "passphrase"
    job = services.move_volume(volume, there, by=admin, passphrase=PASSPHRASE)
    assert run(job).status == "succeeded", job.error
    moved = Volume.objects.get(pk=job.result["volume_id"])
    assert (moved.encryption, digest(moved.path)) == ("luks", before)
    assert not Path(volume.path).exists()
    xml = virsh("dumpxml", guest.name)
    assert f"<source file='{moved.path}'" in xml
    assert f"<secret type='passphrase' usage='{moved.path}'/>" in xml
    assert volume.path not in xml
    assert volume.path not in virsh("secret-list")
    virsh("start", guest.name)
    assert moved.used_by.get().guest == guest
    assert PASSPHRASE not in all_that_is_kept()


@pytest.mark.libvirt
def test_a_disk_moves_under_its_running_guest_and_is_encrypted_anew(make, new_pool, admin, virsh, boot, client):
    here, there = new_pool(), new_pool()
    volume = make(here, "kvt-copied", "raw")
    guest = boot(volume, start=True)
    client.force_login(admin)
    typed = {"pool": there.pk, "passphrase": PASSPHRASE, "passphrase_again": PASSPHRASE, "keep_passphrase": "on"}
    assert client.post(f"/volumes/{volume.pk}/move/", typed).status_code == 302
    job = run(Job.objects.get())
    assert job.status == "succeeded", job.error
    moved = Volume.objects.get(pk=job.result["volume_id"])
    assert (moved.pool, moved.format, moved.encryption) == (there, "raw", "luks")
    assert not Path(volume.path).exists()
    assert virsh("domstate", guest.name).strip() == "running"
    for flag in ("--security-info", "--inactive"):
        xml = virsh("dumpxml", guest.name, flag)
        assert f"<secret type='passphrase' usage='{moved.path}'/>" in xml
        assert volume.path not in xml
    assert [line.split()[-1] for line in virsh("secret-list").splitlines() if "kvt-copied" in line] == [moved.path]
    assert PASSPHRASE not in all_that_is_kept()
    virsh("destroy", guest.name)
    qemu_io(moved, "read -P 7 2M 1M", "read -P 9 20M 1M")
    virsh("start", guest.name)


@pytest.mark.libvirt
@pytest.mark.parametrize("dies_at", ["copy_open_disk", "guest_changed"])
def test_a_live_move_that_breaks_off_leaves_one_disk_that_its_guest_opens(
    dies_at, make, new_pool, admin, virsh, boot, monkeypatch
):
    here, there = new_pool(), new_pool()
    volume = make(here, "kvt-copied.qcow2", "qcow2")
    guest = boot(volume, start=True)
    job = services.move_volume(volume, there, by=admin, passphrase=PASSPHRASE)

    def die(*_arguments, **_options):
        raise Killed

    monkeypatch.setattr(disk_copy if dies_at == "copy_open_disk" else copy_tasks, dies_at, die)
    run_until_killed(job)
    monkeypatch.undo()
    left = settled(job, volume, there)
    assert left == Path(volume.path if dies_at == "copy_open_disk" else there.target_path + f"/{volume.name}")
    assert [line.split()[-1] for line in virsh("secret-list").splitlines() if "kvt-copied" in line] == [str(left)]
    assert str(left) in virsh("domblklist", guest.name)


@pytest.mark.libvirt
@pytest.mark.parametrize("dies_at", ["_point_at", "guest_changed"])
def test_a_worker_that_dies_leaves_one_disk_that_its_guest_opens(
    dies_at, make, new_pool, admin, virsh, boot, monkeypatch
):
    here, there = new_pool(), new_pool()
    volume = make(here, "kvt-copied.qcow2", "qcow2")
    guest = boot(volume)
    job = services.move_volume(volume, there, by=admin, passphrase=PASSPHRASE)

    def die(*_arguments, **_options):
        raise Killed

    monkeypatch.setattr(copy_tasks, dies_at, die)
    run_until_killed(job)
    monkeypatch.undo()
    left = settled(job, volume, there)
    assert left == Path(volume.path if dies_at == "_point_at" else there.target_path + f"/{volume.name}")
    assert [line.split()[-1] for line in virsh("secret-list").splitlines() if "kvt-copied" in line] == [str(left)]
    virsh("start", guest.name)


@pytest.mark.parametrize("encryption", ["luks", "qcow"])
def test_what_is_not_a_whole_file_is_not_copied(encryption, local_host, admin):
    pool = Pool.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="shelf", type="dir", is_active=True, target_path="/srv/shelf",
        capacity_bytes=1024**4, available_bytes=1024**4,
    )  # fmt: skip
    volume = Volume.objects.create(
        pool=pool, name="a.qcow2", path="/srv/shelf/a.qcow2", format="qcow2", encryption=encryption,
        backing_path="/srv/shelf/b.qcow2",
    )  # fmt: skip
    with pytest.raises(NotSupported, match=r"a\.qcow2 is encrypted"):
        services.copy_volume(volume, pool, "b", by=admin)


def test_pages_and_rest_take_the_passphrase_and_do_not_keep_it(client, admin, bearer, local_host, caplog):
    pool = Pool.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="shelf", type="dir", is_active=True, target_path="/srv/shelf",
        capacity_bytes=1024**4, available_bytes=1024**4,
    )  # fmt: skip
    volumes = [
        Volume.objects.create(pool=pool, name=name, path=f"/srv/shelf/{name}", format="raw", encryption="luks")
        for name in ("a.luks", "b.luks", "c.luks")
    ]
    client.force_login(admin)
    for verb in ("copy", "move"):
        page = client.get(f"/volumes/{volumes[0].pk}/{verb}/").content.decode()
        assert 'name="passphrase"' in page
        assert 'name="image_format"' not in page
        assert "Passphrase <small>optional" in page
    disk = Disk.objects.create(guest=make_guest(local_host, "web-01"), target="vda", volume=volumes[2])
    assert "Passphrase <small>optional" not in client.get(f"/volumes/{volumes[2].pk}/move/").content.decode()
    disk.delete()
    assert suggested_name(volumes[0], pool) == "a-2.luks"
    menu = client.get(f"/volumes/{volumes[0].pk}/").content.decode()
    assert f"/volumes/{volumes[0].pk}/copy/" in menu
    assert "Move or convert" not in menu
    posted = {"pool": pool.pk, "name": "d", "passphrase": PASSPHRASE, "keep_passphrase": "on"}
    assert client.post(f"/volumes/{volumes[0].pk}/copy/", posted).status_code == 302
    again = client.post(f"/volumes/{volumes[0].pk}/copy/", {**posted, "name": "../d"})
    assert again.status_code == 422
    body = {"pool": pool.pk, "name": "e", "passphrase": PASSPHRASE, "keep_passphrase": False}
    answers = [
        client.post(f"/api/v1/volumes/{volume.pk}/{verb}", body | {"name": name}, "application/json", **bearer)
        for volume, verb, name in ((volumes[1], "copy", "e"), (volumes[2], "move", "f"))
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    jobs = {job.arguments["name"]: job.arguments["luks"]["ephemeral"] for job in Job.objects.all()}
    assert jobs == {"d": False, "e": True, "f": True}
    shown = "".join(answer.content.decode() for answer in (again, *answers))
    assert PASSPHRASE not in all_that_is_kept() + shown + caplog.text
