"""The console page as the server makes it: who gets it, what it may load, what it says."""

import pytest
from django.test import Client

from consoles import tickets
from jobs.models import Job, JobObject


@pytest.fixture
def page(client, guest, operator):
    """Get the console page of the guest as an operator."""
    client.force_login(operator)
    return lambda query="": client.get(f"/consoles/{guest.pk}/{query}")


def test_an_operator_gets_the_screen(page, guest):
    answer = page()
    assert answer.status_code == 200
    assert 'data-kind="vnc"' in answer.text
    assert f'data-live="guest-{guest.pk}"' in answer.text


@pytest.mark.parametrize("who", ["viewer", "stranger"])
@pytest.mark.parametrize("address", ["", "guest/", "ticket/"])
def test_who_may_not_open_it_gets_404(who, address, client, guest, request):
    client.force_login(request.getfixturevalue(who))
    path = f"/consoles/{guest.pk}/{address}"
    answer = client.post(path) if address == "ticket/" else client.get(path)
    assert answer.status_code == 404


@pytest.mark.usefixtures("redis_tickets")
def test_the_page_of_a_screen_that_only_its_own_host_reaches_says_what_to_do(client, guest, operator):
    type(guest.host).objects.filter(pk=guest.host_id).update(uri="qemu+tls://kvm-07.example/system", name="kvm-07")
    xml = "<domain><devices><graphics type='vnc'><listen type='none'/></graphics></devices></domain>"
    type(guest).objects.filter(pk=guest.pk).update(xml=xml)
    client.force_login(operator)
    answer = client.post(f"/consoles/{guest.pk}/ticket/", {"kind": "vnc"})
    assert (answer.status_code, answer.json()["code"]) == (409, "display_out_of_reach")
    assert "kvm-07 is connected over TLS, which carries no displays" in answer.json()["message"]
    page = client.get(f"/consoles/{guest.pk}/").text
    assert "Connect kvm-07 over SSH, or use the serial port." in page  # for what only the host knows: 4416


def test_who_is_not_logged_in_is_asked_to(client, guest):
    assert client.get(f"/consoles/{guest.pk}/").status_code == 302


@pytest.mark.parametrize(
    ("graphics", "has_serial", "query", "kind"),
    [
        ("vnc", True, "", "vnc"),
        ("vnc", True, "?serial=1", "serial"),
        ("", True, "", "serial"),
        ("", True, "?serial=0", "vnc"),
        ("", False, "", "vnc"),
    ],
)
def test_a_guest_without_a_screen_opens_with_its_serial_port(page, guest, graphics, has_serial, query, kind):
    type(guest).objects.update(graphics=graphics, has_serial=has_serial)
    assert f'data-kind="{kind}"' in page(query).text


def test_only_the_serial_page_may_write_styles_into_itself(page):
    """xterm does; noVNC and the rest need no exception."""
    serial, screen = (page(query).headers["Content-Security-Policy"] for query in ("?serial=1", "?serial=0"))
    assert "style-src 'self' 'unsafe-inline'" in serial
    assert "unsafe" not in screen
    assert "unsafe" not in serial.replace("style-src 'self' 'unsafe-inline'", "")


def test_a_guest_that_is_off_offers_to_start_it(page, guest):
    type(guest).objects.update(state="shutoff")
    text = page().text
    assert "mail-01 is shut off" in text
    assert f"/guests/{guest.pk}/power/start/" in text
    assert 'data-on="0"' in text


def test_the_frame_is_dark_whatever_the_reader_chose(page, operator):
    type(operator).objects.update(theme="light")
    assert 'data-bs-theme="dark"' in page().text


def test_a_name_stays_a_name(page, guest):
    type(guest).objects.update(name='"><script>alert(1)</script>')
    assert "<script>alert" not in page().text


def test_what_a_job_does_to_the_guest_is_told(page, guest, operator):
    job = Job.objects.create(kind="reboot", task="x", title="Restart mail-01", status="running", created_by=operator)
    JobObject.objects.create(job=job, kind="guest", object_id=guest.pk, name=guest.name)
    assert "Restart mail-01" in page().text


def test_the_page_costs_the_same_number_of_queries_each_time(page, django_assert_max_num_queries):
    page()
    with django_assert_max_num_queries(14):
        page()


@pytest.mark.usefixtures("redis_tickets")
class TestTicket:
    """POST /consoles/<pk>/ticket/, which the page's script calls before each connection."""

    def test_it_is_for_the_session_that_asks(self, client, guest, operator):
        client.force_login(operator)
        answer = client.post(f"/consoles/{guest.pk}/ticket/", {"kind": "serial", "view_only": "1"})
        assert answer.status_code == 201
        ticket = tickets.redeem(answer.json()["ticket"])
        assert ticket is not None
        assert ticket.session == tickets.digest_of_session(client.session.session_key)
        assert (ticket.user_id, ticket.token_id, ticket.kind, ticket.view_only) == (operator.pk, None, "serial", True)

    def test_it_wants_a_post_with_a_csrf_token(self, guest, operator):
        client = Client(enforce_csrf_checks=True)
        client.force_login(operator)
        assert client.get(f"/consoles/{guest.pk}/ticket/").status_code == 405
        assert client.post(f"/consoles/{guest.pk}/ticket/").status_code == 403

    def test_what_is_wrong_comes_as_a_sentence(self, client, guest, operator):
        type(guest).objects.update(graphics="spice")
        client.force_login(operator)
        answer = client.post(f"/consoles/{guest.pk}/ticket/", {"kind": "vnc"})
        assert answer.status_code == 409
        assert answer.json()["message"] == "mail-01 has no VNC display. Add one, or use its serial port."
