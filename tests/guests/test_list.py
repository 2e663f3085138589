"""The list: what it shows to whom, how it is searched and sorted, and that its cost does not grow with the guests."""

import re

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from accounts.models import Grant
from guests.agents.models import AgentReport
from guests.models import Guest, Nic
from guests.search import search, with_word
from hosts.models import Host
from jobs.models import Job, JobObject
from storage.models import Pool
from virt.connection import Connection

from .rows import make_guest, make_guests, make_host, make_pool


@pytest.fixture
def no_libvirt(monkeypatch):
    """Any libvirt call fails the test."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("a request called libvirt")

    monkeypatch.setattr(Connection, "__init__", refuse)
    monkeypatch.setattr(Connection, "call", refuse)


def names(response) -> list[str]:
    return re.findall(r'class="nm" href="/guests/\d+/">([^<]+)<', response.content.decode())


def test_trouble_comes_first_and_deleted_guests_are_left_out(client, viewer):
    host = make_host()
    for name, state in [("a", "running"), ("b", "shutoff"), ("c", "paused"), ("d", "missing"), ("e", "crashed")]:
        make_guest(host, name, state=state)
    make_guest(host, "f", state="missing", state_reason="deleted")
    client.force_login(viewer)
    assert names(client.get("/guests/")) == ["e", "d", "c", "a", "b"]
    assert names(client.get("/guests/?sort=-name")) == ["e", "d", "c", "b", "a"]
    assert names(client.get("/guests/?q=state:deleted")) == ["d", "f"]
    assert names(client.get("/guests/?view=attention")) == ["e", "d", "c"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("web", ["web-01", "web-02"]),
        ("web 02", ["web-02"]),
        ("state:running", ["web-01"]),
        ("state:off", ["db", "web-02"]),
        ("state:running,saved", ["db", "web-01"]),
        ("host:kvm-a", ["db", "web-01"]),
        ("host:kvm-*", ["db", "web-01", "web-02"]),
        ("os:debian", ["web-01"]),
        ("os:rocky", ["web-02"]),  # only the agent inside knows
        ("os:onyx", ["web-02"]),
        ("net:default", ["web-01"]),
        ("net:def*", ["web-01"]),
        ("mem:>1", ["db"]),
        ("mem:<=1", ["web-01", "web-02"]),
        ("mem:>512m", ["db", "web-01"]),
        ("cpu:>80", ["web-01"]),
        ("restart:yes", ["db"]),
        ("10.0.0.7", ["web-01"]),
        ("52:54:00:aa:00:01", ["web-01"]),
        ('"the mail"', ["db"]),
        ("nothing like it", []),
        ("state:", ["db", "web-01", "web-02"]),
        ("%", []),
    ],
)
def test_the_query_box(db, query, found):
    one, two = make_host("kvm-a"), make_host("kvm-b")
    web = make_guest(
        one,
        "web-01",
        state="running",
        os_name="Debian 12",
        cpu_percent=93.0,
        memory_mib=1024,
        addresses=[{"address": "10.0.0.7", "source": "lease", "mac": ""}],
    )
    Nic.objects.create(guest=web, mac="52:54:00:aa:00:01", kind="network", source="default")
    other = make_guest(two, "web-02", memory_mib=512)
    AgentReport.objects.create(guest=other, state="answers", os_name="Rocky Linux", os_version="9.5 (Blue Onyx)")
    make_guest(one, "db", state="saved", memory_mib=4096, needs_restart=True, description="the mail and more")
    result = search(Guest.objects.all(), query)
    assert sorted(result.guests.values_list("name", flat=True)) == found
    assert not result.problem


@pytest.mark.parametrize("query", ["colour:red", "mem:lots", "cpu:x", "state:happy", "restart:maybe", "x " * 30])
def test_a_query_that_makes_no_sense_says_so(client, viewer, query):
    make_guest(make_host(), "a")
    client.force_login(viewer)
    response = client.get("/guests/", {"q": query})
    assert response.status_code == 200
    assert b"note-warn" in response.content


def test_a_menu_writes_into_the_query_box():
    assert with_word("web state:off", "state", "running") == "web state:running"
    assert with_word("", "host", "kvm a") == 'host:"kvm a"'
    assert with_word('web host:"kvm a"', "host", "") == "web"


def test_a_row_shows_its_own_progress(client, operator):
    guest = make_guest(make_host(), "web-01")
    job = Job.objects.create(kind="start_guest", task="x", title="Start web-01", done=1, total=4, created_by=operator)
    job.objects_of.create(kind="guest", object_id=guest.pk, name="web-01", held=True)
    Job.objects.update(status="running", started_at=job.created_at)
    client.force_login(operator)
    text = client.get(f"/guests/{guest.pk}/row/").content.decode()
    assert text.lstrip().startswith("<tr")
    assert "Starting" in text
    assert "25 %" in text
    assert "/power/start/" not in text


def test_a_row_that_is_gone_is_taken_away(client, viewer):
    client.force_login(viewer)
    response = client.get("/guests/12345/row/")
    assert (response.status_code, response.content) == (200, b"")


def test_names_are_shown_as_text(client, operator):
    evil = "<script>alert(1)</script>\"'&"
    host = make_host()
    guest = make_guest(host, evil, title=evil, description=evil, os_name=evil, state="running", xml=f"<domain>{evil}")
    make_pool(host, "store")
    client.force_login(operator)
    paths = ["", "hardware/", "jobs/", "xml/", "row/", "menu/", "edit/", "delete/", "power/destroy/"]
    for path in ["/guests/", *(f"/guests/{guest.pk}/{path}" for path in paths)]:
        response = client.get(path)
        assert response.status_code == 200, path
        assert b"<script>alert" not in response.content, path


def test_who_sees_what(client, viewer, stranger, django_user_model):
    one, two = make_host("kvm-a"), make_host("kvm-b")
    mine, yours = make_guest(one, "mine"), make_guest(two, "yours")
    client.force_login(viewer)
    assert names(client.get("/guests/")) == ["mine", "yours"]
    assert b'name="id"' not in client.get("/guests/").content  # nothing to select for who may do nothing
    client.force_login(stranger)
    assert names(client.get("/guests/")) == []
    assert client.get(f"/guests/{mine.pk}/").status_code == 404
    for scope, pk in (("host", one.pk), ("guest", mine.pk)):
        user = django_user_model.objects.create_user(f"of-{scope}", password="x")
        Grant.objects.create(user=user, role="operator", scope_kind=scope, scope_id=pk)
        client.force_login(user)
        assert names(client.get("/guests/")) == ["mine"]
        assert client.get(f"/guests/{mine.pk}/").status_code == 200
        assert client.get(f"/guests/{yours.pk}/").status_code == 404
        assert client.post(f"/guests/{yours.pk}/power/start/").status_code == 404
        assert client.post(f"/guests/{mine.pk}/power/start/").status_code == 302
        JobObject.objects.update(held=False)


def test_the_list_costs_the_same_for_ten_and_for_ten_thousand(client, operator, no_libvirt):
    """The same queries, none of which reads more rows than a page has; `script/bench pages` has the times."""

    def cost() -> tuple[int, int]:
        client.get("/guests/")
        with CaptureQueriesContext(database) as queries:
            response = client.get("/guests/")
        assert response.status_code == 200
        return len(queries), len(names(response))

    client.force_login(operator)
    make_guests(25)
    few = cost()
    for model in (Guest, Pool, Host):
        model.objects.all().delete()
    make_guests(10_000)
    assert cost() == few
    assert "1–25 of 10,000" in client.get("/guests/").content.decode()


def test_pages_of_the_list(client, viewer):
    host = make_host()
    for n in range(60):
        make_guest(host, f"g{n:02}")
    client.force_login(viewer)
    assert len(names(client.get("/guests/"))) == 25
    assert names(client.get("/guests/?page=3")) == [f"g{n}" for n in range(50, 60)]
    assert len(names(client.get("/guests/?per=100"))) == 60
    assert len(names(client.get("/guests/?per=7&page=banana&sort=colour&view=odd"))) == 25
    fragment = client.get("/guests/", headers={"HX-Request": "true"})
    assert fragment.content.lstrip().startswith(b'<div class="stack" id="guest-list"')


def test_nothing_yet(client, operator):
    make_host()
    client.force_login(operator)
    text = client.get("/guests/").content.decode()
    assert "No guests yet" in text
