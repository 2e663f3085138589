"""The pages of the ISO library, and the questions before an image or a volume is deleted."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from guests.models import Disk, Guest
from jobs.models import Job
from storage import services
from storage.models import Iso, Pool, Volume

GIB = 1024**3


@pytest.fixture
def store(local_host):
    local_host.facts = {"arch": "x86_64"}
    local_host.save()
    return Pool.objects.create(
        host=local_host,
        uuid=uuid.uuid4(),
        name="iso",
        type="dir",
        is_active=True,
        target_path="/data_kvm/iso",
        capacity_bytes=500 * GIB,
        available_bytes=318 * GIB,
    )


@pytest.fixture
def add_iso(store):
    def add(name, **known):
        volume = Volume.objects.create(
            pool=store, name=name, path=f"/data_kvm/iso/{name}", format="iso", capacity_bytes=2 * GIB
        )
        known = {"is_iso9660": True, "sha256": "a" * 64, "added_at": timezone.now() - timedelta(days=9), **known}
        return Iso.objects.create(volume=volume, checked_bytes=2 * GIB, **known)

    return add


@pytest.fixture
def page(client, operator):
    client.force_login(operator)

    def get(url, *, fragment=False, status=200, **query):
        headers = {"HTTP_HX_REQUEST": "true"} if fragment else {}
        answer = client.get(url, query, **headers)
        assert answer.status_code == status, answer.content.decode()[:2000]
        return answer.content.decode()

    return get


def row(text, name):
    """The line of the table that has `name` in it."""
    return next(part for part in text.split("<tr ") if f">{name}</a>" in part)


def test_an_empty_library_says_what_it_is_for(page, store):
    text = page("/isos/")
    assert "No ISOs yet" in text
    assert "choose files" in text  # the uploads above it


def test_each_image_says_what_is_on_it_and_how_far_it_can_be_trusted(page, add_iso):
    add_iso("debian.iso", os_id="x", os_name="Debian 12", boots_bios=True, boots_uefi=True, sha256_expected="a" * 64)
    add_iso("centos.iso", os_name="CentOS 7", os_is_eol=True, boots_bios=True, boots_uefi=False)
    add_iso("fedora-arm.iso", os_name="Fedora 42", arch="aarch64", boots_bios=False, boots_uefi=True)
    add_iso("wrong.iso", sha256_expected="b" * 64)
    add_iso("notes.iso", is_iso9660=False)
    add_iso("fresh.iso", added_at=timezone.now(), sha256="", sha256_expected="b" * 64, is_iso9660=None)
    text = page("/isos/")
    assert "6 images, 12 GiB" in text
    for name, words in {
        "debian.iso": ["Debian 12", "UEFI, BIOS", "as published", "New guest"],
        "centos.iso": ["end of life", "BIOS only", "computed"],
        "fedora-arm.iso": ["emulated", "UEFI only"],
        "wrong.iso": ["does not match", "unknown"],
        "notes.iso": ["not an ISO"],
        "fresh.iso": [">new<", "unverified"],
    }.items():
        for word in words:
            assert word in row(text, name), (name, word)
    assert "New guest" not in row(text, "notes.iso")


def test_a_row_follows_the_job_that_is_at_it(page, add_iso, admin):
    iso = add_iso("debian.iso")
    assert f'data-live="iso-{iso.pk}"' not in page("/isos/")
    job = services.inspect_iso(iso, by=admin)
    Job.objects.filter(pk=job.pk).update(status="running", message="Computing", done=43, total=100)
    fragment = page(reverse("storage:iso_row", args=[iso.pk]), fragment=True)
    assert f'data-live="iso-{iso.pk}"' in fragment
    assert "Computing" in fragment
    assert "43 %" in fragment
    assert "<html" not in page("/isos/", fragment=True)


def test_the_page_of_an_image_has_all_that_is_known(page, add_iso, store):
    iso = add_iso("debian.iso", os_name="Debian 12", label="Debian 12.5.0 amd64 n", arch="x86_64")
    for number in range(2):
        guest = Guest.objects.create(host=store.host, uuid=uuid.uuid4(), name=f"web-{number}")
        Disk.objects.create(guest=guest, target="sda", device="cdrom", volume=iso.volume)
    text = page(iso.get_absolute_url())
    for words in ("a" * 64, "Debian 12.5.0 amd64 n", "/data_kvm/iso/debian.iso", "web-0", "web-1", "found in the pool"):
        assert words in text
    assert "2 guests" in row(page("/isos/"), "debian.iso")


def test_the_system_is_set_by_hand(client, operator, add_iso):
    iso = add_iso("unknown.iso")
    client.force_login(operator)
    url = reverse("storage:iso_system", args=[iso.pk])
    assert "Debian 12" in client.get(url).content.decode()
    assert client.post(url, {"os_id": "http://no.such/system"}).status_code == 422
    assert client.post(url, {"os_id": "http://debian.org/debian/12"}).status_code == 302
    iso.refresh_from_db()
    assert (iso.os_name, iso.os_set_by_hand) == ("Debian 12", True)


def test_a_published_checksum_is_compared_at_once(client, operator, add_iso):
    iso = add_iso("debian.iso")
    client.force_login(operator)
    url = reverse("storage:iso_checksum", args=[iso.pk])
    answer = client.post(url, {"sha256": "no checksum"})
    assert answer.status_code == 422
    assert "64 hexadecimal digits" in answer.content.decode()
    client.post(url, {"sha256": "A" * 64 + "\n"})
    assert Iso.objects.get().checksum == "matches"


def test_deleting_an_image_asks_first_and_then_starts_a_job(client, operator, add_iso):
    iso = add_iso("debian.iso")
    client.force_login(operator)
    url = reverse("storage:iso_delete", args=[iso.pk])
    question = client.get(url).content.decode()
    assert "/data_kvm/iso/debian.iso" in question
    assert "virsh vol-delete --pool iso debian.iso" in question
    assert not Job.objects.exists()
    assert client.post(url).status_code == 302
    assert Job.objects.get().title == "Delete debian.iso"


def test_an_image_in_use_cannot_be_asked_away(client, operator, add_iso, store):
    iso = add_iso("debian.iso")
    guest = Guest.objects.create(host=store.host, uuid=uuid.uuid4(), name="web-01")
    Disk.objects.create(guest=guest, target="sda", device="cdrom", volume=iso.volume)
    client.force_login(operator)
    for method in (client.get, client.post):
        answer = method(reverse("storage:iso_delete", args=[iso.pk]), HTTP_HX_REQUEST="true")
        assert answer.status_code == 409
        assert "web-01" in answer.content.decode()


def test_deleting_a_volume_wants_its_name(client, operator, store):
    volume = Volume.objects.create(pool=store, name="web-01.qcow2", path="/x", format="qcow2")
    client.force_login(operator)
    url = reverse("storage:volume_delete", args=[volume.pk])
    assert "to go on" in client.get(url).content.decode()
    assert client.post(url, {"confirm_name": "web-02.qcow2"}).status_code == 422
    assert not Job.objects.exists()
    assert client.post(url, {"confirm_name": "web-01.qcow2"}).status_code == 302
    assert Job.objects.get().kind == "delete_volume"


def test_a_form_shows_what_was_wrong_at_its_field(client, operator, store):
    client.force_login(operator)
    url = reverse("storage:volume_new", args=[store.pk])
    wrong = {"name": "a/b", "size_gib": "10", "image_format": "qcow2", "preallocation": "none"}
    for change, words in (
        ({}, "slash"),
        ({"name": "x" * 256}, "255"),
        ({"name": "ok", "size_gib": "0"}, "at least 1 MiB"),
        ({"name": "ok", "size_gib": "-1"}, "at least 1 MiB"),
        ({"name": "ok", "size_gib": "many"}, "number"),
        ({"name": "ok", "size_gib": "501"}, "500 GiB"),
        ({"name": "ok", "size_gib": "319", "preallocation": "full"}, "318 GiB of 500 GiB are free"),
    ):
        answer = client.post(url, {**wrong, **change})
        assert answer.status_code == 422, change
        assert words in answer.content.decode(), change
    assert client.post(url, {**wrong, "name": "ok", "size_gib": "0.5"}).status_code == 302
    assert Job.objects.get().arguments["capacity_bytes"] == GIB // 2


def test_names_are_text_and_nothing_else(page, add_iso):
    add_iso("<script>alert(1)</script>&'\".iso", label="<b>")
    text = page("/isos/")
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_the_library_costs_the_same_number_of_queries_for_one_row_and_for_a_page(page, add_iso, store):
    def queries():
        page("/isos/")
        with CaptureQueriesContext(connection) as captured:
            page("/isos/", per=25)
        return len(captured)

    def put_into_drive(iso, name):
        guest = Guest.objects.create(host=store.host, uuid=uuid.uuid4(), name=name)
        Disk.objects.create(guest=guest, target="sda", device="cdrom", volume=iso.volume)

    put_into_drive(add_iso("first.iso"), "web")
    one = queries()
    for number in range(60):
        put_into_drive(add_iso(f"{number}.iso"), f"web-{number}")
    assert queries() == one


def test_a_menu_offers_what_its_reader_may_do(client, operator, viewer, add_iso, store):
    iso = add_iso("debian.iso")
    disk = Volume.objects.create(pool=store, name="web-01.qcow2", path="/x", format="qcow2")
    urls = {
        reverse("storage:iso_menu", args=[iso.pk]): ["New guest", "Check again", "Set the system", "Delete"],
        reverse("storage:volume_menu", args=[disk.pk]): ["Details", "Resize", "Copy", "Delete"],
        reverse("storage:volume_menu", args=[iso.volume_id]): ["In the ISO library", "Delete"],
        reverse("storage:pool_menu", args=[store.pk]): ["New volume", "Refresh", "Start with the host", "Stop"],
    }
    for user, may_change in ((operator, True), (viewer, False)):
        client.force_login(user)
        for url, entries in urls.items():
            text = client.get(url, HTTP_HX_REQUEST="true").content.decode()
            for entry in entries:
                assert (entry in text) == (may_change or entry in ("Details", "In the ISO library")), (url, entry)
