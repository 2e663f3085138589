"""What can be changed about a host, over pages and REST: names, on and off, look again, probe, prepare."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from hosts import services
from hosts.models import Host
from jobs.models import Job
from virt.errors import Invalid


def test_the_local_host_is_registered_once(db):
    first = services.register_local_host("qemu:///system")
    assert services.register_local_host("qemu:///system") == first
    assert Host.objects.get() == first
    assert first.name
    assert AuditEntry.objects.filter(action="add_host").count() == 1


def test_a_second_local_host_gets_a_name_of_its_own(db):
    first = services.register_local_host("qemu:///system")
    second = services.register_local_host("test:///default")
    assert second.name == f"{first.name}-2"


def test_renaming(client, admin, host):
    Host.objects.create(name="taken", uri="test:///default")
    client.force_login(admin)
    url = reverse("hosts:rename", args=[host.pk])
    refused = client.post(url, {"name": "taken"})
    assert (refused.status_code, b"There is a host taken already" in refused.content) == (422, True)
    assert client.post(url, {"name": "  rack 4 / kvm <1>  "}).status_code == 302
    host.refresh_from_db()
    assert host.name == "rack 4 / kvm <1>"
    assert b"kvm &lt;1&gt;" in client.get(host.get_absolute_url()).content
    assert AuditEntry.objects.get(action="rename_host").object_name == "rack 4 / kvm <1>"


@pytest.mark.parametrize("name", ["", "   ", "a\x00b", "a\u202eb", "x" * 256])
def test_names_that_are_none(admin, host, name):
    with pytest.raises(Invalid) as error:
        services.rename_host(host, name, by=admin)
    assert error.value.field == "name"


def test_a_disabled_host_is_left_alone_until_it_is_enabled(client, bearer, host):
    url = f"/api/v1/hosts/{host.pk}"
    body = client.patch(url, {"enabled": False}, "application/json", **bearer).json()
    assert (body["state"], body["enabled"]) == ("disabled", False)
    for action in ("check", "probe", "prepare"):
        answer = client.post(f"{url}/{action}", **bearer)
        assert (answer.status_code, answer.json()["code"]) == (409, "host_disabled")
    body = client.patch(url, {"enabled": True}, "application/json", **bearer).json()
    assert (body["state"], body["enabled"]) == ("connecting", True)
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["enable_host", "disable_host"]


def test_the_question_before_disabling(client, admin, host):
    client.force_login(admin)
    url = reverse("hosts:disable", args=[host.pk])
    question = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "Its guests go on running" in question
    assert client.post(url).status_code == 302
    assert Host.objects.get().state == "disabled"


def test_looking_again_asks_the_watcher(client, bearer, host):
    Host.objects.update(state="unreachable")
    answer = client.post(f"/api/v1/hosts/{host.pk}/check", **bearer)
    assert (answer.status_code, answer.json()["state"]) == (200, "connecting")
    assert Host.objects.get().check_requested_at is not None


def test_rest_lists_filters_and_pages(client, bearer, crowd):
    found = client.get("/api/v1/hosts?limit=7&search=kvm-b", **bearer).json()
    assert (found["count"], len(found["items"])) == (60, 7)
    assert client.get("/api/v1/hosts?state=unreachable", **bearer).json()["count"] == 0
    assert client.get("/api/v1/hosts?state=nonsense", **bearer).status_code == 422
    one = client.get(f"/api/v1/hosts/{crowd[0].pk}", **bearer).json()
    assert (one["name"], one["kvm_works"], one["cpus"]) == ("kvm-b00", None, 4)
    missing = client.get("/api/v1/hosts/999999", **bearer)
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_one_job_at_a_time_on_a_host(client, bearer, host):
    first = client.post(f"/api/v1/hosts/{host.pk}/probe", **bearer)
    assert first.status_code == 202
    assert first["Location"] == f"/api/v1/jobs/{first.json()['id']}"
    second = client.post(f"/api/v1/hosts/{host.pk}/prepare", **bearer)
    assert (second.status_code, second.json()["code"]) == (409, "busy")
    assert Job.objects.get().title in second.json()["message"]
