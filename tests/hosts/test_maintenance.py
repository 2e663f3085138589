"""Hosts in maintenance: nothing new is placed on them, what is there goes on. No libvirt is asked."""

import json

import pytest

from accounts.models import AuditEntry, Grant
from guests import services
from guests.plan import NewGuest
from hosts import maintenance
from hosts.maintenance import HostInMaintenance
from jobs.models import Job
from storage import copying
from storage import services as storage
from storage.fetching import services as fetching
from storage.models import Volume
from tests.guests.rows import make_guest, make_host, make_pool


@pytest.fixture
def host(db):
    host = make_host()
    make_pool(host)
    make_guest(host, "web-01", state="running")
    return host


def planned(host, user):
    return services.plan_guest(NewGuest(name="new", host=host.pk, has_network=False, disk_gib=0), by=user)


def test_nothing_new_is_placed_and_what_is_there_goes_on(host, admin, operator):
    planned(host, operator)
    maintenance.enter(host, by=admin, reason="new  fan ü")
    assert (host.maintenance_reason, host.maintenance_by) == ("new fan ü", admin.username)
    with pytest.raises(HostInMaintenance, match="new fan ü"):
        planned(host, operator)
    with pytest.raises(HostInMaintenance):
        storage.create_volume(host.pools.get(), "data.qcow2", 2**30, by=operator)
    disk = Volume.objects.create(pool=host.pools.get(), name="a.qcow2", path="/srv/store/a.qcow2", format="qcow2")
    with pytest.raises(HostInMaintenance):
        copying.copy_volume(disk, disk.pool, "b.qcow2", by=operator)
    with pytest.raises(HostInMaintenance):
        fetching.fetch_image(disk.pool, "https://example.org/a.qcow2", by=operator)
    assert services.power(host.guests.get(), "shutdown", by=operator).status == "queued"
    since = host.maintenance_since
    maintenance.enter(host, by=admin, reason="other")
    assert (host.maintenance_since, host.maintenance_reason) == (since, "other")
    maintenance.leave(host, by=admin)
    maintenance.leave(host, by=admin)
    planned(host, operator)
    actions = list(AuditEntry.objects.filter(object_kind="host").order_by("pk").values_list("action", flat=True))
    assert actions == ["enter_maintenance", "enter_maintenance", "leave_maintenance"]


def test_the_wizard_takes_another_host_and_says_why(client, host, admin, operator):
    other = make_host("kvm-b")
    maintenance.enter(host, by=admin, reason="new fan")
    client.force_login(operator)
    page = client.get("/guests/new/").content.decode()
    assert f'<option value="{other.pk}" selected>' in page
    assert "kvm-a, in maintenance" in page
    asked = client.post("/guests/new/preview/", {"name": "x", "host": host.pk, "source": "iso"})
    assert "is in maintenance (new fan)" in asked.content.decode()


def test_pages_show_it_and_only_administrators_change_it(client, host, admin, operator):
    client.force_login(admin)
    url = f"/hosts/{host.pk}/maintenance/"
    assert "1 guest runs on it now" in client.get(url).content.decode()
    assert client.post(url, {"reason": "x" * 600, "guests": "leave"}).status_code == 422
    assert client.post(url, {"reason": "fan", "guests": "leave"}).status_code == 302
    for path in (f"/hosts/{host.pk}/", "/hosts/", "/"):
        assert "n maintenance" in client.get(path).content.decode(), path
    assert "End maintenance" in client.get(f"/hosts/{host.pk}/").content.decode()
    client.force_login(operator)
    assert client.get(url).status_code == 404
    assert client.post(f"{url}leave/").status_code == 404
    assert "End maintenance" not in client.get(f"/hosts/{host.pk}/").content.decode()
    client.force_login(admin)
    assert client.post(f"{url}leave/").status_code == 302
    host.refresh_from_db()
    assert not host.is_in_maintenance


def test_the_same_over_rest(client, bearer, host):
    url = f"/api/v1/hosts/{host.pk}/maintenance"

    def put(**body):
        return client.put(url, json.dumps(body), content_type="application/json", **bearer)

    assert put(reason="fan").json()["in_maintenance"]
    assert client.get(url, **bearer).json()["reason"] == "fan"
    made = client.post(
        "/api/v1/guests", json.dumps({"name": "new", "host": host.pk}), content_type="application/json", **bearer
    )
    assert (made.status_code, made.json()["code"]) == (409, "host_in_maintenance")
    shown = put(guests="shutdown", at_once=2).json()
    assert shown["job"]["kind"] == "shut_down_guests"
    assert put(guests="shutdown").json()["code"] == "busy"
    assert put(guests="burn").status_code == 422
    assert put(guests="shutdown", at_once=0).status_code == 422
    assert Job.objects.get().arguments == {"host_id": host.pk, "at_once": 2, "patience_s": 300}
    assert not client.delete(url, **bearer).json()["in_maintenance"]


def test_a_grant_on_another_host_is_not_enough(client, host, stranger):
    Grant.objects.create(user=stranger, role="administrator", scope_kind="host", scope_id=make_host("kvm-b").pk)
    client.force_login(stranger)
    assert client.post(f"/hosts/{host.pk}/maintenance/", {"guests": "leave"}).status_code == 404
