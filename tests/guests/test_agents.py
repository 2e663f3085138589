"""What agents in guests say: read, kept, shown, and what to do where they say nothing."""

import uuid

import pytest

from guests.agents import record
from guests.agents.advice import installs_for
from guests.agents.models import AgentReport
from guests.models import Guest
from guests.samples import apply_addresses
from virt.agent import MOST_ENTRIES, read_report
from virt.types import GuestAddress

SAID = {
    "hostname": "wëb-01", "os.id": "debian", "os.pretty-name": "Debian GNU/Linux 12", "os.version-id": "12",
    "os.kernel-release": "6.1.0", "timezone.name": "CET", "timezone.offset": 3600,
    "user.count": 1, "user.0.name": "root", "user.0.login-time": 1700000000123,
    "fs.count": 2, "fs.0.mountpoint": "/", "fs.0.fstype": "ext4", "fs.0.name": "vda1",
    "fs.0.total-bytes": 1000, "fs.0.used-bytes": 950, "fs.1.mountpoint": "/mnt/nfs", "fs.1.fstype": "nfs4",
    "if.count": 2, "if.0.name": "lo", "if.0.addr.count": 1, "if.0.addr.0.addr": "127.0.0.1", "if.0.addr.0.type": "ipv4",
    "if.1.name": "eth0", "if.1.hwaddr": "52:54:00:00:00:01", "if.1.addr.count": 1, "if.1.addr.0.addr": "10.0.0.5",
    "if.1.addr.0.type": "ipv4", "if.1.addr.0.prefix": 24,
}  # fmt: skip


@pytest.fixture
def guest(local_host) -> Guest:
    return Guest.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="kvt-agent", state="running", has_agent_channel=True,
        os_id="http://debian.org/debian/12",
    )  # fmt: skip


def answer(guest: Guest, **other: object) -> None:
    record.record_answer(guest.host, guest.uuid, guest.pk, read_report(SAID | other))


def addresses(guest: Guest) -> list[tuple[str, str]]:
    guest.refresh_from_db()
    return [(known["address"], known["source"]) for known in guest.addresses]


def test_a_guest_that_says_nonsense_is_cut_short():
    said = read_report({"hostname": "x" * 10_000, "fs.count": 10**9, "user.count": "many", "os.id": None, "a\0": 1})
    assert (len(said.hostname), len(said.filesystems), said.users, said.os_id) == (255, MOST_ENTRIES, (), "")


def test_what_it_says_is_kept_and_shown(guest, admin, client, bearer):
    answer(guest)
    client.force_login(admin)
    page = client.get(guest.get_absolute_url()).content.decode()
    for words in ("wëb-01", "Debian GNU/Linux 12", "CET", "root", "/mnt/nfs", "10.0.0.5/24", "from the agent"):
        assert words in page, words
    body = client.get(f"/api/v1/guests/{guest.pk}/agent", **bearer).json()
    assert (body["state"], body["hostname"], body["users"][0]["since"]) == ("answers", "wëb-01", 1700000000.123)
    assert body["filesystems"][0] | {"used_bytes": 950} == body["filesystems"][0]
    assert body["interfaces"] == [{"name": "eth0", "mac": "52:54:00:00:00:01", "addresses": ["10.0.0.5/24"]}]


def test_what_it_said_stays_with_its_time_when_it_hangs(guest, admin, client):
    answer(guest)
    record.record_no_answer(guest.host, guest.uuid, guest.pk, AgentReport.State.SILENT)
    row = AgentReport.objects.get()
    assert (row.state, row.hostname) == ("silent", "wëb-01")
    client.force_login(admin)
    page = client.get(guest.get_absolute_url()).content.decode()
    assert "wëb-01" in page
    assert "does not answer" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "shutoff"}, "only while the guest runs"),
        ({"has_agent_channel": False}, "org.qemu.guest_agent.0"),
        ({}, "has not been asked yet"),
    ],
)
def test_the_page_says_what_to_do_where_there_is_no_word(guest, admin, client, changes, words):
    Guest.objects.update(**changes)
    client.force_login(admin)
    assert words in client.get(guest.get_absolute_url()).content.decode()


def test_the_command_is_that_of_the_guest_s_system(guest, admin, client, bearer):
    record.record_no_answer(guest.host, guest.uuid, guest.pk, AgentReport.State.ABSENT)
    client.force_login(admin)
    page = client.get(guest.get_absolute_url()).content.decode()
    assert "apt install qemu-guest-agent" in page
    assert "dnf" not in page
    assert len(installs_for("")) > 5
    assert installs_for("http://microsoft.com/win/2k22")[0].systems == "Windows"
    assert client.get(f"/api/v1/guests/{guest.pk}/agent", **bearer).json()["state"] == "absent"


def test_strangers_see_nothing_of_it(guest, stranger, client):
    answer(guest)
    client.force_login(stranger)
    assert client.get(guest.get_absolute_url()).status_code == 404


def test_each_source_of_addresses_writes_its_own(guest):
    def heard(address: str, source: str) -> GuestAddress:
        mac = "52:54:00:00:00:01"
        return GuestAddress(interface="", mac=mac, address=address, prefix=24, family="ipv4", source=source)

    host_knows = {guest.uuid: [heard("10.0.0.5", "lease"), heard("10.0.0.9", "arp")]}
    apply_addresses(guest.host, host_knows, sources={"lease", "arp"})
    answer(guest)
    assert addresses(guest) == [("10.0.0.5", "agent"), ("10.0.0.9", "arp")]
    apply_addresses(guest.host, {guest.uuid: []}, sources={"lease", "arp"})
    assert addresses(guest) == [("10.0.0.5", "agent")]
    record.record_no_answer(guest.host, guest.uuid, guest.pk, AgentReport.State.ABSENT)
    assert addresses(guest) == []


def test_pages_hear_only_what_they_show(guest, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as first:
        answer(guest)
    with django_capture_on_commit_callbacks() as same:
        answer(guest)
    with django_capture_on_commit_callbacks() as little:
        answer(guest, **{"fs.0.used-bytes": 951})
    with django_capture_on_commit_callbacks() as much:
        answer(guest, **{"fs.0.used-bytes": 990})
    assert (bool(first), same, little, bool(much)) == (True, [], [], True)
