"""Images that somebody put into a pool by other means are in the library by themselves, and are looked at once."""

import hashlib
from pathlib import Path

import pytest

from jobs.models import Job
from storage.inventory import refresh_pool, sync_storage
from storage.models import Iso, Volume
from tests.storage.conftest import run

pytestmark = pytest.mark.libvirt


def look(pool, *, rescan=True):
    with pool.host.connect() as conn:
        return refresh_pool(pool.host, conn, pool.name, rescan=rescan)


def test_a_copied_iso_appears_and_is_checked_once(pool, build_iso):
    target = build_iso(Path(pool.target_path) / "debian-12.5.0-amd64-netinst.iso", "Debian 12.5.0 amd64 n")
    look(pool)
    iso = Iso.objects.get(volume__pool=pool)
    assert (iso.name, iso.added_by, iso.checksum) == (target.name, None, "unknown")
    job = Job.objects.get(kind="check_iso")
    look(pool)
    assert Job.objects.count() == 1
    assert run(job).status == "succeeded", job.error
    iso.refresh_from_db()
    assert iso.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert (iso.os_id, iso.os_name, iso.os_is_guess) == ("http://debian.org/debian/12", "Debian 12", False)
    assert (iso.label, iso.arch, iso.boots_bios, iso.boots_uefi) == ("Debian 12.5.0 amd64 n", "x86_64", True, False)
    look(pool)
    assert Job.objects.count() == 1


def test_a_file_that_grew_is_checked_again(pool, build_iso):
    target = build_iso(Path(pool.target_path) / "u.iso", "Ubuntu-Server 24.04 LTS amd64", boots=("bios", "uefi"))
    look(pool)
    run(Job.objects.get())
    iso = Iso.objects.get()
    assert (iso.os_name, iso.boots_uefi) == ("Ubuntu 24.04 LTS", True)
    with target.open("ab") as file:
        file.write(bytes(1024 * 1024))
    look(pool)
    iso.refresh_from_db()
    assert iso.sha256 == ""
    run(Job.objects.active().get())
    iso.refresh_from_db()
    assert iso.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()


def test_one_image_after_the_other_is_checked_smallest_first(pool, build_iso):
    directory = Path(pool.target_path)
    build_iso(directory / "big.iso", "BIG", padding_mib=8)
    build_iso(directory / "small.iso", "SMALL")
    build_iso(directory / "middle.iso", "MIDDLE", padding_mib=4)
    look(pool)
    titles = []
    while (job := Job.objects.active().first()) is not None:
        assert Job.objects.active().count() == 1
        titles.append(job.title)
        run(job)
    assert titles == ["Check small.iso", "Check middle.iso", "Check big.iso"]
    assert not Iso.objects.filter(sha256="").exists()


def test_what_is_no_iso_is_kept_as_a_file_and_said_so(pool):
    (Path(pool.target_path) / "notes.iso").write_text("just some words")
    look(pool)
    job = run(Job.objects.get())
    assert job.status == "succeeded"
    assert "not an ISO image" in "".join(line.text for line in job.log_lines)
    iso = Iso.objects.get()
    assert (iso.is_iso9660, iso.os_id, len(iso.sha256)) == (False, "", 64)


def test_a_deleted_file_is_marked_missing_and_comes_back_under_the_same_row(pool, build_iso):
    target = build_iso(Path(pool.target_path) / "a.iso", "A")
    look(pool)
    run(Job.objects.get())
    volume = Volume.objects.get()
    content = target.read_bytes()
    target.unlink()
    look(pool)
    volume.refresh_from_db()
    assert volume.missing_since
    target.write_bytes(content)
    look(pool)
    volume.refresh_from_db()
    assert volume.missing_since is None
    assert Volume.objects.count() == 1
    assert Iso.objects.get().sha256 == ""  # it may be another file
    assert Job.objects.active().count() == 1


def test_parts_of_uploads_are_not_volumes(pool):
    (Path(pool.target_path) / ".kvmweb-7a1b2c3d-0000-4000-8000-0123456789ab.part").write_bytes(b"half an image")
    (Path(pool.target_path) / "disk.img").write_bytes(bytes(4096))
    look(pool)
    assert list(Volume.objects.values_list("name", flat=True)) == ["disk.img"]


def test_a_pool_that_is_undefined_is_missing_with_its_volumes_and_comes_back(pool, virsh):
    (Path(pool.target_path) / "disk.img").write_bytes(bytes(4096))
    look(pool)
    virsh("pool-destroy", pool.name)
    look(pool)
    pool.refresh_from_db()
    assert (pool.is_active, pool.missing_since) == (False, None)
    assert Volume.objects.get().missing_since is None  # nobody can say
    virsh("pool-undefine", pool.name)
    assert look(pool) is None
    pool.refresh_from_db()
    assert pool.missing_since
    assert Volume.objects.get().missing_since
    virsh("pool-define-as", pool.name, "dir", "--target", pool.target_path)  # with another uuid
    virsh("pool-start", pool.name)
    again = look(pool)
    assert (again.pk, again.missing_since, again.is_active) == (pool.pk, None, True)
    assert Volume.objects.get().missing_since is None


def test_a_sync_of_the_host_finds_the_pool_and_costs_no_write_when_nothing_changed(pool, django_assert_max_num_queries):
    for number in range(40):
        (Path(pool.target_path) / f"disk-{number}.img").write_bytes(bytes(4096))
    with pool.host.connect() as conn:
        sync_storage(pool.host, conn, rescan=True)
        assert Volume.objects.filter(pool=pool).count() == 40
        with django_assert_max_num_queries(12) as queries:
            refresh_pool(pool.host, conn, pool.name)
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_a_pool_whose_directory_is_gone_is_stopped(pool):
    Path(pool.target_path).rmdir()
    look(pool)
    pool.refresh_from_db()
    assert (pool.is_active, pool.missing_since) == (False, None)
