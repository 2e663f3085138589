"""Pages of hosts: who sees what, what they cost, what they say."""

import pytest
from django.urls import reverse

from accounts.models import Grant
from hosts.models import Host

TABS = ["detail", "guests", "storage", "networks", "checks"]


def test_the_list_costs_the_same_for_one_host_and_for_sixty(
    client, admin, host, request, django_assert_max_num_queries
):
    client.force_login(admin)
    with django_assert_max_num_queries(30) as one:
        assert b"kvm-a01" in client.get("/hosts/").content
    request.getfixturevalue("crowd")
    with django_assert_max_num_queries(len(one.captured_queries)):
        page = client.get("/hosts/").content.decode()
    assert "kvm-b10" in page
    assert "of 61" in page


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_costs_a_constant_number_of_queries(client, admin, host, tab, django_assert_max_num_queries):
    client.force_login(admin)
    with django_assert_max_num_queries(42):
        answer = client.get(reverse(f"hosts:{tab}", args=[host.pk]))
    assert answer.status_code == 200


@pytest.mark.parametrize("tab", TABS)
def test_a_live_update_brings_the_tab_and_the_state_and_no_frame(client, viewer, host, tab):
    client.force_login(viewer)
    page = client.get(reverse(f"hosts:{tab}", args=[host.pk]), headers={"HX-Request": "true"}).content.decode()
    assert 'id="host-page"' in page
    assert 'hx-swap-oob="true"' in page
    assert "<html" not in page


def test_hosts_of_others_are_not_there(client, stranger, host):
    client.force_login(stranger)
    assert b"kvm-a01" not in client.get("/hosts/").content
    assert client.get(host.get_absolute_url()).status_code == 404
    Grant.objects.create(user=stranger, role=Grant.Role.VIEWER, scope_kind="host", scope_id=host.pk)
    assert b"kvm-a01" in client.get("/hosts/").content
    assert client.get(host.get_absolute_url()).status_code == 200


def test_a_viewer_sees_and_changes_nothing(client, viewer, host):
    client.force_login(viewer)
    page = client.get(host.get_absolute_url()).content.decode()
    assert "Look again" not in page
    for action in ("check", "probe", "prepare", "rename", "disable", "enable"):
        assert client.post(reverse(f"hosts:{action}", args=[host.pk])).status_code == 404


def test_a_silent_host_says_since_when_and_why(client, viewer, host):
    sentence = "Could not connect to kvm-a01: libvirt does not run there. Start libvirtd on it."
    Host.objects.update(state="unreachable", error=sentence, error_details="Connection refused <b>")
    client.force_login(viewer)
    page = client.get(host.get_absolute_url()).content.decode()
    assert sentence in page
    assert "Connection refused &lt;b&gt;" in page
    assert "No contact" in page
    assert "web-01" in page  # its rows stay


def test_checks_say_what_is_wrong_and_what_to_do(client, operator, host):
    client.force_login(operator)
    page = client.get(reverse("hosts:checks", args=[host.pk])).content.decode()
    assert "cannot run guests with KVM" in page
    assert "A tiny guest did not boot with KVM." in page
    assert "nested virtualisation" in page
    assert "Try KVM again" in page


def test_filters_and_an_odd_query_do_no_harm(client, viewer, host):
    client.force_login(viewer)
    assert b"No host matches" in client.get("/hosts/?q=nothing-like-it").content
    assert b"kvm-a01" in client.get("/hosts/?state=connected&sort=-cpu&page=999").content
    assert client.get("/hosts/?state=%00&sort=x&page=%22").status_code == 200
