"""The frame at work in a browser: live fragments, questions, keys, selection, the job that a page waits for."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from jobs.models import Job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def open_page(page: Page, path: str = "/ui/") -> None:
    response = page.goto(path)
    assert response
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    if drawn := re.search(r'id="draw">(\d+)<', response.text()):
        # what the socket confirms is fetched once more
        expect(page.locator("#draw")).to_have_text(str(int(drawn[1]) + 1))


def draw(page: Page) -> int:
    return int(page.locator("#draw").inner_text())


def test_a_fragment_is_fetched_again_when_its_topic_changes(page, socket):
    open_page(page)
    assert "jobs" in socket.topics
    before = draw(page)
    for _ in range(5):
        socket.tell("jobs")  # five at once are one fetch
    expect(page.locator("#draw")).to_have_text(str(before + 1))


def test_a_fragment_waits_while_its_menu_is_open_or_its_field_is_used(page, socket):
    open_page(page)
    before = draw(page)
    page.click("#opener")
    socket.tell("jobs")
    page.wait_for_timeout(400)
    assert draw(page) == before
    page.keyboard.press("Escape")
    expect(page.locator("#draw")).to_have_text(str(before + 1))
    before = draw(page)
    page.fill("#field", "half a wo")
    socket.tell("jobs")
    page.wait_for_timeout(400)
    assert (draw(page), page.input_value("#field")) == (before, "half a wo")
    page.locator("#field").blur()
    expect(page.locator("#draw")).not_to_have_text(str(before))


def test_a_menu_that_is_opened_while_its_fragment_is_on_its_way_stays_open(page, socket):
    open_page(page)
    before = draw(page)
    held: list[str] = []

    def hold(route):
        if held:
            return route.continue_()
        held.append(route.request.url)
        answer = route.fetch()
        page.click("#opener")
        return route.fulfill(response=answer)

    page.route("**/ui/", hold)
    socket.tell("jobs")
    expect(page.locator("#rows-menu")).to_be_visible()
    page.wait_for_timeout(400)
    expect(page.locator("#rows-menu")).to_be_visible()
    assert held
    assert draw(page) == before
    page.keyboard.press("Escape")
    expect(page.locator("#draw")).not_to_have_text(str(before))


def test_a_lost_socket_is_said_and_nothing_is_missed(page, socket):
    open_page(page)
    before = draw(page)
    socket.go_down()
    expect(page.locator("#live")).to_have_text("Reconnecting…")
    expect(page.locator("#live")).to_contain_text("Offline since")
    expect(page.locator("#notices")).to_contain_text("kvmweb does not answer")
    socket.is_down = False
    expect(page.locator("#live")).to_contain_text("Live")
    expect(page.locator("#notices")).not_to_contain_text("kvmweb does not answer")
    expect(page.locator("#draw")).not_to_have_text(str(before))


def test_rows_are_selected_by_keyboard_and_stay_selected(page, socket):
    open_page(page)
    for key in ("ArrowDown", "x", "ArrowDown", "ArrowDown", "Shift+X"):
        page.keyboard.press(key)
    expect(page.locator("[data-bulk-count]")).to_have_text("3 selected")
    before = draw(page)
    socket.tell("jobs")
    expect(page.locator("#draw")).not_to_have_text(str(before))
    assert page.evaluate("new FormData(document.getElementById('bulk')).getAll('id').join()") == "1,2,3"
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()


def test_an_action_that_asks_nothing_leaves_the_page_and_opens_the_tray(page):
    open_page(page)
    page.get_by_role("button", name="Start it").click()
    expect(page.locator("#job-tray h2")).to_be_visible()
    assert page.url.endswith("/ui/")
    page.locator("h1").click()
    page.keyboard.press("j")
    expect(page.locator("#job-tray h2")).to_be_hidden()


def test_a_question_wants_the_name_and_enter_never_destroys(page):
    open_page(page)
    page.get_by_role("link", name="Delete by name").click()
    expect(page.locator("#dialog [data-cancel]")).to_be_focused()
    button = page.locator("[data-confirm-button]")
    expect(button).to_be_disabled()
    page.fill("[name=confirm_name]", "web-01")
    page.press("[name=confirm_name]", "Enter")
    page.wait_for_timeout(300)
    assert page.url.endswith("/ui/")
    button.click()
    page.wait_for_url("**/jobs/")


def test_a_refusal_is_shown_in_the_question_and_focus_goes_back(page):
    open_page(page)
    asks = page.get_by_role("link", name="Delete plainly")
    asks.click()
    page.locator("[data-confirm-button]").click()
    expect(page.locator("#dialog .note-bad")).to_contain_text("web-01 is being backed up.")
    page.keyboard.press("Escape")
    expect(asks).to_be_focused()


def test_a_question_is_a_page_of_its_own_without_script(chromium, site, admin, client):
    client.force_login(admin)
    context = chromium.new_context(java_script_enabled=False, base_url=site)
    name = "kvmweb_session"
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": site}])
    page = context.new_page()
    page.goto("/ui/")
    page.get_by_role("link", name="Delete by name").click()
    page.fill("[name=confirm_name]", "web-01")
    page.locator("[data-confirm-button]").click()
    page.wait_for_url("**/jobs/")
    context.close()


def test_keys_lead_where_the_list_says(page):
    open_page(page)
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-input")).to_be_focused()
    page.keyboard.type("gh")  # letters are text in a field
    assert page.url.endswith("/ui/")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/hosts/")


def test_words_are_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page)
    page.click("#copy")
    page.wait_for_timeout(200)
    assert page.evaluate("navigator.clipboard.readText()") == "copy me"


@pytest.fixture
def job(admin) -> Job:
    return Job.objects.create(
        kind="k", task="k", title="Make web-01", created_by=admin, status="running", total=10, done=1
    )


def test_what_changes_while_a_fragment_is_on_its_way_is_seen(page, socket, job):
    open_page(page, f"/ui/follow/{job.pk}/")
    page.wait_for_load_state("networkidle")
    held: list[str] = []

    def hold(route):
        if held or not route.request.headers.get("hx-request"):
            return route.continue_()
        held.append(route.request.url)
        answer = route.fetch()
        Job.objects.filter(pk=job.pk).update(done=6)
        socket.tell(f"job-{job.pk}")
        page.wait_for_timeout(400)
        return route.fulfill(response=answer)

    page.route("**/*", hold)
    socket.tell(f"job-{job.pk}")
    expect(page.locator("[data-follow-job]")).to_contain_text("60 %")
    assert held


def test_a_page_goes_on_when_the_job_that_it_waits_for_is_done(page, socket, job):
    open_page(page, f"/ui/follow/{job.pk}/")
    Job.objects.filter(pk=job.pk).update(done=6)
    socket.tell(f"job-{job.pk}")
    expect(page.locator("[data-follow-job]")).to_contain_text("60 %")
    Job.objects.filter(pk=job.pk).update(status="succeeded", finished_at=timezone.now())
    socket.tell(f"job-{job.pk}")
    page.wait_for_url("**/jobs/?done")


def test_a_page_stays_and_says_why_when_the_job_failed(page, socket, job):
    open_page(page, f"/ui/follow/{job.pk}/")
    Job.objects.filter(pk=job.pk).update(status="failed", finished_at=timezone.now(), error="The pool store is full.")
    socket.tell(f"job-{job.pk}")
    expect(page.locator("[data-follow-job]")).to_contain_text("The pool store is full.")
    expect(page.locator("#announce")).to_have_text("Make web-01: Failed")
    assert "/ui/follow/" in page.url


def test_no_page_is_wider_than_the_window(page, job):
    for path in ("/ui/", "/jobs/", "/audit/", "/settings/me/", "/settings/tokens/", "/settings/users/"):
        page.goto(path)
        for width in (1440, 1200, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width} px"


def test_dark_is_set_by_the_server_and_auto_follows_the_system(page, admin):
    page.emulate_media(color_scheme="dark")
    page.goto("/settings/me/")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.locator("main").get_by_role("button", name="Light").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    admin.refresh_from_db()
    assert admin.theme == "light"
