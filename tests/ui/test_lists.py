"""The guest list and the palette at work in a browser: all that match, taking back, typing instead of clicking."""

import pytest
from playwright.sync_api import expect

from guests.models import Guest
from tests.guests.rows import make_guest, make_guests, make_host

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_all_that_match_are_tagged_and_it_is_taken_back(page):
    make_guests(30)
    page.goto("/guests/?q=guest")
    page.locator("thead [data-select-all]").click()
    expect(page.locator("[data-bulk-count]")).to_have_text("25 selected")
    page.locator("[data-bulk-all]").click()
    expect(page.locator("[data-bulk-count]")).to_have_text("30 selected")
    page.locator("#bulk button[value=tags]").click()
    page.fill("#bulk-add", "prod")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("Tagged 30 guests: prod")
    expect(page.locator("#guests .tagc").first).to_have_text("prod")
    assert Guest.objects.filter(tags__key="prod").count() == 30
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#notices")).to_contain_text("Taken back")
    expect(page.locator("#guests .tagc")).to_have_count(0)
    assert not Guest.objects.filter(tags__key="prod").exists()


def test_a_menu_narrows_the_list(page):
    host = make_host()
    make_guest(host, "web-01", state="running")
    make_guest(host, "db-01")
    page.goto("/guests/")
    page.locator("[popovertarget=facet-state]").click()
    page.locator("#facet-state a", has_text="Running").click()
    page.wait_for_url("**/guests/?*state*running*")
    expect(page.locator("#guests .nm")).to_have_text(["web-01"])
    page.locator(".chips .tok").click()
    expect(page.locator("#guests .nm")).to_have_count(2)


def test_the_palette_is_worked_by_keys_alone(page):
    host = make_host()
    guest = make_guest(host, "web-01", state="running", graphics="")
    make_guest(host, "web-02", state="running")
    page.goto("/jobs/")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-list [role=option]").first).to_be_visible()
    page.keyboard.type("web-0")
    options = page.locator("#palette-list [role=option]")
    expect(options).to_have_count(2)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("web-02")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/guests/{guest.pk}/")
    page.keyboard.press("Control+k")
    page.keyboard.type("force off web-01")
    expect(options).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#dialog")).to_contain_text("Force off: web-01")  # it asks: nothing is lost by a key
    page.keyboard.press("Escape")
    expect(page.locator("#dialog")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
