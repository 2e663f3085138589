"""The console page in a browser: a picture comes, keys arrive, and what breaks mends itself."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.libvirt, pytest.mark.browser]
IN_TIME_MS = 30_000

LIT = """() => {
  const canvas = document.querySelector("#screen canvas");
  if (!canvas?.width) return 0;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let lit = 0;
  for (let at = 0; at < pixels.length; at += 4) if (pixels[at] + pixels[at + 1] + pixels[at + 2] > 150) lit += 1;
  return lit;
}"""


@pytest.fixture
def page(site, chromium, operator_of_site) -> Iterator[Page]:
    """A page of the operator's browser. What the browser complains of fails the test."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "kvmweb_session", "value": operator_of_site.session, "url": site.base_url}])
    page, complaints = context.new_page(), []
    page.set_default_timeout(IN_TIME_MS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert complaints == []


def opened(page: Page, site, guest: int, query: str = "") -> Page:
    page.goto(f"{site.base_url}/consoles/{guest}/{query}")
    expect_state(page, "connected")
    return page


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#console-status")).to_have_attribute("data-state", state, timeout=IN_TIME_MS)


def wait_for_picture(page: Page) -> None:
    end = time.monotonic() + IN_TIME_MS / 1000
    while page.evaluate(LIT) < 200:  # Playwright's own waiting would need eval, which the page forbids
        assert time.monotonic() < end, "the canvas stays black"
        time.sleep(0.2)


def tell(site, guest: int, state: str) -> None:
    """What the watcher does when it hears that a guest was switched."""
    site.run(f"""
from django.utils import timezone
from guests.models import Guest
from jobs import live
Guest.objects.filter(pk={guest}).update(state={state!r}, state_since=timezone.now())
live.publish("guest-{guest}")
""")


def test_a_picture_comes_and_keys_arrive(page, site, site_guest):
    domain, guest = site_guest
    opened(page, site, guest)
    wait_for_picture(page)
    before = domain.now
    page.locator("#screen canvas").click()
    page.keyboard.type("kvm 42", delay=30)
    domain.wait_for("kvm 42", since=before)
    assert domain.heard(before) == "kvm 42"
    expect(page.locator("#console-status")).to_have_text(re.compile(r"Connected\s*· \d+ ms"))
    expect(page.locator("#console-size")).to_have_text(re.compile(r"720 × 400 at \d+ %"))


def test_text_is_typed_with_its_capitals_and_signs(page, site, site_guest):
    domain, guest = site_guest
    opened(page, site, guest)
    text = "Grub> linux /vmlinuz root=UUID='{a|b}' ~!@#$%^&*()_+:<>?\\"
    before = domain.now
    page.get_by_role("button", name="Type text").click()
    page.locator("#type-text").fill(text)
    page.get_by_role("button", name="Type it").click()
    domain.wait_for(text + "\r", since=before)
    expect(page.locator("#type-progress")).to_have_text(f"{len(text) + 1} of {len(text) + 1} keys")


def test_a_letter_that_the_keyboard_lacks_is_named(page, site, site_guest):
    opened(page, site, site_guest[1])
    page.get_by_role("button", name="Type text").click()
    page.locator("#type-text").fill("Grüße")
    page.get_by_role("button", name="Type it").click()
    expect(page.locator("#type-progress")).to_contain_text("“ü”")


def test_a_password_is_not_shown_while_it_is_typed(page, site, site_guest):
    domain, guest = site_guest
    opened(page, site, guest)
    before = domain.now
    page.get_by_role("button", name="Type text").click()
    page.get_by_label("Hide what I type").check()
    page.locator("#type-secret").fill("s3cret")
    page.get_by_label("Press Enter").uncheck()
    page.get_by_role("button", name="Type it").click()
    domain.wait_for("s3cret", since=before)
    expect(page.locator("#type-secret")).to_have_value("")


def test_view_only_holds_on_the_server_and_can_be_left(page, site, site_guest):
    domain, guest = site_guest
    opened(page, site, guest, "?view_only=1")
    expect(page.locator("#console-status")).to_contain_text("View only")
    expect(page.get_by_role("button", name="Type text")).to_be_disabled()
    before = domain.now
    page.locator("#screen canvas").click()
    page.keyboard.type("q")
    page.get_by_role("button", name="View only").click()
    expect(page.locator("#console-status")).to_contain_text("Connected")
    page.locator("#screen canvas").click()
    page.keyboard.type("w")
    domain.wait_for("w", since=before)
    assert domain.heard(before) == "w"


def test_the_pages_own_keys_do_not_reach_the_guest(page, site, site_guest):
    domain, guest = site_guest
    opened(page, site, guest)
    before = domain.now
    page.locator("#screen canvas").click()
    page.keyboard.press("Control+Alt+Shift+KeyT")
    expect(page.locator("#type-text")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("#screen canvas").click()
    page.keyboard.type("e")
    domain.wait_for("e", since=before)
    assert domain.heard(before) == "e"  # and no Ctrl, Alt or Shift is still held


def test_a_guest_that_is_switched_off_and_on_comes_back_by_itself(page, site, new_domain, add_to_site):
    domain = new_domain()
    guest = add_to_site(domain)
    opened(page, site, guest)
    domain.stop()
    expect_state(page, "reconnecting")
    tell(site, guest, "shutoff")
    expect_state(page, "off")
    expect(page.get_by_text(f"{domain.name} is shut off")).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    domain.boot()
    tell(site, guest, "running")
    expect_state(page, "connected")
    wait_for_picture(page)


def test_a_kvmweb_that_was_restarted_is_found_again(page, site, site_guest):
    opened(page, site, site_guest[1])
    site.stop_web()
    expect_state(page, "reconnecting")
    site.start_web()
    expect_state(page, "connected")


def test_who_loses_the_right_is_told(page, site, site_guest, new_person):
    person = new_person()
    page.context.clear_cookies()
    page.context.add_cookies([{"name": "kvmweb_session", "value": person.session, "url": site.base_url}])
    opened(page, site, site_guest[1])
    site.run(f"from accounts.models import Grant; Grant.objects.get(user={person.user}).delete()")
    expect_state(page, "failed")
    expect(page.locator("#console-message")).to_contain_text("the right was taken away")


def test_the_check_names_the_hop_that_fails(page, site, site_guest, add_to_site, new_domain):
    opened(page, site, site_guest[1])
    page.get_by_role("button", name="Console check").click()
    page.locator("#panel-check [data-do=check]").click()
    expect(page.locator("#check-hops li.ok")).to_have_count(5)

    page.goto(f"{site.base_url}/consoles/{add_to_site(new_domain(started=False))}/")  # its row says that it runs
    expect(page.locator("#console-message")).to_contain_text("Host ✓ Display ✕")
    page.get_by_role("button", name="Run console check").first.click()
    expect(page.locator("#check-hops li.bad")).to_have_text("✕ Display")
    expect(page.locator("#check-words")).to_contain_text("Start it")


def test_the_serial_port_is_a_terminal(page, site, site_guest):
    opened(page, site, site_guest[1], "?serial=1")
    page.locator("#screen").click()
    page.keyboard.type("uname -a")
    expect(page.locator("#screen .xterm-rows")).to_contain_text("uname -a")


def test_the_page_works_on_a_phone(page, site, site_guest):
    domain, guest = site_guest
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, site, guest)
    wait_for_picture(page)
    before = domain.now
    page.locator(".conkeys").get_by_text("Tab").click()
    page.locator(".conkeys").get_by_role("button", name="Keyboard").click()
    page.keyboard.type("Hi")
    domain.wait_for("Hi", since=before)
    assert domain.heard(before) == "\tHi"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_picture_can_be_saved(page, site, site_guest):
    opened(page, site, site_guest[1])
    wait_for_picture(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save picture").click()
    assert download.value.path().read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert download.value.suggested_filename.startswith("kvt-console-")


def test_full_screen_hides_the_bar_and_its_edge_brings_it_back(page, site, site_guest):
    opened(page, site, site_guest[1])
    page.get_by_role("button", name="Full screen").click()
    expect(page.locator(".conbar")).to_be_hidden()
    page.mouse.move(400, 400)
    page.mouse.move(400, 1)
    expect(page.locator(".conbar")).to_be_visible()
    page.keyboard.press("Control+Alt+Shift+KeyF")
    time.sleep(0.2)
    expect(page.locator(".conft")).to_be_visible()


BLOCKED = """{
  const Real = WebSocket;
  window.WebSocket = class extends Real {
    constructor(url, protocols) {
      super(String(url).replace("/ws/console/", "/ws/nowhere/"), protocols);
    }
  };
}"""


def test_where_the_webs_socket_does_not_come_through_the_gateway_does(page, site, site_guest):
    domain, guest = site_guest
    page.add_init_script(BLOCKED)
    opened(page, site, guest)
    wait_for_picture(page)
    before = domain.now
    page.locator("#screen canvas").click()
    page.keyboard.type("gw")
    domain.wait_for("gw", since=before)
