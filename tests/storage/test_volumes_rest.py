"""REST of pools, volumes and images: shapes, filters, rights and statuses. libvirt is not asked by any request."""

import json
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiToken, Grant
from guests.models import Disk, Guest
from hosts.models import Host
from jobs.models import Job
from storage.models import Iso, Pool, Volume

GIB = 1024**3


@pytest.fixture
def store(local_host):
    return Pool.objects.create(
        host=local_host,
        uuid=uuid.uuid4(),
        name="store",
        type="dir",
        is_active=True,
        target_path="/data_kvm/store",
        capacity_bytes=500 * GIB,
        allocation_bytes=182 * GIB,
        available_bytes=318 * GIB,
    )


@pytest.fixture
def disk(store):
    return Volume.objects.create(
        pool=store, name="web-01.qcow2", path="/data_kvm/store/web-01.qcow2", format="qcow2", capacity_bytes=20 * GIB
    )


@pytest.fixture
def iso(store):
    volume = Volume.objects.create(
        pool=store, name="debian.iso", path="/data_kvm/store/debian.iso", format="iso", capacity_bytes=GIB
    )
    return Iso.objects.create(
        volume=volume, sha256="a" * 64, is_iso9660=True, os_id="http://debian.org/debian/12", os_name="Debian 12"
    )


@pytest.fixture
def use(store):
    def make(volume, name, state="shutoff"):
        guest = Guest.objects.create(host=store.host, uuid=uuid.uuid4(), name=name, state=state)
        Disk.objects.create(guest=guest, target="vda", source=volume.path, volume=volume)
        return guest

    return make


@pytest.fixture
def rest(client, bearer):
    """rest("GET", "/pools") gives (status, JSON) as an administrator's script sees it."""

    def call(method, path, body=None, **headers):
        answer = client.generic(
            method,
            f"/api/v1{path}",
            json.dumps(body) if body is not None else "",
            "application/json",
            **(headers or bearer),
        )
        return answer.status_code, answer.json()

    return call


def as_user(user, scope=ApiToken.Scope.ADMINISTER):
    return {"HTTP_AUTHORIZATION": f"Bearer {ApiToken.issue(user, 'tests', scope)[1]}"}


def test_a_pool_as_rest_shows_it(rest, store, disk):
    status, body = rest("GET", f"/pools/{store.pk}")
    assert status == 200
    assert body == {
        "id": store.pk,
        "uuid": str(store.uuid),
        "name": "store",
        "host": {"id": store.host_id, "name": "local"},
        "type": "dir",
        "state": "active",
        "autostart": False,
        "target_path": "/data_kvm/store",
        "capacity_bytes": 500 * GIB,
        "allocation_bytes": 182 * GIB,
        "available_bytes": 318 * GIB,
        "volume_count": 1,
        "promised_bytes": 20 * GIB,
        "warn_percent": 90,
        "closed_to_qemu": "",
        "refreshed_at": None,
        "job_id": None,
    }
    assert rest("GET", "/pools?search=STORE")[1] == {"items": [body], "count": 1}
    assert rest("GET", "/pools?search=nothing")[1] == {"items": [], "count": 0}


def test_a_volume_as_rest_shows_it(rest, store, disk, use):
    Volume.objects.create(pool=store, name="top", path="/top", format="qcow2", backing_path=disk.path)
    guest = use(disk, "web-01")
    status, body = rest("GET", f"/volumes/{disk.pk}")
    assert status == 200
    assert body["used_by"] == [{"id": guest.pk, "name": "web-01"}]
    assert (body["used_by_count"], body["iso_id"], body["backing_chain"]) == (1, None, [])
    top = rest("GET", "/volumes?search=top")[1]["items"][0]
    assert rest("GET", f"/volumes/{top['id']}")[1]["backing_chain"] == [disk.path]
    names = [each["name"] for each in rest("GET", "/volumes?unused=true")[1]["items"]]
    assert names == ["top"]
    names = [each["name"] for each in rest("GET", "/volumes?sort=-capacity&format=qcow2")[1]["items"]]
    assert names == ["web-01.qcow2", "top"]


def test_an_image_as_rest_shows_and_changes_it(rest, iso, store):
    status, body = rest("GET", f"/isos/{iso.pk}")
    assert status == 200
    assert (body["name"], body["checksum"], body["os_name"], body["added_by"]) == (
        "debian.iso",
        "computed",
        "Debian 12",
        None,
    )
    assert (body["pool"], body["size_bytes"], body["volume_id"]) == (
        {"id": store.pk, "name": "store"},
        GIB,
        iso.volume_id,
    )
    assert rest("GET", "/isos?search=debian")[1]["count"] == 1
    assert rest("GET", "/isos?os_id=http://ubuntu.com/ubuntu/24.04")[1]["count"] == 0
    systems = rest("GET", "/isos/systems?search=ubuntu 24.04")[1]
    assert systems[0]["name"] == "Ubuntu 24.04 LTS"
    status, body = rest("PATCH", f"/isos/{iso.pk}", {"os_id": systems[0]["id"], "sha256_expected": "A" * 64})
    assert (status, body["os_name"], body["os_set_by_hand"], body["checksum"]) == (
        200,
        "Ubuntu 24.04 LTS",
        True,
        "matches",
    )
    assert rest("PATCH", f"/isos/{iso.pk}", {"sha256_expected": "b" * 64})[1]["checksum"] == "differs"
    status, body = rest("PATCH", f"/isos/{iso.pk}", {"os_id": "http://no.such/system"})
    assert (status, body["code"], body["field"]) == (422, "invalid", "os_id")
    assert rest("PATCH", f"/isos/{iso.pk}", {"sha256_expected": "not hex"})[1]["field"] == "sha256_expected"


def test_every_change_is_a_job_to_follow(client, admin, bearer, store, disk, iso):
    changes = [
        ("POST", f"/pools/{store.pk}/start", None),
        ("POST", f"/pools/{store.pk}/stop", None),
        ("POST", f"/pools/{store.pk}/refresh", None),
        ("PATCH", f"/pools/{store.pk}", {"autostart": True}),
        ("POST", "/volumes", {"pool": store.pk, "name": "new.qcow2", "capacity_bytes": GIB}),
        ("POST", f"/volumes/{disk.pk}/resize", {"capacity_bytes": 40 * GIB}),
        ("DELETE", f"/volumes/{disk.pk}", None),
        ("POST", f"/isos/{iso.pk}/inspect", None),
        ("DELETE", f"/isos/{iso.pk}", None),
    ]
    for method, path, body in changes:
        answer = client.generic(
            method, f"/api/v1{path}", json.dumps(body) if body else "", "application/json", **bearer
        )
        assert answer.status_code == 202, (path, answer.content)
        job = answer.json()
        assert answer["Location"] == f"/api/v1/jobs/{job['id']}"
        assert job["status"] == "queued"
        kinds = {each["kind"] for each in job["objects"]}
        assert "host" in kinds  # who has a grant on the host sees the job
        Job.objects.get(pk=job["id"]).request_cancel(admin)


def test_a_second_change_is_refused_with_the_name_of_the_first(rest, disk):
    assert rest("POST", f"/volumes/{disk.pk}/resize", {"capacity_bytes": 40 * GIB})[0] == 202
    status, body = rest("DELETE", f"/volumes/{disk.pk}")
    assert (status, body["code"]) == (409, "busy")
    assert "Grow web-01.qcow2 to 40 GiB" in body["message"]
    assert rest("GET", f"/volumes/{disk.pk}")[1]["job_id"] == Job.objects.get().pk


@pytest.mark.parametrize("name", ["web/01", "a\nb", "", "x" * 300, '"', "<b>", "-rf", ".hidden"])
def test_a_bad_name_is_422_with_its_field(rest, store, name):
    status, body = rest("POST", "/volumes", {"pool": store.pk, "name": name, "capacity_bytes": GIB})
    assert (status, body["code"], body["field"]) == (422, "invalid", "name")
    assert body["message"].endswith(".")


@pytest.mark.parametrize("size", [0, -1, 10**30, "many", None, 1.5])
def test_a_bad_size_is_422_with_its_field(rest, store, size):
    status, body = rest("POST", "/volumes", {"pool": store.pk, "name": "a", "capacity_bytes": size})
    assert (status, body["field"]) == (422, "capacity_bytes")


def test_more_than_the_pool_is_507(rest, store):
    for change in ({"capacity_bytes": 501 * GIB}, {"capacity_bytes": 319 * GIB, "format": "raw"}):
        status, body = rest("POST", "/volumes", {"pool": store.pk, "name": "a", **change})
        assert (status, body["code"], body["field"]) == (507, "pool_full", "capacity_bytes")
    assert rest("POST", "/volumes", {"pool": store.pk, "name": "a", "capacity_bytes": 319 * GIB})[0] == 202


def test_images_that_promise_more_than_there_can_be_are_still_added_up(client, admin, rest, store):
    guest = Guest.objects.create(host=store.host, uuid=uuid.uuid4(), name="web-01", state="shutoff")
    for letter in "abcdefghi":  # in all more than 64 bits hold
        volume = Volume.objects.create(pool=store, name=f"{letter}.qcow2", format="qcow2", capacity_bytes=2**60)
        Iso.objects.create(volume=volume)
        Disk.objects.create(guest=guest, target=f"vd{letter}", source=volume.path, volume=volume)
    assert rest("GET", f"/pools/{store.pk}")[1]["promised_bytes"] == 9 * 2**60
    client.force_login(admin)
    for page in ("/isos/", "/pools/", f"/pools/{store.pk}/", "/guests/?columns=disk"):
        assert client.get(page, follow=True).status_code == 200, page


def test_what_a_guest_uses_is_409_and_named(rest, disk, iso, use):
    for number in range(5):
        use(disk, f"web-{number}", state="running")
    use(iso.volume, "db-01")
    status, body = rest("DELETE", f"/volumes/{disk.pk}")
    assert (status, body["code"]) == (409, "volume_in_use")
    assert "web-0, web-1, web-2 and 2 more" in body["message"]
    assert "db-01" in rest("DELETE", f"/isos/{iso.pk}")[1]["message"]
    status, body = rest("POST", f"/volumes/{disk.pk}/resize", {"capacity_bytes": 40 * GIB})
    assert (status, body["code"]) == (409, "volume_in_use")
    assert not Job.objects.exists()


def test_growing_what_is_no_disk_and_shrinking_are_refused(rest, disk, iso):
    assert rest("POST", f"/volumes/{iso.volume_id}/resize", {"capacity_bytes": 40 * GIB})[0] == 409
    status, body = rest("POST", f"/volumes/{disk.pk}/resize", {"capacity_bytes": GIB})
    assert (status, body["field"]) == (422, "capacity_bytes")


def test_a_stopped_pool_says_so(rest, store, disk):
    Pool.objects.update(is_active=False)
    for method, path, body in (
        ("POST", "/volumes", {"pool": store.pk, "name": "a", "capacity_bytes": GIB}),
        ("POST", f"/pools/{store.pk}/refresh", None),
        ("DELETE", f"/volumes/{disk.pk}", None),
    ):
        status, answer = rest(method, path, body)
        assert (status, answer["code"]) == (409, "wrong_state"), path


@pytest.mark.parametrize("path", ["/pools/{}", "/volumes/{}", "/isos/{}", "/pools/99999999999999999999999"])
def test_what_is_not_there_is_404(rest, store, path):
    status, body = rest("GET", path.format(10**6))
    assert (status, body["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "query", ["host=99999999999999999999", "host=-1", "host=x", "sort=colour", "limit=0", f"offset={2**63}"]
)
def test_a_query_that_makes_no_sense_is_422(rest, store, query):
    assert rest("GET", f"/volumes?{query}")[0] == 422


def test_others_objects_are_404_and_reading_is_not_changing(rest, store, disk, iso, stranger, viewer, operator):
    mine = Host.objects.create(name="mine", uri="test:///mine")
    Grant.objects.create(user=stranger, role="operator", scope_kind="host", scope_id=mine.pk)
    changes = [
        ("POST", f"/pools/{store.pk}/start"),
        ("DELETE", f"/volumes/{disk.pk}"),
        ("POST", f"/isos/{iso.pk}/inspect"),
    ]
    for headers, may_see in (
        (as_user(stranger), False),
        (as_user(viewer), True),
        (as_user(operator, ApiToken.Scope.READ), True),
    ):
        for path in (f"/pools/{store.pk}", f"/volumes/{disk.pk}", f"/isos/{iso.pk}"):
            assert rest("GET", path, **headers)[0] == (200 if may_see else 404)
        for path in ("/pools", "/volumes", "/isos"):
            assert bool(rest("GET", path, **headers)[1]["count"]) == may_see
        for method, path in changes:
            assert rest(method, path, **headers)[0] == 404
        body = {"pool": store.pk, "name": "a", "capacity_bytes": GIB}
        assert rest("POST", "/volumes", body, **headers)[0] == 404
    assert not Job.objects.exists()
    assert rest("GET", "/pools", HTTP_AUTHORIZATION="Bearer nonsense")[0] == 401


@pytest.mark.parametrize("path", ["/volumes", "/isos", "/pools"])
def test_a_list_costs_the_same_number_of_queries_for_one_row_and_for_a_page(rest, store, disk, iso, use, path):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert rest("GET", path)[0] == 200
        return len(captured)

    use(disk, "web-00")
    queries()
    one = queries()
    for number in range(60):
        volume = Volume.objects.create(pool=store, name=f"{number}.iso", path=f"/x/{number}.iso", format="iso")
        Iso.objects.create(volume=volume)
        use(volume, f"web-{number}")
    assert queries() <= one  # equal images elsewhere are asked for only where a checksum is known


def test_a_pool_that_is_gone_says_so(rest, store, disk):
    Pool.objects.update(missing_since=timezone.now())
    for path in (f"/pools/{store.pk}/start", f"/pools/{store.pk}/refresh"):
        status, body = rest("POST", path)
        assert (status, body["code"]) == (404, "pool_not_found")
    assert rest("GET", f"/pools/{store.pk}")[1]["state"] == "missing"
