"""Uploads as a person makes them: Chromium on the ISO library, a server that is killed, a network that is slow."""

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.storage.upload_site import Site

pytestmark = pytest.mark.browser
MIB = 1024 * 1024
DONE_MS = 60_000
expect.set_options(timeout=20_000)


@pytest.fixture
def page(site: Site, chromium: Browser) -> Iterator[Page]:
    """The ISO library as eve sees it. Anything on the console, such as a break of the CSP, fails the test."""
    said: list[str] = []
    context = chromium.new_context(locale="en")
    url = f"http://127.0.0.1:{site.port}"
    context.add_cookies([{"name": k, "value": v, "url": url} for k, v in site.cookies["eve"].items()])
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{url}/isos/")
    yield page
    context.close()
    expected = re.compile(r"Failed to load resource|WebSocket connection")  # refused requests and a killed server
    assert [line for line in said if not expected.search(line)] == []


def slow_down(page: Page, bytes_per_s: int) -> None:
    devtools = page.context.new_cdp_session(page)
    conditions: dict[str, Any] = {"offline": False, "latency": 0, "downloadThroughput": -1}
    devtools.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": bytes_per_s})


def new_file(tmp_path: Path, size: int) -> Path:
    path = tmp_path / f"{os.urandom(4).hex()} & <盘>.iso"
    path.write_bytes(os.urandom(size))
    return path


def choose(page: Page, *files: Path) -> None:
    page.locator("#uploads [data-files]").set_input_files([str(file) for file in files])


def row_of(page: Page, file: Path) -> Locator:
    return page.locator("#uploads .upr").filter(has_text=file.name)


def assert_arrived(site: Site, row: Locator, file: Path) -> None:
    expect(row).to_have_attribute("data-state", "done", timeout=DONE_MS)
    assert (site.iso / file.name).read_bytes() == file.read_bytes()


def test_choose_watch_and_make_a_guest(site: Site, page: Page, tmp_path: Path):
    files = [new_file(tmp_path, 3 * MIB), new_file(tmp_path, 0), new_file(tmp_path, 5)]
    choose(page, *files)
    for file in files:
        assert_arrived(site, row_of(page, file), file)
    row = row_of(page, files[0])
    expect(row).to_contain_text("3 MiB in")
    expect(row).to_contain_text("to iso on local")
    iso_id = site.sql("SELECT iso_id FROM storage_upload WHERE name = ?", files[0].name)[0][0]
    expect(row.get_by_role("link", name="New guest")).to_have_attribute("href", f"/guests/new/?iso={iso_id}")
    page.get_by_role("button", name="Clear finished").click()
    expect(page.locator("#uploads .upr")).to_have_count(0)


def test_pause_resume_and_cancel(site: Site, page: Page, tmp_path: Path):
    slow_down(page, 2 * MIB)
    file, other = new_file(tmp_path, 8 * MIB), new_file(tmp_path, 30 * MIB)
    choose(page, file, other)
    row = row_of(page, file)
    expect(row).to_contain_text(re.compile(r"of 8 MiB · \d+ % · .*iB/s · about \d+ (s|min) left"))
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("paused")
    row.get_by_role("button", name="Resume").click()
    dropped = row_of(page, other)
    expect(dropped).to_have_attribute("data-state", "sending")
    dropped.get_by_title("Cancel and delete what arrived").click()
    expect(dropped).to_contain_text(re.compile("Delete the .* that arrived"))
    dropped.get_by_role("button", name="Keep").click()
    dropped.get_by_title("Cancel and delete what arrived").click()
    dropped.get_by_role("button", name="Delete what arrived").click()
    expect(dropped).to_have_count(0)
    assert_arrived(site, row, file)
    cancelled = site.sql("SELECT id, state FROM storage_upload WHERE name = ?", other.name)
    assert [state for _id, state in cancelled] == ["cancelled"]
    assert not site.part(f"/{uuid.UUID(cancelled[0][0])}").exists()


def test_a_third_waits_for_its_turn(site: Site, page: Page, tmp_path: Path):
    slow_down(page, 2 * MIB)
    files = [new_file(tmp_path, 3 * MIB) for _ in range(3)]
    choose(page, *files)
    expect(row_of(page, files[2])).to_contain_text("waits until one of the others is done")
    for file in files:
        assert_arrived(site, row_of(page, file), file)


def test_a_killed_server_costs_nothing(site: Site, page: Page, tmp_path: Path):
    slow_down(page, 2 * MIB)
    file = new_file(tmp_path, 12 * MIB)
    choose(page, file)
    row = row_of(page, file)
    expect(row).to_contain_text("s left")
    site.kill()
    expect(row).to_contain_text("the connection is lost, trying again")
    site.start()
    assert_arrived(site, row, file)


def test_a_closed_tab_goes_on_with_the_same_file(site: Site, page: Page, tmp_path: Path):
    slow_down(page, 2 * MIB)
    file = new_file(tmp_path, 9 * MIB)
    choose(page, file)
    expect(row_of(page, file)).to_contain_text("s left")
    page.reload()
    row = row_of(page, file)
    expect(row).to_contain_text(re.compile(r"Choose the same file again to go on from .* of 9 MiB"))
    wrong = new_file(tmp_path, 5)
    with page.expect_file_chooser() as chooser:
        row.get_by_role("button", name="Choose the file").click()
    chooser.value.set_files(str(wrong))
    expect(row).to_contain_text("That is another file")
    assert not (site.iso / wrong.name).exists()
    with page.expect_file_chooser() as chooser:
        row.get_by_role("button", name="Choose the file").click()
    chooser.value.set_files(str(file))
    assert_arrived(site, row, file)
    patches = site.sql("SELECT count(*) FROM storage_upload WHERE name = ?", file.name)
    assert patches == [(1,)]


def test_errors_are_the_servers_sentences(site: Site, page: Page, tmp_path: Path):
    file = new_file(tmp_path, 5)
    (site.iso / file.name).write_bytes(b"mine")
    choose(page, file)
    row = row_of(page, file)
    expect(row).to_contain_text("exists already in pool iso. Rename your file, or delete the one there first.")
    (site.iso / file.name).unlink()
    row.get_by_role("button", name="Try again").click()
    assert_arrived(site, row, file)


def test_a_name_taken_meanwhile_can_be_settled_later(site: Site, page: Page, tmp_path: Path):
    path = site.new("meanwhile.iso", 5, by="eve")
    (site.iso / "meanwhile.iso").write_bytes(b"mine")
    assert site.patch(path, 0, b"12345", by="eve").status_code == 409
    page.reload()
    row = page.locator("#uploads .upr").filter(has_text="meanwhile.iso")
    expect(row).to_contain_text("exists already")
    (site.iso / "meanwhile.iso").unlink()
    row.get_by_role("button", name="Try again").click()
    expect(row).to_have_count(0)
    assert (site.iso / "meanwhile.iso").read_bytes() == b"12345"


def test_files_are_dropped(site: Site, page: Page):
    data = page.evaluate_handle(
        "() => { const all = new DataTransfer(); all.items.add(new File(['dropped'], 'dropped.iso')); return all; }"
    )
    zone = page.locator("#uploads [data-drop]")
    zone.dispatch_event("dragover", {"dataTransfer": data})
    expect(zone).to_have_class(re.compile("over"))
    zone.dispatch_event("drop", {"dataTransfer": data})
    row = page.locator("#uploads .upr").filter(has_text="dropped.iso")
    expect(row).to_have_attribute("data-state", "done", timeout=DONE_MS)
    assert (site.iso / "dropped.iso").read_bytes() == b"dropped"


def tell(page: Page, site: Site, name: str, **columns: object) -> None:
    """A job goes on as it would with a worker."""
    job = site.sql("SELECT job_id FROM jobs_jobobject WHERE kind = 'copy' AND name = ?", name)[0][0]
    for column, value in columns.items():
        site.sql(f"UPDATE jobs_job SET {column} = ? WHERE id = ?", value, job)
    page.evaluate("job => document.body.dispatchEvent(new CustomEvent(`live:job-${job}`))", job)


def test_what_the_library_has_is_copied_or_sent_all_the_same(site: Site, page: Page, tmp_path: Path):
    fresh = new_file(tmp_path, 5)
    files = {name: tmp_path / name for name in site.images}
    for file in files.values():
        file.write_bytes(b"known")
    choose(page, *files.values())
    here, copied, sent, failed = (row_of(page, files[name]) for name in ("here.iso", "a.iso", "b.iso", "c.iso"))
    expect(here).to_contain_text("iso on local has a file with the same name and size (5 B) already, so it was")
    expect(here.get_by_role("button", name="Upload all the same")).to_be_hidden()
    expect(here.get_by_role("link", name="Show it")).to_have_attribute("href", f"/isos/{site.images['here.iso']}/")
    expect(copied).to_contain_text("small on local has a file with the same name and size (5 B).")
    expect(page.locator("#uploads [data-said]")).to_have_text(re.compile("same name and size as 4 of these"))
    bar = page.get_by_role("group", name="same name and size as 4 of these")
    assert bar.get_by_role("button").all_inner_texts() == ["Copy 3", "Upload 3 all the same", "Leave 4 out"]
    choose(page, fresh, files["a.iso"])
    assert_arrived(site, row_of(page, fresh), fresh)  # nobody has it: it does not wait for the others
    expect(page.locator("#notices")).to_contain_text("a.iso is on the list already.")
    copied.get_by_role("button", name="Copy it from small on local").press("Enter")
    expect(copied).to_contain_text("to be copied from small on local")
    expect(copied.get_by_title("Cancel and delete what arrived")).to_be_focused()
    failed.get_by_role("button", name="Copy it from").click()
    expect(failed).to_have_attribute("data-state", "copying")
    sent.get_by_role("button", name="Upload all the same").click()
    assert_arrived(site, sent, files["b.iso"])
    tell(page, site, "a.iso", status="running", done=2, total=5)
    expect(copied).to_contain_text("2 B of 5 B · 40 % copied from small on local")
    tell(page, site, "a.iso", status="succeeded", result='{"iso_id": 7}')
    expect(copied).to_contain_text("5 B, copied from small on local. It is in the library below.")
    expect(copied.get_by_role("link", name="New guest")).to_have_attribute("href", "/guests/new/?iso=7")
    tell(page, site, "c.iso", status="failed", error="The disk is full.", error_code="pool_full")
    expect(failed).to_contain_text("The disk is full.")
    expect(failed.get_by_role("button", name="Upload all the same")).to_be_visible()
    here.get_by_title("Take it off this list").click()
    expect(here).to_have_count(0)
    assert not (site.iso / "a.iso").exists()


def test_an_answer_that_does_not_come_keeps_nobody_waiting(site: Site, page: Page, tmp_path: Path):
    page.route("**/isos/known", lambda route: None)
    file = new_file(tmp_path, 5)
    choose(page, file)
    expect(row_of(page, file)).to_have_attribute("data-state", "looking")
    expect(row_of(page, file)).to_have_attribute("data-state", re.compile("sending|finishing|done"), timeout=4_000)
    assert_arrived(site, row_of(page, file), file)
