"""Before a file is sent: which of those that somebody chose the library has already, as far as they may see it."""

import unicodedata
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiToken, Grant
from hosts.models import Host
from jobs.models import Job
from storage.models import Iso, Pool, Volume

MIB = 1024**2
SHA = "ab" * 32


@pytest.fixture
def far(db):
    return Host.objects.create(name="far", uri="qemu+ssh://far.example/system", state="connected")


@pytest.fixture
def pool(local_host):
    return new_pool(local_host, "iso")


def new_pool(host, name, **known):
    return Pool.objects.create(host=host, uuid=uuid.uuid4(), name=name, type="dir", **{"is_active": True, **known})


def new_image(pool, name="debian.iso", size=3 * MIB, file_bytes=None, image_format="iso", **known):
    volume = Volume.objects.create(pool=pool, name=name, format=image_format, capacity_bytes=size)
    return Iso.objects.create(volume=volume, file_bytes=file_bytes, **known)


@pytest.fixture
def ask(client, operator):
    """Asks REST as `by`, with a token, what it knows of files that are meant for `pool`."""

    def post(pool, *files, by=operator, scope=ApiToken.Scope.READ, status=200):
        body = {"pool": pool.pk, "files": [{"name": name, "size_bytes": size} for name, size in files]}
        _token, secret = ApiToken.issue(by, "tests", scope)
        answer = client.post(
            "/api/v1/isos/known", body, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {secret}"
        )
        assert answer.status_code == status, answer.content
        return answer.json()

    return post


def places(answer):
    return [[image["pool"]["name"], image["host"]["name"]] for image in answer["elsewhere"]]


def test_a_file_is_known_by_its_name_and_its_size(pool, far, ask):
    here = new_image(pool)
    elsewhere = new_image(new_pool(far, "images"), sha256=SHA)
    same, larger, other = ask(pool, ("debian.iso", 3 * MIB), ("debian.iso", 4 * MIB), ("fedora.iso", 3 * MIB))
    assert same["here"]["iso_id"] == here.pk
    assert same["elsewhere"] == [
        {
            "iso_id": elsewhere.pk,
            "pool": {"id": elsewhere.volume.pool_id, "name": "images"},
            "host": {"id": far.pk, "name": "far"},
            "sha256": SHA,
        }
    ]
    assert larger == other == {"here": None, "elsewhere": []}
    assert not Job.objects.exists()


def test_of_a_qcow2_the_file_counts_and_not_what_a_guest_sees(pool, far, ask):
    new_image(new_pool(far, "clouds"), "debian.qcow2", 2048 * MIB, 300 * MIB, "qcow2")
    new_image(new_pool(far, "unread"), "debian.qcow2", 2048 * MIB, None, "qcow2")
    file, seen = ask(pool, ("debian.qcow2", 300 * MIB), ("debian.qcow2", 2048 * MIB))
    assert places(file) == [["clouds", "far"]]
    assert places(seen) == []


def test_only_what_can_be_copied_now_is_offered_the_nearest_first(pool, far, local_host, ask):
    new_image(new_pool(far, "computed"), sha256=SHA)
    new_image(new_pool(far, "published"), sha256=SHA, sha256_expected=SHA)
    new_image(new_pool(local_host, "near"), sha256=SHA)
    new_image(new_pool(far, "wrong"), sha256=SHA, sha256_expected="cd" * 32)
    new_image(new_pool(far, "stopped", is_active=False))
    silent = Host.objects.create(name="silent", uri="qemu+ssh://silent/system", state="unreachable")
    new_image(new_pool(silent, "silent"))
    gone = new_image(new_pool(far, "gone")).volume
    Volume.objects.filter(pk=gone.pk).update(missing_since=gone.first_seen_at)
    (answer,) = ask(pool, ("debian.iso", 3 * MIB))
    assert places(answer) == [["near", "local"], ["published", "far"], ["computed", "far"]]


def test_a_name_is_the_one_that_it_would_have(pool, ask):
    new_image(pool, unicodedata.normalize("NFC", "Ubuntu é.iso"))
    (answer,) = ask(pool, (unicodedata.normalize("NFD", " Ubuntu é.iso"), 3 * MIB))
    assert answer["here"]


def test_what_somebody_may_not_see_is_never_hinted_at(pool, far, ask, viewer, stranger):
    secret = new_pool(far, "secret")
    new_image(secret)
    Grant.objects.create(user=stranger, role=Grant.Role.OPERATOR, scope_kind=Grant.Scope.HOST, scope_id=pool.host_id)
    files = [("debian.iso", 3 * MIB)]
    assert places(*ask(pool, *files, by=viewer)) == [["secret", "far"]]
    assert ask(pool, *files, by=stranger) == ask(pool, ("no.such", 1), by=stranger)
    assert ask(secret, *files, by=stranger, status=422)["field"] == "pool"
    Grant.objects.filter(user=stranger).delete()
    assert ask(pool, *files, by=stranger, status=422)["field"] == "pool"


def test_a_page_asks_with_its_session_and_a_page_of_another_site_does_not(client, operator, pool):
    body = {"pool": pool.pk, "files": []}
    asked = {"path": "/api/v1/isos/known", "data": body, "content_type": "application/json"}
    assert client.post(**asked).status_code == 401
    browser = type(client)(enforce_csrf_checks=True)
    browser.force_login(operator)
    assert browser.post(**asked).status_code == 403
    browser.get("/isos/")
    assert browser.post(**asked, HTTP_X_CSRFTOKEN=browser.cookies["kvmweb_csrf"].value).json() == []


def test_many_cost_as_much_as_one(pool, far, client, operator, ask):
    there = new_pool(far, "images")
    names = [f"{number}.iso" for number in range(300)]
    made = Volume.objects.bulk_create(Volume(pool=there, name=name, format="iso", capacity_bytes=5) for name in names)
    Iso.objects.bulk_create(Iso(volume=volume) for volume in made)
    with CaptureQueriesContext(
        connection,
    ) as one:
        ask(pool, ("0.iso", 5))
    with CaptureQueriesContext(connection) as all_of_them:
        found = ask(pool, *((name, 5) for name in names))
    assert len(all_of_them) == len(one)
    assert all(places(answer) for answer in found)
    assert ask(pool, *[("x", 5)] * 1001, status=422)["field"] == "files"
    assert ask(pool, ("x", -1), status=422)["field"] == "size_bytes"


def test_the_library_is_searched_by_content(client, bearer, pool, far):
    known, other = new_image(pool, sha256=SHA), new_image(new_pool(far, "images"), sha256="cd" * 32)
    for wanted, found in ((SHA.upper(), [known.pk]), ("cd" * 32, [other.pk]), ("ef" * 32, [])):
        items = client.get("/api/v1/isos", {"sha256": wanted}, **bearer).json()["items"]
        assert [item["id"] for item in items] == found
    answer = client.get("/api/v1/isos", {"sha256": "abc"}, **bearer)
    assert (answer.status_code, answer.json()["field"]) == (422, "sha256")
