"""What the check of an image finds, and what happens when it is cancelled, killed, or finds another file."""

import hashlib
import os
import subprocess
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from guests.models import Disk, Guest
from hosts.models import Host
from jobs.models import Busy, Job
from jobs.runner import roll_back_dead_jobs
from storage import content, image_tasks, media, services
from storage.inventory import refresh_pool
from storage.iso_rows import iso_lines
from storage.models import Iso, Upload, Volume
from tests.storage.conftest import run
from virt import pools
from virt.connection import Connection
from virt.errors import Invalid, PoolBusy, VolumeInUse
from virt.volume_xml import VolumeXML
from virt.volumes import clone_volume

pytestmark = pytest.mark.libvirt
MIB = 1024**2
UBUNTU = "Ubuntu-Server 24.04 LTS amd64"


@pytest.fixture
def upload(pool, admin, build_iso):
    """Puts a file where the upload application leaves it; returns the row as it is then, the file and the job."""

    def finish(name="ubuntu.iso", *, sha256="", content=None):
        target = Path(pool.target_path) / name
        if content is None:
            build_iso(target, UBUNTU, boots=("bios", "uefi"), padding_mib=4)
        else:
            target.write_bytes(content)
        row = Upload.objects.create(
            pool=pool,
            name=name,
            size_bytes=target.stat().st_size,
            sha256_expected=sha256,
            state=Upload.State.DONE,
            created_by=admin,
        )
        return row, target, services.upload_finished(row)

    return finish


def look(pool):
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)


def test_an_upload_becomes_an_image_at_once_and_is_known_after_its_check(upload, pool, admin):
    row, target, job = upload()
    row.refresh_from_db()
    iso = Iso.objects.get()
    assert (row.iso, row.job, iso.added_by) == (iso, job, admin)
    assert (iso.volume.path, iso.volume.capacity_bytes) == (str(target), target.stat().st_size)
    look(pool)  # the watcher may come by in between
    assert Job.objects.count() == 1
    run(job)
    assert job.status == "succeeded", job.error
    assert job.title == "Check ubuntu.iso"
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert job.result == {
        "iso_id": iso.pk,
        "sha256": digest,
        "checksum": "computed",
        "is_iso9660": True,
        "os_id": "http://ubuntu.com/ubuntu/24.04",
        "os_name": "Ubuntu 24.04 LTS",
    }
    iso.refresh_from_db()
    assert (iso.sha256, iso.volume.format, iso.volume.missing_since) == (digest, "iso", None)
    assert Job.objects.count() == 1


def test_a_checksum_that_was_given_is_compared(upload, pool):
    content = b"not an iso, but just what was meant"
    right = upload("right.iso", content=content, sha256=hashlib.sha256(content).hexdigest().upper())[2]
    wrong = upload("wrong.iso", content=content, sha256="0" * 64)[2]
    unverified = Iso.objects.get(volume__name="wrong.iso")
    assert unverified.checksum == Iso.Checksum.UNVERIFIED
    assert run(right).result["checksum"] == "matches"
    run(wrong)
    assert (wrong.status, wrong.error_code) == ("failed", "checksum_differs")
    assert "wrong.iso is not what it should be" in wrong.error
    assert Iso.objects.get(pk=unverified.pk).checksum == Iso.Checksum.DIFFERS
    assert Path(unverified.volume.path).exists()  # it is the user's to delete


def test_an_upload_while_the_watcher_already_had_the_file_checked(upload, pool, admin, build_iso):
    build_iso(Path(pool.target_path) / "ubuntu.iso", UBUNTU)
    look(pool)
    found = Job.objects.get()
    _row, _target, job = upload(content=b"x" * 4096, sha256=hashlib.sha256(b"x" * 4096).hexdigest())
    assert job == found
    run(job)
    assert job.result["checksum"] == "matches"
    assert Iso.objects.get().added_by == admin


def test_another_file_under_an_old_name_starts_with_a_clean_sheet(upload, admin):
    _row, target, job = upload()
    run(job)
    iso = Iso.objects.get()
    services.set_os(iso, "http://debian.org/debian/12", by=admin)
    target.unlink()
    _row, _target, job = upload(content=b"something else")
    iso.refresh_from_db()
    assert (iso.sha256, iso.os_set_by_hand) == ("", False)
    run(job)
    iso.refresh_from_db()
    assert (iso.is_iso9660, iso.os_id) == (False, "")


def test_a_system_that_was_set_by_hand_stays_when_the_image_is_checked_again(upload, admin):
    run(upload()[2])
    iso = Iso.objects.get()
    with pytest.raises(Invalid) as refused:
        services.set_os(iso, "http://example.org/no-such-system", by=admin)
    assert refused.value.field == "os_id"
    services.set_os(iso, "http://centos.org/centos/7.0", by=admin)
    run(services.inspect_iso(iso, by=admin))
    iso.refresh_from_db()
    assert (iso.os_id, iso.os_set_by_hand, iso.os_is_eol) == ("http://centos.org/centos/7.0", True, True)
    services.set_os(iso, "", by=admin)
    run(services.inspect_iso(iso, by=admin))
    iso.refresh_from_db()
    assert (iso.os_name, iso.os_set_by_hand, iso.os_is_eol) == ("Ubuntu 24.04 LTS", False, False)


def test_of_a_qcow2_the_size_of_the_file_is_kept_beside_what_a_guest_sees(upload, tmp_path, admin, monkeypatch):
    made = tmp_path / "made.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", made, "64M"], check=True)
    _row, target, job = upload("debian.qcow2", content=made.read_bytes())
    assert Iso.objects.get().file_bytes == target.stat().st_size
    assert run(job).status == "succeeded", job.error
    iso = Iso.objects.get()
    assert (iso.volume.capacity_bytes, iso.file_bytes) == (64 * MIB, target.stat().st_size)
    Iso.objects.update(file_bytes=None)
    monkeypatch.setattr(media, "open_local", lambda _volume: None)  # as on another host
    assert run(services.inspect_iso(iso, by=admin)).status == "succeeded"
    assert Iso.objects.get().file_bytes == target.stat().st_size


def test_a_check_moves_its_bar_and_stops_when_asked(upload, admin, monkeypatch):
    monkeypatch.setattr(content, "REPORT_EVERY_S", 0)
    job = upload()[2]
    seen = []

    def watch(image, on_progress):
        def report(done):
            on_progress(done)
            seen.append(Job.objects.get(pk=job.pk).progress_percent or 0)
            if done >= 2 * MIB:
                Job.objects.get(pk=job.pk).request_cancel(admin)

        return sha256(image, report)

    sha256 = media.sha256
    monkeypatch.setattr(media, "sha256", watch)
    run(job)
    assert (job.status, job.error_code) == ("cancelled", "cancelled")
    assert len(seen) == 2
    assert 0 < seen[0] < seen[1] < 100
    iso = Iso.objects.get()
    assert (iso.sha256, iso.os_name) == ("", "Ubuntu 24.04 LTS")  # what was found out stays


def test_a_worker_that_dies_in_a_check_frees_the_image(upload, admin, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_arguments):
        raise Killed

    job = upload()[2]
    with monkeypatch.context() as patched:
        patched.setattr(media, "sha256", die)
        with pytest.raises(Killed):
            image_tasks.check_iso.run_here(job)
    iso = Iso.objects.get()
    with pytest.raises(Busy):
        services.inspect_iso(iso, by=admin)
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    roll_back_dead_jobs()
    job.refresh_from_db()
    assert (job.status, iso.checksum) == ("failed", "unknown")
    assert run(services.inspect_iso(iso, by=admin)).status == "succeeded"


def test_an_image_is_read_through_libvirt_where_its_file_cannot_be_opened(upload, monkeypatch):
    monkeypatch.setattr(Connection, "is_local", property(lambda _self: False))
    _row, target, job = upload()
    run(job)
    assert job.status == "succeeded", job.error
    assert job.result["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert job.result["os_name"] == "Ubuntu 24.04 LTS"


def test_a_check_waits_while_libvirt_makes_a_volume_in_the_pool(upload, pool, monkeypatch):
    source = Path(pool.target_path) / "source.raw"
    source.write_bytes(os.urandom(192 * MIB))
    look(pool)

    def copy():
        with pool.host.connect() as conn:
            clone_volume(conn, pool.name, source.name, VolumeXML(name="copy.qcow2", capacity_bytes=192 * MIB))

    busy = []
    refresh = pools.refresh_pool

    def refresh_and_tell(*arguments):
        try:
            return refresh(*arguments)
        except PoolBusy:
            busy.append(True)
            raise

    job = upload()[2]
    copying = threading.Thread(target=copy)
    copying.start()
    wait_until(lambda: (Path(pool.target_path) / "copy.qcow2").exists())
    monkeypatch.setattr(pools, "refresh_pool", refresh_and_tell)
    monkeypatch.setattr(image_tasks, "BUSY_RETRY_S", 0.05)
    run(job)
    copying.join()
    assert busy
    assert job.status == "succeeded", job.error


def wait_until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_file_that_vanished_before_its_check_is_said_to_be_gone(upload):
    _row, target, job = upload()
    target.unlink()
    run(job)
    assert (job.status, job.error_code) == ("failed", "volume_not_found")
    assert "Upload it again" in job.error
    assert Volume.objects.get().missing_since


def test_an_image_in_a_drive_is_not_deleted_and_says_whose(upload, admin, pool):
    _row, target, job = upload()
    run(job)
    iso = Iso.objects.get()
    guest = Guest.objects.create(host=pool.host, uuid=uuid.uuid4(), name="web-01", state="shutoff")
    drive = Disk.objects.create(guest=guest, target="sda", device="cdrom", source=str(target), volume=iso.volume)
    with pytest.raises(VolumeInUse, match="web-01"):
        services.delete_iso(iso, by=admin)
    drive.delete()
    assert run(services.delete_iso(iso, by=admin)).status == "succeeded"
    assert not target.exists()
    assert not Volume.objects.exists()
    assert Upload.objects.get().iso is None


def test_an_image_for_another_processor_says_that_it_would_be_emulated(pool, admin, build_iso):
    Host.objects.filter(pk=pool.host_id).update(facts={"arch": "x86_64"})
    for label in ("Fedora-S-dvd-aarch64-40", "Fedora-S-dvd-x86_64-40"):
        build_iso(Path(pool.target_path) / f"{label}.iso", label, boots=("uefi",))
    look(pool)
    while job := Job.objects.active().first():
        run(job)
    lines = {line.iso.label: line for line in iso_lines(admin, Iso.objects.select_related("volume__pool__host"))}
    assert lines["Fedora-S-dvd-aarch64-40"].would_be_emulated
    assert not lines["Fedora-S-dvd-x86_64-40"].would_be_emulated
    assert lines["Fedora-S-dvd-x86_64-40"].boots_by == "UEFI only"


def test_hashing_takes_the_same_memory_however_large_the_image_is(tmp_path):
    import tracemalloc

    peaks = []
    for size_mib in (2, 64):
        path = tmp_path / f"{size_mib}.iso"
        with path.open("wb") as file:
            file.truncate(size_mib * MIB)
        fd = media.open_local(Volume(path=str(path), capacity_bytes=size_mib * MIB))
        assert fd is not None
        tracemalloc.start()
        digest = media.sha256(media.LocalImage(fd), lambda done: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert digest == hashlib.sha256(bytes(size_mib * MIB)).hexdigest()
    assert peaks[1] < peaks[0] + 100_000 < 2 * MIB
