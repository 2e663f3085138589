"""The search page, the palette and the search over REST: what they find, for whom, and that it costs the same."""

import re
import uuid

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from accounts.models import Grant
from guests import arranging
from guests.models import Guest, Nic
from jobs.models import Job
from networking.models import Bridge, Network
from storage.models import Iso, Volume
from tests.guests.rows import make_guest, make_guests, make_host, make_pool
from virt.connection import Connection


@pytest.fixture
def site(db, operator):
    """One of each kind, all of which have "alpha" in them."""
    host = make_host("alpha-host", uuid=uuid.UUID("6f1c22d0-0000-4000-8000-000000000001"))
    addresses = [{"address": "10.7.0.9", "source": "lease", "mac": ""}]
    guest = make_guest(host, "alpha-01", state="running", addresses=addresses)
    Nic.objects.create(guest=guest, mac="52:54:00:aa:00:09", kind="network", source="alpha-net")
    pool = make_pool(host, "alpha-pool")
    Volume.objects.create(pool=pool, name="alpha.qcow2", path="/srv/alpha.qcow2")
    Iso.objects.create(volume=Volume.objects.create(pool=pool, name="alpha.iso"), os_name="Alpha Linux 9")
    Network.objects.create(host=host, uuid=uuid.uuid4(), name="alpha-net", cidr="10.7.0.1/24")
    Bridge.objects.create(host=host, name="br-alpha", mac="aa:bb:cc:00:00:01", addresses=["192.0.2.7/24"])
    Job.objects.create(kind="x", task="x", title="Start alpha-01", created_by=operator)
    arranging.tag(Guest.objects.filter(pk=guest.pk), by=operator, add=["prod"])
    return guest


def kinds(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [group["kind"] for group in response.json()]


ALL = ["guests", "hosts", "pools", "volumes", "isos", "networks", "bridges", "jobs"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("alpha", ALL),
        ("ALPHA -01", ["guests", "jobs"]),
        ("10.7.0", ["guests", "networks"]),
        ("52:54:00:aa:00", ["guests"]),
        ("aa:bb:cc", ["bridges"]),
        ("192.0.2.7", ["bridges"]),
        ("6f1c22d0-0000", ["hosts"]),
        ("prod", ["guests"]),
        ("tag:prod alpha", ["guests"]),
        ("Linux", ["isos"]),
        ("nothing like it", []),
        ("%", []),
        ("   ", []),
        ("zz\x00zz", []),
        ("colour:red", []),
    ],
)
def test_what_is_found(client, operator, site, query, found):
    client.force_login(operator)
    assert kinds(client.get("/api/v1/search", {"q": query})) == found


def test_the_best_comes_first_and_there_may_be_more(client, operator, site):
    for name in ("my-alpha-01", "alpha-012", "beta"):
        make_guest(site.host, name)
    client.force_login(operator)
    found = client.get("/api/v1/search", {"q": "alpha-01", "kinds": "guests", "limit": 2}).json()
    assert [hit["name"] for hit in found[0]["hits"]] == ["alpha-01", "alpha-012"]
    assert found[0]["has_more"]
    assert client.get("/api/v1/search", {"q": "x", "kinds": "cars"}).status_code == 422
    assert client.get("/api/v1/search").status_code == 422


def test_nobody_finds_what_is_not_theirs(client, stranger, site, django_user_model):
    client.force_login(stranger)
    for query in ("alpha", "prod", "10.7.0.9", str(site.uuid), "start alpha"):
        assert kinds(client.get("/api/v1/search", {"q": query})) == []
        for path in ("/search/", "/search/palette/"):
            assert "alpha-" not in re.sub(r"value=\"[^\"]*\"", "", client.get(path, {"q": query}).content.decode())
    someone = django_user_model.objects.create_user("of-alpha", password="x")
    Grant.objects.create(user=someone, role="viewer", scope_kind="guest", scope_id=site.pk)
    client.force_login(someone)
    assert kinds(client.get("/api/v1/search", {"q": "alpha"})) == ["guests"]
    assert "Shut down alpha-01" not in client.get("/search/palette/", {"q": "shut down alpha"}).content.decode()


def test_a_verb_and_a_name_are_a_command(client, operator, site):
    make_guest(site.host, "alpha-off")
    client.force_login(operator)

    def offered(query: str) -> str:
        return client.get("/search/palette/", {"q": query}).content.decode()

    assert f'href="/guests/{site.pk}/power/shutdown/" hx-post' in offered("Shut down alpha")
    assert "Start alpha-off" in offered("start alp")
    assert f"/guests/{site.pk}/power/start/" not in offered("start alp")  # it runs
    assert f'href="/guests/{site.pk}/power/destroy/" data-dialog' in offered("force off alpha")
    assert f"/consoles/{site.pk}/" in offered("console alpha")
    assert "New guest" in offered("ne gu")
    assert "Virtual networks" in offered("")


def test_the_page_needs_no_script(client, viewer, site):
    client.force_login(viewer)
    text = client.get("/search/", {"q": "alpha"}).content.decode()
    for name in ("alpha-01", "alpha-host", "alpha-pool", "alpha.qcow2", "alpha.iso", "alpha-net", "br-alpha"):
        assert name in text
    assert "Nothing matches" in client.get("/search/", {"q": "nothing like it"}).content.decode()
    assert "alpha-01" in client.get("/search/", {"q": "alpha", "kind": "guests"}).content.decode()
    assert client.get("/search/").status_code == 200


def test_what_is_searched_for_is_shown_as_text(client, operator, site):
    evil = "<script>alert(1)</script>"
    make_guest(site.host, evil)
    client.force_login(operator)
    for path in ("/search/", "/search/palette/"):
        assert b"<script>alert" not in client.get(path, {"q": evil}).content


def test_it_costs_the_same_for_ten_and_for_ten_thousand(client, operator, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a request called libvirt")

    monkeypatch.setattr(Connection, "__init__", refuse)
    client.force_login(operator)

    def cost() -> list[int]:
        counted = []
        for query in ("guest", "start guest", "10.0.1 00:00"):
            client.get("/search/palette/", {"q": query})
            with CaptureQueriesContext(database) as queries:
                assert client.get("/search/palette/", {"q": query}).status_code == 200
            counted.append(len(queries))
        return counted

    make_guests(20)
    few = cost()
    host = Guest.objects.first().host
    Guest.objects.bulk_create(
        Guest(host=host, uuid=uuid.UUID(int=n), name=f"guest-more-{n}", xml="<domain/>")
        for n in range(10**6, 10**6 + 5000)
    )
    assert cost() == few
