"""The web's WebSocket and the gateway in front of a real guest's display: who gets in, what comes, and how it ends."""

import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .client import open_console, press, read, shake_hands, ticket_for_page, ticket_for_script
from .domains import virsh

pytestmark = [pytest.mark.libvirt, pytest.mark.parametrize("door", ["web", "gateway"])]


def closed_with(console) -> int:
    """The code with which the server closes the console, within ten seconds."""
    end = time.monotonic() + 10
    try:
        while time.monotonic() < end:
            console.recv(10)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    raise TimeoutError("the console is still open after 10 s")


def refused(site, door, entrance, **how) -> bool:
    try:
        open_console(site, door, entrance, **how).close()
    except InvalidStatus as error:
        return error.response.status_code == 403
    return False


def test_a_person_sees_the_guests_screen(site, door, site_guest, operator_of_site, audit):
    domain, guest = site_guest
    session = operator_of_site.session
    status, entrance = ticket_for_page(site, session, guest)
    assert status == 201
    with open_console(site, door, entrance, session=session, origin=site.base_url) as console:
        assert console.subprotocol == "binary"
        assert shake_hands(console) >= (640, 400)
    opened, closed = audit.rows(2)
    assert (opened["action"], opened["result"], opened["detail"]) == ("open_console", "succeeded", "vnc")
    assert (opened["remote_address"], opened["object_name"]) == ("127.0.0.1", domain.name)
    assert closed["action"] == "close_console"
    assert closed["detail"].endswith(" 14 bytes received, left")


def test_a_script_needs_no_session(site, door, site_guest, operator_of_site, audit):
    status, entrance = ticket_for_script(site, operator_of_site.secret, site_guest[1])
    assert status == 201
    with open_console(site, door, entrance) as console:
        assert read(console, 12) == b"RFB 003.008\n"
    assert audit.rows()[0]["actor"].endswith("(token tests)")


def test_a_ticket_lets_in_once_at_whichever_door(site, door, site_guest, operator_of_site):
    _status, entrance = ticket_for_script(site, operator_of_site.secret, site_guest[1])
    with open_console(site, door, entrance) as console:
        read(console, 12)
        assert refused(site, "web", entrance)
        assert refused(site, "gateway", entrance)


def test_an_invented_ticket_lets_nobody_in(site, door, audit):
    ticket = "A" * 43
    url = {"url": f"/ws/console/{ticket}/", "gateway_url": f"{site.gateway_url}?token={ticket}"}
    assert refused(site, door, url)
    assert audit.rows(0) == []


def test_another_sites_page_is_refused_and_spends_nothing(site, door, site_guest, operator_of_site):
    session = operator_of_site.session
    _status, entrance = ticket_for_page(site, session, site_guest[1])
    assert refused(site, door, entrance, session=session, origin="http://evil.example")
    assert refused(site, door, entrance, session=session, origin=site.base_url + ".evil.example")
    assert refused(site, door, entrance, session=session, origin="null")
    with open_console(site, door, entrance, session=session, origin=site.base_url) as console:
        assert read(console, 12) == b"RFB 003.008\n"


@pytest.mark.parametrize("whose", ["another's", "nobody's", "invented"])
def test_a_ticket_of_a_browser_is_for_its_session_only(
    site, door, whose, site_guest, operator_of_site, new_person, audit
):
    _status, entrance = ticket_for_page(site, operator_of_site.session, site_guest[1])
    session = {"another's": new_person().session, "nobody's": "", "invented": "x" * 32}[whose]
    assert refused(site, door, entrance, session=session)
    (row,) = audit.rows()
    assert (row["action"], row["result"]) == ("open_console", "refused")


def test_a_guest_that_stops_ends_its_console(site, door, new_domain, add_to_site, operator_of_site):
    domain = new_domain()
    _status, entrance = ticket_for_script(site, operator_of_site.secret, add_to_site(domain))
    with open_console(site, door, entrance) as console:
        read(console, 12)
        domain.stop()
        assert closed_with(console) == 4410


def test_a_guest_that_is_off_says_so(site, door, new_domain, add_to_site, operator_of_site, audit):
    guest = add_to_site(new_domain(started=False))
    _status, entrance = ticket_for_script(site, operator_of_site.secret, guest)
    with open_console(site, door, entrance) as console:
        assert closed_with(console) == 4409
    (row,) = audit.rows()
    assert (row["action"], row["result"]) == ("open_console", "failed")


@pytest.mark.parametrize(
    ("loss", "code"),
    [
        ("Grant.objects.get(user=user).delete()", 4403),
        ("user.is_active = False; user.save()", 4401),
        ("client.logout()", 4401),
    ],
    ids=["grant", "account", "logout"],
)
def test_who_loses_the_right_loses_the_console(site, door, loss, code, site_guest, new_person):
    person = new_person()
    _status, entrance = ticket_for_page(site, person.session, site_guest[1])
    with open_console(site, door, entrance, session=person.session) as console:
        shake_hands(console)
        site.run(f"""
from django.test import Client
from accounts.models import Grant, User
user = User.objects.get(pk={person.user})
client = Client()
client.cookies["kvmweb_session"] = {person.session!r}
{loss}
""")
        assert closed_with(console) == code


def test_a_token_taken_back_ends_what_it_opened(site, door, site_guest, new_person):
    person = new_person()
    _status, entrance = ticket_for_script(site, person.secret, site_guest[1])
    with open_console(site, door, entrance) as console:
        shake_hands(console)
        site.run(f"from accounts.models import ApiToken; ApiToken.objects.get(user={person.user}).delete()")
        assert closed_with(console) == 4401


def test_a_viewer_cannot_press_a_key(site, door, site_guest, operator_of_site):
    domain, guest = site_guest
    before = domain.now
    for letter, view_only in (("v", True), ("o", False)):
        _status, entrance = ticket_for_script(site, operator_of_site.secret, guest, view_only=view_only)
        with open_console(site, door, entrance) as console:
            shake_hands(console)
            press(console, letter)
            time.sleep(0.5)
    domain.wait_for("o", since=before)
    assert domain.heard(before) == "o"


def test_a_client_that_speaks_something_else_is_not_a_viewer(site, door, site_guest, operator_of_site):
    _status, entrance = ticket_for_script(site, operator_of_site.secret, site_guest[1], view_only=True)
    with open_console(site, door, entrance) as console:
        read(console, 12)
        console.send(b"RFB 003.003\n")
        assert closed_with(console) == 4400


def test_the_serial_port_is_a_stream_both_ways(site, door, site_guest, operator_of_site):
    _status, entrance = ticket_for_script(site, operator_of_site.secret, site_guest[1], kind="serial")
    with open_console(site, door, entrance) as console:
        console.send(b"hello\r")
        assert read(console, 6) == b"hello\r"


def test_a_viewer_of_the_serial_port_hears_and_says_nothing(site, door, site_guest, operator_of_site):
    domain, guest = site_guest
    _status, entrance = ticket_for_script(site, operator_of_site.secret, guest, kind="serial", view_only=True)
    with open_console(site, door, entrance) as console:
        console.send(b"secret")
        virsh("send-key", domain.name, "KEY_H")
        assert read(console, 1) == b"h"
