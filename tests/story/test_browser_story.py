"""What a person does, in a real browser on a real libvirt: from the login to text that arrives in a new guest."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import wait_for

pytestmark = pytest.mark.browser
NAME = "kvt-browser-story"
PICTURES = Path(__file__).resolve().parent.parent / "screenshots"


@pytest.fixture
def page(stack, chromium):
    """A page in Chromium; what a console of it complained about fails the test."""
    complaints: list[str] = []
    page = chromium.new_page(base_url=stack.base_url, viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page.set_default_timeout(30_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / "last.png")  # what a failed test saw
    page.close()
    assert complaints == []


def log_in(page: Page, password: str) -> None:
    page.goto("/")
    expect(page).to_have_url(re.compile("/accounts/login/"))
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def press(page: Page, text: str) -> None:
    """Press the keys of a US keyboard, Shift too: what a person does, and what `keyboard.type` does not."""
    shifted = {">": "Period", "S": "KeyS"}
    for character in text:
        key = f"Shift+{shifted[character]}" if character in shifted else "Enter" if character == "\n" else character
        page.keyboard.press(key, delay=40)


def test_from_the_login_to_text_that_arrives_in_the_guest(page, stack, test_iso, tmp_path, virsh, serial):
    image = tmp_path / "kvt-browser-story.iso"
    image.symlink_to(test_iso)
    log_in(page, stack.admin_password)
    expect(page.locator("#main")).to_contain_text("emulated")

    # The ISO: chosen, uploaded, in the library, with its checksum.
    page.get_by_role("link", name="ISO library").first.click()
    page.locator("input[data-files]").set_input_files(image)
    upload = page.locator("#uploads [data-rows] > *").first
    expect(upload).to_contain_text("It is in the library below")
    row = page.locator("tr", has_text=image.name)
    expect(row).to_be_visible()
    assert (stack.iso_dir / image.name).read_bytes() == test_iso.read_bytes()
    upload.get_by_role("link", name="New guest").click()

    # The guest: the ISO and its defaults are filled in, the XML is shown, nothing is made yet.
    expect(page.get_by_role("heading", level=1)).to_have_text("New guest")
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Memory").fill("256 MiB")
    page.get_by_label("vCPUs").fill("1")
    page.get_by_label("Size").fill("1 GiB")
    expect(page.locator("#plan-xml")).to_contain_text(f"<name>{NAME}</name>")
    expect(page.locator("#plan-xml")).to_contain_text("type=")
    assert NAME not in virsh("list", "--all", "--name").split()
    page.get_by_role("button", name="Create", exact=True).click()

    # It is made, started, and its console opens by itself.
    page.wait_for_url(re.compile(r"/consoles/\d+/"), timeout=60_000)
    expect(page.locator("#console-status")).to_have_attribute("data-state", "connected", timeout=30_000)
    assert virsh("domstate", NAME) == "running"
    assert "type='none'" in virsh("dumpxml", NAME)  # the display listens on no port
    port = serial(NAME)
    port.wait_for("KVMWEB-TEST NET", seconds=240)  # its shells wait for input by then

    # Typed on the canvas, seen on the guest's serial port.
    page.locator("#screen canvas").click()
    press(page, "echo typed-in-the-browser >/dev/ttyS0\n")
    port.wait_for("typed-in-the-browser", seconds=60)

    # The guest's page follows what something else does.
    page.get_by_title(f"Back to {NAME}").click()
    heading = page.locator("#main")
    expect(heading.get_by_role("heading", level=1)).to_have_text(NAME)
    expect(heading).to_contain_text("Running")
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / "guest.png")
    virsh("suspend", NAME)
    expect(heading).to_contain_text("Paused", timeout=3_000)
    virsh("destroy", NAME)
    expect(heading).to_contain_text("Shut off", timeout=3_000)

    # And the list, too.
    page.get_by_role("link", name="Guests").first.click()
    row = page.locator("tr", has_text=NAME)
    expect(row).to_contain_text("Shut off")
    virsh("start", NAME)
    expect(row).to_contain_text("Running", timeout=3_000)

    # Deleted with its disk, after its name was typed.
    row.get_by_role("link", name=NAME, exact=True).click()
    page.locator("#guest-actions").get_by_title("More").click()
    page.locator("#guest-more").get_by_text("Delete…").click()
    dialog = page.locator("#dialog")
    dialog.get_by_label(re.compile("force it off")).check()
    dialog.get_by_label(re.compile("vda")).check()
    dialog.get_by_label(re.compile("[Tt]ype")).fill(NAME)
    dialog.get_by_role("button", name=re.compile("^Delete")).click()
    wait_for(lambda: NAME not in virsh("list", "--all", "--name").split(), seconds=30)
    wait_for(lambda: list(stack.store_dir.iterdir()) == [], seconds=10)
