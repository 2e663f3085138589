"""REST of guests, asked as a script does. No libvirt is asked: what starts is a job."""

import uuid

import pytest

from accounts.models import ApiToken, Grant
from guests.models import Disk, Guest
from jobs.models import Job
from networking.models import Network
from storage.models import Volume

from .rows import make_guest, make_host, make_pool

API = "/api/v1/guests"


@pytest.fixture
def host(db):
    return make_host()


@pytest.fixture
def store(host):
    return make_pool(host)


@pytest.fixture
def call(client, bearer):
    """`call("post", "/1/start", {...})` gives the status and the JSON."""

    def ask(method: str, path: str = "", body: object = None, **headers: str) -> tuple[int, dict]:
        sent = {"content_type": "application/json", **(headers or bearer)}
        response = getattr(client, method)(API + path, body, **sent)
        return response.status_code, response.json() if response.content else {}

    return ask


def test_the_list(call, host):
    make_guest(host, "b", state="running", memory_mib=2048)
    make_guest(host, "a", state="shutoff")
    make_guest(host, "gone", state="missing", state_reason="deleted")
    status, found = call("get")
    assert status == 200
    assert (found["count"], [guest["name"] for guest in found["items"]]) == (2, ["a", "b"])
    assert found["items"][1]["host"] == {"id": host.pk, "name": "kvm-a"}
    for query, names in {
        "state=running": ["b"],
        "state=off": ["a"],
        "search=mem:>1": ["b"],
        f"host={host.pk}": ["a", "b"],
        "host=99999": [],
        "sort=-name": ["b", "a"],
        "limit=1&offset=1": ["b"],
    }.items():
        assert [guest["name"] for guest in call("get", f"?{query}")[1]["items"]] == names, query
    for wrong in ("sort=colour", "search=colour:red", "state=happy", "host=-1", "host=" + "9" * 30):
        assert call("get", f"?{wrong}")[0] == 422, wrong


def test_one_guest(call, store):
    guest = make_guest(store.host, "a", xml="<domain/>")
    volume = Volume.objects.create(pool=store, name="a.qcow2", path="/srv/a.qcow2", capacity_bytes=5)
    Disk.objects.create(guest=guest, target="vda", source=volume.path, volume=volume)
    status, found = call("get", f"/{guest.pk}")
    assert status == 200
    assert found["disks"][0]["volume"] == volume.pk
    assert found["disks"][0]["capacity_bytes"] == 5
    assert call("get", f"/{guest.pk}/xml") == (200, {"xml": "<domain/>"})
    assert call("get", "/99999")[0] == 404
    assert call("get", "/" + "9" * 30)[0] == 404


def test_making_a_guest(call, store):
    network = Network.objects.create(host=store.host, uuid=uuid.uuid4(), name="default", is_active=True)
    body = {"name": "web-01", "os": "debian12", "vcpus": 1, "memory_mib": 1024, "disk_gib": 5}
    status, plan = call("post", "/plan", body)
    assert status == 200
    assert plan["os_name"] == "Debian 12"
    assert plan["disk"]["pool"] == "store"
    assert plan["network"] == "default"
    assert "<domain" in plan["xml"]
    assert {check["verdict"] for check in plan["checks"]} <= {"ok", "warn", "info"}
    assert not Job.objects.exists()

    status, job = call("post", "", body)
    assert status == 202
    assert (job["kind"], job["status"]) == ("create_guest", "queued")
    guest = next(each for each in job["objects"] if each["kind"] == "guest")
    assert call("get", f"/{guest['id']}")[1]["state"] == "creating"
    status, problem = call("post", "", body)
    assert (status, problem["code"], problem["field"]) == (409, "guest_exists", "name")
    assert network.name in Job.objects.get().arguments["xml"]


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"name": 'a"b<c>/d'}, 422, "invalid", "name"),
        ({"name": "a\nb"}, 422, "invalid", "name"),
        ({"name": "x" * 300}, 422, "invalid", "name"),
        ({"name": ""}, 422, "invalid", "name"),
        ({"name": None}, 422, "invalid", "name"),
        ({"vcpus": 0}, 422, "invalid", "vcpus"),
        ({"vcpus": -1}, 422, "invalid", "vcpus"),
        ({"vcpus": 10**9}, 422, "invalid", "vcpus"),
        ({"vcpus": 10**40}, 422, "invalid", "vcpus"),
        ({"vcpus": "many"}, 422, "invalid", "vcpus"),
        ({"memory_mib": 10**6}, 422, "invalid", "memory_mib"),
        ({"memory_mib": -1}, 422, "invalid", "memory_mib"),
        ({"disk_gib": 101}, 507, "pool_full", "disk_gib"),
        ({"disk_gib": 2**70}, 422, "invalid", "disk_gib"),
        ({"disk_gib": 60, "format": "raw"}, 507, "pool_full", "disk_gib"),
        ({"pool": 10**40}, 422, "invalid", "pool"),
        ({"network": 12345}, 422, "invalid", "network"),
        ({"os": "plan9"}, 422, "invalid", "os"),
        ({"description": "x" * 9000}, 422, "invalid", "description"),
    ],
)
def test_bad_input(call, store, changes, status, code, field):
    body = {"name": "web-01", "memory_mib": 1024, "disk_gib": 1, **changes}
    for path in ("", "/plan"):
        found, problem = call("post", path, body)
        assert (found, problem["code"], problem["field"]) == (status, code, field)
        assert problem["message"]
    assert not Job.objects.exists()
    assert not Guest.objects.exists()


def test_chinese_names_are_fine(call, store):
    assert call("post", "", {"name": "网页服务器", "disk_gib": 1})[0] == 202


def test_a_disk_that_may_not_fit_one_day_is_warned_of(call, store):
    status, plan = call("post", "/plan", {"name": "a", "disk_gib": 80})
    assert status == 200
    assert any(check["verdict"] == "warn" and "may grow" in check["text"] for check in plan["checks"])


@pytest.mark.parametrize("verb", ["start", "shutdown", "reboot", "reset", "destroy", "suspend", "resume", "save"])
def test_the_verbs(call, host, verb):
    guest = make_guest(host, "a", state="running")
    status, job = call("post", f"/{guest.pk}/{verb}")
    assert (status, job["kind"], job["objects"][0]["id"]) == (202, f"{verb}_guest", guest.pk)
    status, problem = call("post", f"/{guest.pk}/{verb}")
    assert (status, problem["code"]) == (409, "busy")
    assert job["title"] in problem["message"]


def test_many_at_once(call, host):
    pks = [make_guest(host, name).pk for name in "abc"]
    status, job = call("post", "/power", {"verb": "start", "guests": [*pks, 999, -1, 10**30]})
    assert (status, job["kind"]) == (202, "power_guests")
    assert Job.objects.get().arguments["guest_ids"] == pks
    assert call("post", "/power", {"verb": "fly", "guests": pks})[0] == 422
    assert call("post", "/power", {"verb": "start", "guests": []})[0] == 422


def test_changing(call, host):
    guest = make_guest(host, "a", is_emulated=True)
    assert call("patch", f"/{guest.pk}", {})[0] == 422
    assert call("patch", f"/{guest.pk}", {"vcpus": 10**9})[1]["field"] == "vcpus"
    status, job = call("patch", f"/{guest.pk}", {"title": "The web", "autostart": True})
    assert (status, job["kind"]) == (202, "change_guest")
    assert Job.objects.get().arguments["changes"] == {"title": "The web", "autostart": True}


def test_deleting(call, host):
    guest = make_guest(host, "a", state="running")
    Disk.objects.create(guest=guest, target="vda", source="/x")
    status, problem = call("delete", f"/{guest.pk}?disks=vda")
    assert (status, problem["code"]) == (409, "wrong_state")
    assert call("delete", f"/{guest.pk}?disks=vdz&force=true")[0] == 422
    status, job = call("delete", f"/{guest.pk}?disks=vda&force=true")
    assert (status, job["kind"]) == (202, "delete_guest")


def test_what_is_gone_is_404_until_it_is_forgotten(call, host):
    guest = make_guest(host, "a", state="missing")
    Guest.objects.update(missing_since=guest.state_since)
    status, problem = call("post", f"/{guest.pk}/start")
    assert (status, problem["code"]) == (404, "guest_not_found")
    assert call("post", f"/{guest.pk}/forget")[0] == 204
    assert call("get", f"/{guest.pk}")[0] == 404


def test_media(call, host):
    guest = make_guest(host, "a")
    Disk.objects.create(guest=guest, target="sda", device="cdrom")
    assert call("post", f"/{guest.pk}/media", {"target": "sda", "iso": 99})[1]["field"] == "iso"
    assert call("post", f"/{guest.pk}/media", {"target": "vda"})[1]["field"] == "target"
    assert call("post", f"/{guest.pk}/media", {"target": "sda"})[0] == 202


def test_who_may_what(call, host, viewer, operator, stranger, django_user_model):
    guest = make_guest(host, "a")
    other = make_guest(make_host("kvm-b"), "b")

    def token(user, scope: str = "administer") -> dict[str, str]:
        return {"HTTP_AUTHORIZATION": f"Bearer {ApiToken.issue(user, 't', scope)[1]}"}

    one = django_user_model.objects.create_user("of-one-guest", password="x")
    Grant.objects.create(user=one, role="operator", scope_kind="guest", scope_id=guest.pk)
    assert call("get", f"/{guest.pk}", **token(viewer))[0] == 200
    assert call("post", f"/{guest.pk}/start", **token(viewer))[0] == 404
    assert call("post", f"/{guest.pk}/start", **token(operator, "read"))[0] == 404
    assert call("get", f"/{guest.pk}", **token(stranger))[0] == 404
    assert call("get", "", **token(stranger))[1]["count"] == 0
    assert call("post", "", {"name": "c"}, **token(viewer))[0] == 403
    assert call("post", "", {"name": "c"}, **token(one))[0] == 403
    assert call("get", f"/{other.pk}", **token(one))[0] == 404
    assert call("post", f"/{other.pk}/start", **token(one))[0] == 404
    assert call("post", f"/{guest.pk}/forget", **token(one))[0] == 404
    assert call("post", f"/{guest.pk}/start", **token(one))[0] == 202
    assert call("get", "", HTTP_AUTHORIZATION="Bearer nonsense")[0] == 401
