"""Images that kvmweb fetches: into a pool of real libvirt, from a web server of ours."""

import gzip
import hashlib
import lzma
import os
import subprocess
from pathlib import Path

import pytest

from jobs.models import Job, JobUndo
from storage import catalogue
from storage.content import RESERVE_BYTES, Progress, find_pool
from storage.fetching import services, tasks
from storage.fetching.errors import AddressRefused
from storage.models import Iso, Release, Volume
from tests.storage import web as webs
from virt.errors import Invalid, VolumeExists

pytestmark = pytest.mark.libvirt
MIB = 1024**2


@pytest.fixture
def web(settings):
    settings.FETCH_NETWORKS = ["127.0.0.0/8"]
    with webs.running() as running:
        yield running


@pytest.fixture
def disc(tmp_path, build_iso):
    return build_iso(tmp_path / "ubuntu.iso", "Ubuntu-Server 24.04 LTS amd64", padding_mib=6).read_bytes()


def run(job: Job) -> Job:
    getattr(tasks, job.kind).run_here(job)
    job.refresh_from_db()
    return job


def nothing_is_left(pool):
    return not list(Path(pool.target_path).iterdir()) and not Volume.objects.exists() and not JobUndo.objects.exists()


def test_an_image_is_fetched_checked_and_known(web, disc, pool, admin, virsh):
    web.files["/d/ubuntu.iso"] = disc
    web.files["/d/SHA256SUMS"] = f"{hashlib.sha256(disc).hexdigest()} *ubuntu.iso\n".encode()
    web.redirects["/latest"] = web.url("/d/ubuntu.iso")
    url = web.url("/d/ubuntu.iso")
    job = run(services.fetch_image(pool, url, by=admin, checksum_url=web.url("/d/SHA256SUMS")))
    assert job.status == "succeeded", job.error
    assert (Path(pool.target_path) / "ubuntu.iso").read_bytes() == disc
    iso = Iso.objects.get(pk=job.result["iso_id"])
    assert (iso.os_name, iso.kind, iso.edition, iso.checksum) == ("Ubuntu 24.04 LTS", "iso", "Server", "matches")
    assert (iso.source_url, iso.added_by) == (url, admin)
    assert virsh("vol-list", pool.name).split()[0] == "ubuntu.iso"
    assert Job.objects.count() == 1  # what was hashed on the way is not read again
    with pytest.raises(VolumeExists):
        services.fetch_image(pool, url, by=admin)
    again = run(services.fetch_image(pool, web.url("/latest"), by=admin, name="again.iso"))
    assert again.status == "succeeded", again.error
    assert Iso.objects.get(volume__name="again.iso").checksum == "computed"


@pytest.mark.parametrize("packer", [gzip.compress, lzma.compress])
def test_a_packed_image_is_unpacked_on_the_way(web, disc, pool, admin, packer):
    packed = packer(disc)
    web.files["/ubuntu.iso.gz"] = packed
    digest = hashlib.sha512(packed).hexdigest()
    job = run(services.fetch_image(pool, web.url("/ubuntu.iso.gz"), by=admin, checksum=digest))
    assert job.status == "succeeded", job.error
    assert (Path(pool.target_path) / "ubuntu.iso").read_bytes() == disc
    assert Iso.objects.get().checksum == "matches"


def test_another_file_than_the_published_one_is_not_kept(web, disc, pool, admin):
    web.files["/ubuntu.iso"] = disc
    job = run(services.fetch_image(pool, web.url("/ubuntu.iso"), by=admin, checksum="0" * 64))
    assert (job.status, job.error_code) == ("failed", "checksum_differs")
    assert nothing_is_left(pool)


def test_a_broken_connection_goes_on_where_it_was(web, disc, pool, admin):
    web.files["/ubuntu.iso"] = disc
    web.break_after, web.breaks = 2 * MIB, 3
    digest = hashlib.sha256(disc).hexdigest()
    job = run(services.fetch_image(pool, web.url("/ubuntu.iso"), by=admin, checksum=digest))
    assert job.status == "succeeded", job.error
    assert [wanted for _path, wanted in web.asked] == ["", *(f"bytes={2 * MIB * n}-" for n in (1, 2, 3))]


def test_a_file_that_was_replaced_meanwhile_is_not_put_together_of_two(web, disc, pool, admin):
    web.files["/ubuntu.iso"] = disc
    web.break_after, web.breaks, web.is_replaced = 2 * MIB, 1, True
    assert run(services.fetch_image(pool, web.url("/ubuntu.iso"), by=admin)).error_code == "fetch_changed"
    assert nothing_is_left(pool)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"302 Found\r\nLocation: http://[::1", "fetch_failed"),
        (b"206 Partial Content\r\nContent-Length: 0", "fetch_failed"),  # nobody asked for a part
        (b"200 OK\r\nContent-Length: 1" + b"0" * 30 + b"\r\n\r\n" + bytes(MIB), "pool_full"),
        (b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + bytes(MIB) + b"\r\n") * 9, "pool_full"),
    ],
)
def test_a_server_that_misbehaves_leaves_nothing(web, pool, admin, monkeypatch, answer, code):
    monkeypatch.setattr("storage.content.REPORT_EVERY_S", 0)

    def found(*args):
        row = find_pool(*args)
        row.available_bytes = RESERVE_BYTES + 4 * MIB
        return row

    monkeypatch.setattr(tasks, "find_pool", found)
    web.raw["/image.iso"] = b"HTTP/1.1 " + answer + b"\r\n\r\n"
    job = run(services.fetch_image(pool, web.url("/image.iso"), by=admin))
    assert (job.status, job.error_code) == ("failed", code), job.error
    assert nothing_is_left(pool)


def test_a_redirect_to_this_machine_is_not_followed(web, pool, admin, settings):
    settings.FETCH_NETWORKS = ["127.0.0.1/32"]
    web.files["/secret"] = b"x" * 4096
    web.redirects["/loop"] = web.url("/loop")
    for number, place in enumerate((web.url("/secret", "127.0.0.2"), "http://169.254.169.254/latest/meta-data")):
        web.redirects["/image.iso"] = place
        job = run(services.fetch_image(pool, web.url("/image.iso"), by=admin, name=f"{number}.iso"))
        assert (job.status, job.error_code) == ("failed", "address_refused")
    assert "/secret" not in [path for path, _wanted in web.asked]
    web.redirects["/image.iso"] = "file:///etc/shadow"
    assert run(services.fetch_image(pool, web.url("/image.iso"), by=admin)).error_code == "invalid"
    assert run(services.fetch_image(pool, web.url("/loop"), by=admin, name="loop.iso")).error_code == "fetch_failed"
    with pytest.raises(AddressRefused):
        services.fetch_image(pool, web.url("/secret", "127.0.0.2"), by=admin)
    assert nothing_is_left(pool)


def test_a_qcow2_that_leads_to_another_file_is_refused_before_a_byte_is_written(web, pool, admin, tmp_path):
    evil = tmp_path / "evil.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", str(evil), "4M"]
    subprocess.run(command, check=True)
    for name, content in (("evil.qcow2", evil.read_bytes()), ("evil.qcow2.gz", gzip.compress(evil.read_bytes()))):
        web.files[f"/{name}"] = content
        job = run(services.fetch_image(pool, web.url(f"/{name}"), by=admin))
        assert (job.status, job.error_code) == ("failed", "reference_refused")
    assert nothing_is_left(pool)


def test_cancelled_refused_and_full_leave_nothing(web, new_pool, admin, monkeypatch):
    pool = new_pool(size_mib=40)
    monkeypatch.setattr("storage.content.RESERVE_BYTES", 0)
    web.files["/large.img"] = os.urandom(48 * MIB)
    assert run(services.fetch_image(pool, web.url("/large.img"), by=admin)).error_code == "pool_full"
    web.files["/large.img.gz"] = gzip.compress(web.files["/large.img"], 1)
    monkeypatch.setattr(tasks, "RESERVE_BYTES", 0)
    job = run(services.fetch_image(pool, web.url("/large.img.gz"), by=admin))
    assert job.error_code in ("not_unpacked", "pool_full")
    assert run(services.fetch_image(pool, web.url("/none.iso"), by=admin)).error_code == "fetch_failed"
    monkeypatch.setattr("storage.content.REPORT_EVERY_S", 0)
    web.files["/small.img"] = os.urandom(24 * MIB)
    job = services.fetch_image(pool, web.url("/small.img"), by=admin)
    progress = Progress.__call__

    def cancel(self, done):
        if done >= 8 * MIB:
            Job.objects.get(pk=job.pk).request_cancel(admin)
        progress(self, done)

    monkeypatch.setattr(Progress, "__call__", cancel)
    assert run(job).status == "cancelled"
    assert nothing_is_left(pool)


def test_bad_input_is_refused_with_its_field(pool, admin):
    url = "https://example.org/a.iso"
    for field, arguments in {
        "name": {"name": "../../etc/passwd"},
        "checksum": {"checksum": "abc"},
        "checksum_url": {"checksum_url": "file:///x"},
    }.items():
        with pytest.raises(Invalid) as refused:
            services.fetch_image(pool, url, by=admin, **arguments)
        assert refused.value.field == field


def test_the_catalogue_finds_the_newest_release(web, disc, pool, admin, monkeypatch):
    digest = hashlib.sha256(disc).hexdigest()
    entry = catalogue.Entry(
        "test", "Test 9", "", "x86_64", "iso", web.url("/9/SHA256SUMS"), r"test-9\.[0-9]+-netinst\.iso"
    )
    gone = entry._replace(key="gone", list=web.url("/gone"))
    monkeypatch.setattr(catalogue, "entries", lambda: (entry, gone))
    lines = [f"{'0' * 64} *test-9.9-netinst.iso", f"{digest} *test-9.10-netinst.iso", f"{'0' * 64} *test-9.10-dvd.iso"]
    web.files["/9/SHA256SUMS"] = "\n".join(lines).encode()
    web.files["/9/test-9.10-netinst.iso"] = disc
    assert run(services.refresh_catalogue(by=admin)).result == {"asked": 2, "failed": ["gone"]}
    assert Release.objects.get().url == web.url("/9/test-9.10-netinst.iso")
    job = run(services.fetch_entry(pool, "test", by=admin))
    assert job.status == "succeeded", job.error
    assert Iso.objects.get().name == "test-9.10-netinst.iso"
    assert Iso.objects.get().checksum == "matches"


def test_the_catalogue_as_it_is_shipped_can_be_read():
    found = catalogue.entries()
    assert len({entry.key for entry in found}) == len(found) > 10
    for entry in found:
        assert entry.kind in Iso.Kind.values
        assert (entry.list or entry.url).startswith("https://")
        assert bool(entry.list) == bool(entry.pattern)
