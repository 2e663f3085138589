"""The pages and the REST of adding, connecting, tagging and removing hosts."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Grant
from hosts import ssh
from hosts.models import Host, HostTag
from hosts.reaching import keys
from hosts.reaching.models import Attempt, Credentials
from jobs.models import Job

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICbkDBEUrTHRz66bqkOlnGeSOBMAqXfNSeeFOf6X1FwD"
NEW_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICbkDBEUrTHRz66bqkOlnGeSOBMAqXfNSeeFOf6X1FwE"
LOCKED_OUT = (
    ("get", "hosts:add", False),
    ("post", "hosts:add", False),
    ("get", "hosts:connection", True),
    ("post", "hosts:connection", True),
    ("get", "hosts:remove", True),
    ("post", "hosts:remove", True),
    ("post", "hosts:tags", True),
)


def test_the_form_shows_our_key_and_the_line_that_lets_it_in(client, admin):
    client.force_login(admin)
    page = client.get(reverse("hosts:add")).content.decode()
    assert ssh.public_key() in page.replace("&#x27;", "'")
    assert "authorized_keys" in page
    assert "PRIVATE" not in page
    for via, field in (("tls", "tls_ca"), ("tcp", "password"), ("local", "scope"), ("test", "definition")):
        page = client.get(reverse("hosts:add"), {"via": via}).content.decode()
        assert f'name="{field}"' in page
        assert 'name="user"' not in page


@pytest.mark.parametrize(("method", "view", "of_host"), LOCKED_OUT)
def test_only_administrators_reach_for_hosts(client, operator, host, method, view, of_host):
    client.force_login(operator)
    url = reverse(view, args=[host.pk] if of_host else [])
    assert getattr(client, method)(url).status_code in (403, 404)
    assert not Job.objects.exists()
    assert Host.objects.present().filter(pk=host.pk).exists()


def test_an_administrator_of_one_host_does_not_point_it_elsewhere(client, stranger, host):
    """The key that is let in on all hosts would log in there."""
    Grant.objects.create(user=stranger, role=Grant.Role.ADMINISTRATOR, scope_kind="host", scope_id=host.pk)
    client.force_login(stranger)
    assert client.get(reverse("hosts:rename", args=[host.pk])).status_code == 200
    for view in ("connection", "remove"):
        assert client.post(reverse(f"hosts:{view}", args=[host.pk]), {"scope": "system"}).status_code == 403
    assert f"hosts/{host.pk}/connection" not in client.get(host.get_absolute_url()).content.decode()
    assert not Attempt.objects.exists()


def test_an_attempt_from_the_form_to_the_question(client, admin):
    client.force_login(admin)
    answer = client.post(
        reverse("hosts:add") + "?via=ssh",
        {"hostname": "kvm7.example", "user": "root", "scope": "system", "tags": "rack 4, , east"},
    )
    attempt = Attempt.objects.get()
    assert answer.url == attempt.get_absolute_url()
    assert (attempt.uri, attempt.tags) == ("qemu+ssh://root@kvm7.example/system", ["east", "rack 4"])
    assert attempt.job.arguments == {"attempt_id": attempt.pk, "host_key": ""}
    page = client.get(answer.url).content.decode()
    assert f'data-live="job-{attempt.job_id}"' in page

    attempt.offered_keys = KEY
    attempt.steps = [
        {"key": "host_key", "title": "SSH key", "verdict": "asked", "found": "…", "code": "host_key_unconfirmed"}
    ]
    attempt.save()
    Job.objects.update(status=Job.Status.FAILED, error="…", error_code="host_key_unconfirmed")
    page = client.get(answer.url, headers={"HX-Request": "true"}).content.decode()
    assert keys.fingerprint(KEY) in page
    assert "<html" not in page
    again = reverse("hosts:attempt_again", args=[attempt.pk])
    assert client.post(again, {"host_key": keys.fingerprint(NEW_KEY)}).status_code == 422  # not the one that was shown
    assert client.post(again, {"host_key": keys.fingerprint(KEY)}).status_code == 302
    attempt.refresh_from_db()
    assert attempt.host_keys == KEY
    assert AuditEntry.objects.get(action="confirm_host_key").detail == keys.fingerprint(KEY)


def test_what_is_wrong_is_said_at_its_field(client, admin, host):
    client.force_login(admin)
    for data, words in (
        ({"hostname": "-x", "user": "root", "scope": "system"}, "neither a host name nor an IP address"),
        ({"hostname": "a", "user": "root", "scope": "system", "name": host.name}, "Choose another name"),
        ({"hostname": "a", "user": "root", "scope": "system", "port": "99999"}, "65535"),
    ):
        answer = client.post(reverse("hosts:add") + "?via=ssh", data)
        assert (answer.status_code, words in answer.content.decode()) == (422, True), words
    answer = client.post(reverse("hosts:add") + "?via=local", {"scope": "system"})
    assert (answer.status_code, "That is the address of kvm-a01" in answer.content.decode()) == (422, True)
    assert not Attempt.objects.exists()


def test_secrets_are_never_shown_again(client, admin, bearer):
    host = Host.objects.create(name="kvm9", uri="qemu+tcp://kvm9/system")
    login = Credentials(host=host, username="kvmweb")
    login.password = "right horse"
    login.save()
    client.force_login(admin)
    page = client.get(reverse("hosts:connection", args=[host.pk])).content.decode()
    assert "right horse" not in page
    assert "The one that is stored stays" in page or "the one that is stored stays" in page
    body = client.get(f"/api/v1/hosts/{host.pk}/connection", **bearer).json()
    assert (body["username"], body["has_password"], body["hostname"]) == ("kvmweb", True, "kvm9")
    assert "right" not in str(body)
    client.post(reverse("hosts:connection", args=[host.pk]) + "?via=tcp", {"hostname": "kvm9", "username": "other"})
    attempt = Attempt.objects.get()
    assert (attempt.username, attempt.password, attempt.host) == ("other", "right horse", host)
    assert "right" not in str(attempt.job.arguments)


def test_adding_over_rest(client, bearer, host):
    answer = client.post("/api/v1/hosts", {"hostname": "kvm8", "tags": ["b", "a"]}, "application/json", **bearer)
    assert (answer.status_code, answer.json()["kind"]) == (202, "try_host")
    job = answer.json()["id"]
    assert answer["Location"] == f"/api/v1/jobs/{job}"
    body = client.get(f"/api/v1/hosts/attempts/{job}", **bearer).json()
    assert (body["uri"], body["saves"], body["steps"]) == ("qemu+ssh://root@kvm8/system", True, [])
    answer = client.post("/api/v1/hosts/check", {"hostname": "kvm8"}, "application/json", **bearer)
    assert not Attempt.objects.get(job=answer.json()["id"]).saves
    for body, field in (({"hostname": "a b"}, "hostname"), ({"hostname": "a", "tags": ["x" * 65]}, "tags")):
        answer = client.post("/api/v1/hosts", body, "application/json", **bearer)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    answer = client.post("/api/v1/hosts", {"transport": "local"}, "application/json", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "host_added_already")
    answer = client.post(f"/api/v1/hosts/{host.pk}/connection/check", **bearer)
    assert answer.status_code == 202
    assert client.get("/api/v1/hosts/ssh-key", **bearer).json()["public_key"] == ssh.public_key()


def test_hosts_are_tagged_and_found_by_tag(client, admin, bearer, host, crowd, django_assert_num_queries):
    url = f"/api/v1/hosts/{host.pk}"
    assert client.patch(url, {"tags": ["east", " rack  4 "]}, "application/json", **bearer).json()["tags"] == [
        "east",
        "rack 4",
    ]
    client.force_login(admin)
    assert client.post(reverse("hosts:tags", args=[crowd[0].pk]), {"tags": "east"}).status_code == 302
    found = client.get("/api/v1/hosts", {"tag": "east"}, **bearer).json()["items"]
    assert [item["name"] for item in found] == ["kvm-a01", "kvm-b00"]
    page = client.get(reverse("hosts:list"), {"tag": "rack 4"}).content.decode()
    assert ("kvm-a01" in page, "kvm-b00" in page) == (True, False)
    client.patch(url, {"tags": []}, "application/json", **bearer)
    assert list(HostTag.objects.values_list("name", flat=True)) == ["east"]  # nobody has the other any more


def test_a_removed_host_is_shown_apart(client, admin, bearer, host):
    client.force_login(admin)
    assert b"take up" not in client.get(reverse("hosts:list")).content
    assert client.post(reverse("hosts:remove", args=[host.pk])).url == reverse("hosts:list")
    assert "kvm-a01" not in client.get(reverse("hosts:list")).content.decode()
    page = client.get(reverse("hosts:list"), {"state": "removed"}).content.decode()
    assert "kvm-a01" in page
    assert "removed" in client.get(host.get_absolute_url()).content.decode()
    assert client.get("/api/v1/hosts", **bearer).json()["items"] == []
    assert client.get("/api/v1/hosts", {"removed": True}, **bearer).json()["items"][0]["removed_at"]
    answer = client.patch(f"/api/v1/hosts/{host.pk}", {"enabled": True}, "application/json", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "host_disabled")
    assert not host.guests.filter(missing_since=None).exists()
    assert set(host.guests.values_list("state", flat=True)) == {"missing"}


def test_a_host_under_a_job_is_not_removed(client, bearer, host):
    client.post(f"/api/v1/hosts/{host.pk}/probe", **bearer)
    answer = client.delete(f"/api/v1/hosts/{host.pk}", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    assert Host.objects.present().filter(pk=host.pk).exists()
