"""Graphs in a browser: drawn under the CSP, moving, alive while what is around them is fetched again."""

import time
import uuid

import pytest
from playwright.sync_api import Page, expect

from guests.models import Guest
from history import store
from history.series import GUEST
from hosts.models import Host

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def guest(settings, tmp_path) -> Guest:
    settings.VAR = tmp_path
    host = Host.objects.create(name="kvm-01", uri="test:///graphs", state="connected")
    return Guest.objects.create(host=host, uuid=uuid.uuid4(), name="web-01", state="running", memory_mib=512)


def used(guest: Guest, cpu: float, *, since: int, until: int = 0) -> None:
    now = int(time.time())
    for at in range(now - since, now - until, 10):
        store.record(GUEST, {guest.pk: (cpu, 1.0, 2.0**28, 2.0**29, *(1000.0,) * 8)}, at)


def look_again(page: Page) -> None:
    """As when somebody comes back to the tab: the graphs read what is new."""
    with page.expect_response(lambda response: "/history?" in response.url):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_lines_are_drawn_and_move(page, guest):
    used(guest, 20.0, since=1200, until=30)
    page.goto(f"/guests/{guest.pk}/graphs/")
    cpu = page.locator("[data-line=cpu_percent]")
    expect(page.locator(".graph canvas")).to_have_count(6)
    expect(cpu.locator("[data-figure=average]")).to_have_text("20 %")
    used(guest, 80.0, since=25)
    look_again(page)
    expect(cpu.locator("[data-figure=highest]")).to_have_text("80 %")


def test_they_live_on_when_the_page_around_them_is_fetched_again(page, guest, socket):
    used(guest, 20.0, since=1200)
    page.goto(f"/guests/{guest.pk}/graphs/")
    page.locator(".graph canvas").first.wait_for()
    page.evaluate("document.querySelector('.graph canvas').isTheSame = true")
    with page.expect_response(lambda response: response.url.endswith("/graphs/")):
        socket.tell(f"guest-{guest.pk}")
    expect(page.locator(".graph canvas")).to_have_count(6)
    assert page.evaluate("document.querySelector('.graph canvas').isTheSame")
    look_again(page)


def test_a_new_guest_has_no_lines_until_there_are_some(page, guest):
    page.goto(f"/guests/{guest.pk}/graphs/")
    expect(page.get_by_text("No history yet")).to_be_visible()
    expect(page.locator(".graph").first).to_be_hidden()
    used(guest, 20.0, since=60)
    look_again(page)
    expect(page.get_by_text("No history yet")).to_be_hidden()
    expect(page.locator(".graph canvas").first).to_be_visible()


def test_the_same_is_there_as_a_table(page, guest):
    used(guest, 20.0, since=1200)
    page.goto(f"/guests/{guest.pk}/graphs/?range=day")
    page.locator(".graph canvas").first.wait_for()
    graph = page.locator(".graph").first
    graph.get_by_text("As a table").click()
    rows = graph.locator("details tbody tr")
    expect(rows).to_have_count(24)
    expect(rows.first.locator("td").first).to_have_text("20 %")
    assert graph.locator("[data-plot]").get_attribute("aria-hidden") == "true"


def test_the_pointer_shows_the_figures_of_its_time(page, guest):
    used(guest, 20.0, since=3500)
    page.goto(f"/guests/{guest.pk}/graphs/")
    graph = page.locator(".graph").first
    graph.locator("canvas").wait_for()
    graph.locator(".u-over").hover()
    expect(graph.locator("[data-when]")).not_to_have_text("Now")
    expect(page.locator("[data-line=memory_used_bytes] [data-figure=newest]")).to_have_text("256 MiB")  # all at once
    graph.evaluate("element => element.parentElement.prepend(element)")  # as when the page around is fetched again
    page.mouse.move(5, 5)
    expect(graph.locator("[data-when]")).to_have_text("Now")


@pytest.mark.parametrize("path", ["/hosts/{}/graphs/", "/pools/{}/"])
def test_hosts_and_pools_have_theirs(page, guest, path):
    from history.series import HOST, POOL
    from storage.models import Pool

    pool = Pool.objects.create(host=guest.host, uuid=uuid.uuid4(), name="p", type="dir", is_active=True)
    kind, row = (HOST, guest.host) if "hosts" in path else (POOL, pool)
    now = int(time.time())
    for at in range(now - 1200, now, kind.step_s):
        store.record(kind, {row.pk: (30.0,) * len(kind.series)}, at)
    page.goto(path.format(row.pk))
    page.locator(".graph canvas").first.wait_for()
    expect(page.locator(".graph canvas")).to_have_count(5 if kind is HOST else 1)
