"""POST /api/v1/guests/{id}/console: who gets a ticket, and what is said to those who do not."""

import pytest

from accounts.models import ApiToken, Grant
from consoles import tickets

pytestmark = pytest.mark.usefixtures("redis_tickets")


def ask(client, guest, secret, **body):
    return client.post(
        f"/api/v1/guests/{guest.pk}/console",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )


@pytest.fixture
def secret(operator) -> str:
    return ApiToken.issue(operator, "tests", ApiToken.Scope.OPERATE)[1]


def test_an_operator_gets_a_ticket_for_what_they_asked(client, guest, secret, operator):
    answer = ask(client, guest, secret, kind="serial", view_only=True)
    assert answer.status_code == 201
    body = answer.json()
    assert body["url"] == f"/ws/console/{body['ticket']}/"
    assert (body["gateway_url"], body["expires_in_s"]) == (None, 30)
    ticket = tickets.redeem(body["ticket"])
    assert ticket is not None
    assert (ticket.user_id, ticket.guest_id, ticket.kind, ticket.view_only) == (operator.pk, guest.pk, "serial", True)
    assert (ticket.domain_uuid, ticket.host_uri) == (str(guest.uuid), "qemu:///system")
    assert ticket.session == ""


def test_nothing_said_means_the_screen(client, guest, secret):
    ticket = tickets.redeem(ask(client, guest, secret).json()["ticket"])
    assert ticket is not None
    assert (ticket.kind, ticket.view_only) == ("vnc", False)


def test_the_gateway_is_named_where_there_is_one(client, guest, secret, settings):
    settings.GATEWAY_URL = "wss://kvm.example/websockify"
    body = ask(client, guest, secret).json()
    assert body["gateway_url"] == f"wss://kvm.example/websockify?token={body['ticket']}"


def test_who_may_only_look_at_the_list_gets_404(client, guest, viewer):
    assert ask(client, guest, ApiToken.issue(viewer, "t", ApiToken.Scope.ADMINISTER)[1]).status_code == 404


def test_a_token_that_may_only_read_gets_404(client, guest, operator):
    assert ask(client, guest, ApiToken.issue(operator, "t", ApiToken.Scope.READ)[1]).status_code == 404


def test_somebody_elses_guest_looks_like_none(client, guest, stranger):
    Grant.objects.create(user=stranger, role="operator", scope_kind="guest", scope_id=guest.pk + 1)
    secret = ApiToken.issue(stranger, "t", ApiToken.Scope.ADMINISTER)[1]
    theirs = ask(client, guest, secret)
    guest.pk += 500
    nobodys = ask(client, guest, secret)
    assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json())
    assert theirs.status_code == 404


def test_without_a_token_nobody_gets_in(client, guest):
    assert client.post(f"/api/v1/guests/{guest.pk}/console", {}, content_type="application/json").status_code == 401


@pytest.mark.parametrize("body", [{"kind": "spice"}, {"kind": 7}, {"view_only": "perhaps"}])
def test_what_makes_no_sense_is_refused(client, guest, secret, body):
    assert ask(client, guest, secret, **body).status_code == 422


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"graphics": ""}, "vnc", "no VNC display"),
        ({"graphics": "spice"}, "vnc", "no VNC display"),
        ({"has_serial": False}, "serial", "no serial port"),
        ({"missing_since": "2026-01-01T00:00Z"}, "vnc", "not on its host"),
    ],
)
def test_a_guest_with_nothing_to_show_says_what_to_do(client, guest, secret, changes, kind, words):
    type(guest).objects.filter(pk=guest.pk).update(**changes)
    answer = ask(client, guest, secret, kind=kind)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_console")
    assert words in answer.json()["message"]


def display(listen: str) -> str:
    return f"<domain><devices><graphics type='vnc' autoport='yes'>{listen}</graphics></devices></domain>"


@pytest.mark.parametrize("uri", ["qemu+tls://kvm-07.example/system", "qemu+tcp://kvm-07.example/system"])
@pytest.mark.parametrize(
    "listen", ["<listen type='none'/>", "<listen type='socket'/>", "<listen type='address' address='127.0.0.1'/>"]
)
def test_a_screen_that_only_its_own_host_reaches_says_to_connect_the_host_over_ssh(client, guest, secret, uri, listen):
    type(guest.host).objects.filter(pk=guest.host_id).update(uri=uri, name="kvm-07")
    rows = type(guest).objects.filter(pk=guest.pk)
    rows.update(xml=display(listen))
    answer = ask(client, guest, secret)
    assert (answer.status_code, answer.json()["code"]) == (409, "display_out_of_reach")
    assert "Connect kvm-07 over SSH, or use the serial port" in answer.json()["message"]
    assert ask(client, guest, secret, kind="serial").status_code == 201
    rows.update(needs_restart=True)  # what runs may be another definition: the host is asked
    assert ask(client, guest, secret).status_code == 201


@pytest.mark.parametrize(
    ("uri", "listen"),
    [
        ("qemu+ssh://root@kvm-07.example/system", "<listen type='socket'/>"),
        ("qemu+tls://kvm-07.example/system", "<listen type='address' address='0.0.0.0'/>"),
        ("qemu+tls://kvm-07.example/system", "<listen type='address'/>"),  # as QEMU's settings on the host say
        ("qemu+tls://kvm-07.example/system", "<listen type='network' network='default'/>"),
        ("qemu:///system", "<listen type='none'/>"),
    ],
)
def test_a_screen_that_may_be_reached_is_tried(client, guest, secret, uri, listen):
    type(guest.host).objects.filter(pk=guest.host_id).update(uri=uri)
    type(guest).objects.filter(pk=guest.pk).update(xml=display(listen))
    assert ask(client, guest, secret).status_code == 201


def test_a_guest_that_nobody_has_looked_at_yet_may_have_a_display(client, guest, secret):
    type(guest).objects.filter(pk=guest.pk).update(graphics="", xml="")
    assert ask(client, guest, secret).status_code == 201


def test_without_redis_the_answer_says_so(client, guest, secret, settings):
    settings.TICKETS_URL = "unix:///nonexistent/redis.sock"
    tickets._redis.cache_clear()
    answer = ask(client, guest, secret)
    assert (answer.status_code, answer.json()["code"]) == (503, "tickets_unavailable")
    assert "Redis" in answer.json()["message"]
