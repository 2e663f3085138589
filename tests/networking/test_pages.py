"""Pages and REST of networks and bridges: what they show, who sees them, what they cost."""

import pytest
from django.urls import reverse

from accounts.models import Grant
from networking.models import Bridge, Network


@pytest.fixture
def bridge(local_host) -> Bridge:
    addresses = ["192.168.189.14/24"]
    return Bridge.objects.create(host=local_host, name="br0", is_active=True, ports=["ens33"], addresses=addresses)


def test_lists_cost_the_same_for_one_and_for_sixty(client, admin, network, request, django_assert_max_num_queries):
    client.force_login(admin)
    with django_assert_max_num_queries(30) as few:
        assert b"192.168.122.1/24" in client.get("/networks/").content
    request.getfixturevalue("many_networks")
    with django_assert_max_num_queries(len(few.captured_queries)):
        page = client.get("/networks/").content.decode()
    assert "of 61" in page
    assert "kvm-1" in page  # with several hosts there is a column for them


def test_a_network_says_what_it_is_and_who_is_on_it(client, viewer, network, django_assert_max_num_queries):
    client.force_login(viewer)
    with django_assert_max_num_queries(36):
        page = client.get(network.get_absolute_url()).content.decode()
    for words in ("NAT", "virbr0", "192.168.122.2 – 192.168.122.254", "web-01", "192.168.122.5", "&lt;network&gt;"):
        assert words in page
    assert "Stop…" not in page
    assert client.post(reverse("networking:start", args=[network.pk])).status_code == 404


def test_a_live_update_is_the_fragment_alone(client, viewer, network, bridge):
    client.force_login(viewer)
    for url, marker in (
        ("/networks/", "network-list"),
        ("/bridges/", "bridge-list"),
        (network.get_absolute_url(), "network-page"),
    ):
        page = client.get(url, headers={"HX-Request": "true"}).content.decode()
        assert f'id="{marker}"' in page
        assert "<html" not in page


def test_networks_of_others_are_not_there(client, stranger, network, bridge):
    client.force_login(stranger)
    assert b"virbr0" not in client.get("/networks/").content
    assert b"ens33" not in client.get("/bridges/").content
    assert client.get(network.get_absolute_url()).status_code == 404
    Grant.objects.create(user=stranger, role=Grant.Role.VIEWER, scope_kind="host", scope_id=network.host_id)
    assert b"virbr0" in client.get("/networks/").content


def test_bridges_show_ports_and_addresses(client, viewer, bridge):
    client.force_login(viewer)
    page = client.get("/bridges/").content.decode()
    assert "ens33" in page
    assert "192.168.189.14/24" in page


def test_what_is_gone_is_listed_while_a_guest_wants_it(client, viewer, network, bridge):
    Network.objects.update(missing_since=network.first_seen_at)
    Bridge.objects.update(missing_since=network.first_seen_at)
    client.force_login(viewer)
    assert b"Missing" in client.get("/networks/").content
    assert b"br0" not in client.get("/bridges/").content
    assert b"is not on local any more" in client.get(network.get_absolute_url()).content


def test_empty_pages_teach(client, viewer, db):
    client.force_login(viewer)
    assert b"A virtual network is a switch inside a host" in client.get("/networks/").content
    assert b"A bridge puts guests on the same LAN" in client.get("/bridges/").content


def test_rest_lists_networks_and_bridges(client, bearer, network, bridge, many_networks):
    found = client.get("/api/v1/networks?limit=5", **bearer).json()
    assert (found["count"], len(found["items"])) == (61, 5)
    one = client.get(f"/api/v1/networks?host={network.host_id}", **bearer).json()["items"][0]
    assert (one["name"], one["guests"], one["host"]["name"]) == ("default", 2, "local")
    assert client.get("/api/v1/networks?is_active=false", **bearer).json()["count"] == 30
    listed = client.get("/api/v1/bridges", **bearer).json()["items"]
    assert [(row["name"], row["ports"], row["guests"]) for row in listed] == [("br0", ["ens33"], 0)]
    assert client.get(f"/api/v1/bridges/{bridge.pk}", **bearer).json()["addresses"] == ["192.168.189.14/24"]
    changed = client.patch(f"/api/v1/networks/{network.pk}", {"autostart": True}, "application/json", **bearer)
    assert (changed.status_code, changed.json()["kind"]) == (202, "set_autostart")


def test_a_transient_network_cannot_start_with_the_host(client, bearer, network):
    network.persistent = False
    network.save()
    answer = client.patch(f"/api/v1/networks/{network.pk}", {"autostart": True}, "application/json", **bearer)
    assert (answer.status_code, answer.json()["code"]) == (409, "network_transient")
