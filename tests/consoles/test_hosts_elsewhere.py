"""Screens of guests on other hosts: through SSH from the browser to the guest and back, and what TLS and TCP can."""

import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.lab_hosts import Lab, running_lab

from .client import Reader, open_console, shake_hands, ticket_for_script
from .domains import BOOT_SECTOR, DOMAIN, Domain
from .test_browser import expect_state, wait_for_picture

pytestmark = [pytest.mark.libvirt, pytest.mark.browser]
KEYSYM_A = 0x61
Wanted = Callable[[str, str], tuple[Domain, int]]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab() as made:
        yield made


@pytest.fixture(scope="module")
def hosts(lab, site) -> dict[str, int]:
    """The host of the lab as the site knows it: over SSH with our key, as the form adds it, and over TCP."""
    state = Path(lab.environment["LAB_STATE"])
    (state / "ssh" / "authorized_keys").write_text(str(site.run("from hosts import ssh; answer(ssh.public_key())")))
    key = (state / "h1" / "ssh_host_key.pub").read_text()
    made: Any = site.run(f"""
from accounts.models import Grant, User
from hosts.models import Host
from hosts.reaching import keys, services, tasks
from hosts.reaching.address import Address
user = User.objects.create_user("who-adds-hosts")
Grant.objects.create(user=user, role="administrator")
address = Address.checked(transport="ssh", hostname="{lab.net}.14", user="root")
attempt = services.try_host(services.Wanted(address=address, host_key=keys.fingerprint({key!r})), by=user)
tasks.try_host.run_here(attempt.job)
attempt.job.refresh_from_db()
tcp = Host.objects.create(name="kvm1-tcp", uri="{lab.uri(1)}")
answer({{"ssh": attempt.job.result["host_id"], "tcp": tcp.pk}})
""")
    return dict(made)


@pytest.fixture
def new_guest(lab, site, hosts) -> Iterator[Wanted]:
    """A running guest of the lab with a display that listens so, known to the site by way of a transport."""
    with ExitStack() as stack:
        yield lambda transport, listen: stack.enter_context(_running(lab, site, hosts[transport], listen))


@contextmanager
def _running(lab: Lab, site, host: int, listen: str) -> Iterator[tuple[Domain, int]]:
    with tempfile.TemporaryDirectory(prefix="kvmweb-test-elsewhere-", dir="/var/tmp") as name:
        place, identity = Path(name), str(uuid.uuid4())
        place.chmod(0o755)
        (place / "boot.img").write_bytes(BOOT_SECTOR)
        domain = Domain(f"kvt-elsewhere-{identity[:8]}", identity, place)
        xml = DOMAIN.format(name=domain.name, uuid=identity, directory=place)
        xml = xml.replace("type='vnc'><listen type='none'/>", f"type='vnc' port='-1' autoport='yes'>{listen}")
        (place / "guest.xml").write_text(xml)
        lab.virsh(1, "create", str(place / "guest.xml"))
        try:
            yield domain, int(str(site.run(_ROW.format(host=host, domain=domain, xml=xml))))
        finally:
            lab.virsh(1, "destroy", domain.name)


_ROW = """
from guests.models import Guest
answer(Guest.objects.create(
    host_id={host}, uuid={domain.uuid!r}, name={domain.name!r}, state="running", graphics="vnc", has_serial=True,
    xml={xml!r},
).pk)
"""


def press(console, keysym: int) -> None:
    """A key down and up. https://www.rfc-editor.org/rfc/rfc6143#section-7.5.4"""
    for is_down in (b"\x01", b"\0"):
        console.send(b"\x04" + is_down + bytes(2) + keysym.to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("transport", "listen"),
    [
        ("ssh", "<listen type='socket'/>"),
        ("ssh", "<listen type='address' address='127.0.0.1'/>"),
        ("tcp", "<listen type='address' address='0.0.0.0'/>"),
    ],
)
def test_greeting_and_keys_go_through_the_web_socket(site, new_guest, operator_of_site, transport, listen):
    domain, guest = new_guest(transport, listen)
    status, entrance = ticket_for_script(site, operator_of_site.secret, guest)
    assert status == 201
    with open_console(site, "web", entrance) as console:
        width, height = shake_hands(console)
        assert width >= 640
        assert height >= 400
        console.send(b"\x03\0" + bytes(4) + width.to_bytes(2, "big") + height.to_bytes(2, "big"))
        assert Reader(console).read(1) == b"\0"  # a picture
        for _attempt in range(60):  # until its boot sector listens
            press(console, KEYSYM_A)
            try:
                domain.wait_for("a", since=0, within_s=0.5)
                break
            except TimeoutError:
                continue
        assert "a" in domain.heard()


def test_a_screen_that_turns_out_to_be_out_of_reach_says_what_to_do(site, new_guest, operator_of_site):
    _domain, guest = new_guest("tcp", "<listen type='address'/>")  # on the loopback, as QEMU's settings there say
    status, entrance = ticket_for_script(site, operator_of_site.secret, guest)
    assert status == 201
    with open_console(site, "web", entrance) as console:
        with pytest.raises(Exception, match="4416"):
            console.recv(20)
        assert console.close_code == 4416
        assert "Connect the host over SSH" in str(console.close_reason)


def test_a_browser_shows_the_screen_of_a_guest_over_ssh(site, new_guest, operator_of_site, chromium):
    domain, guest = new_guest("ssh", "<listen type='socket'/>")
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "kvmweb_session", "value": operator_of_site.session, "url": site.base_url}])
    page = context.new_page()
    page.goto(f"{site.base_url}/consoles/{guest}/")
    expect_state(page, "connected")
    wait_for_picture(page)
    page.locator("#screen canvas").click()
    before = domain.now
    page.keyboard.type("over ssh", delay=40)
    domain.wait_for("over ssh", since=before)
    expect(page.locator("#console-status")).to_have_text(re.compile(r"Connected\s*· \d+ ms"))
    context.close()
