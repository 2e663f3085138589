"""Looking after a host with its guests: emptied, restarted through its systemd, its guests started in their order.

No machine is restarted: the SSH server of these tests runs every command with a `systemctl` of its own in front.
"""

import json
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from guests import tasks
from guests.autostart import services as autostart
from guests.autostart.services import Turn
from guests.host_care import services
from guests.inventory import refresh_guest
from guests.models import AutostartEntry, Guest, HostBoot
from hosts import commands, ssh
from hosts import inventory as hosts
from hosts.models import Host
from hosts.reaching import access
from hosts.reaching.address import Address
from hosts.reaching.models import Credentials
from jobs.models import Busy, Job
from tests.hosts.sshd import ssh_server
from tests.virt.daemon import PrivateDaemon, private_daemon
from virt.connection import connect
from virt.errors import Invalid, NotSupported, WrongState

from .conftest import TINY
from .rows import make_guest, make_host

pytestmark = pytest.mark.libvirt
FAKE = """#!/bin/sh
echo "$@" >> {log}
if [ "$1" = "{refused}" ]; then echo "Access denied" >&2; exit 1; fi
"""


class Machine:
    """A host over SSH whose systemctl only writes down what it was asked."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host, self._directory = host, directory
        self.refuse("nothing")

    @property
    def asked(self) -> list[str]:
        log = self._directory / "log"
        return log.read_text().splitlines() if log.exists() else []

    def refuse(self, verb: str) -> None:
        fake = self._directory / "bin" / "systemctl"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(FAKE.format(log=self._directory / "log", refused=verb))
        fake.chmod(0o755)


@pytest.fixture
def machine(db, settings) -> Iterator[Machine]:
    with (
        tempfile.TemporaryDirectory(prefix="kvt-care-", dir="/var/tmp") as var,
        tempfile.TemporaryDirectory(prefix="kvt-sshd-", dir="/var/tmp") as name,
        ssh_server(Path(name)) as server,
    ):
        settings.VAR = Path(var)
        wrapper = Path(name, "wrapper")
        wrapper.write_text(f'#!/bin/sh\nexport PATH={name}/bin:$PATH\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
        wrapper.chmod(0o755)
        server.authorize(f'command="{wrapper}" {ssh.public_key()}')
        address = Address.checked(transport="ssh", hostname="127.0.0.1", port=server.port, user="root")
        host = Host.objects.create(name="kvm ü1", uri=address.uri, state="connected")
        Credentials.objects.create(host=host, host_keys=server.host_key)
        made = Machine(host, Path(name))
        assert commands.read(host, ["sh", "-c", "command -v systemctl"]).strip() == f"{name}/bin/systemctl"
        yield made
        access.forget(host)


def run(job: Job) -> Job:
    getattr(tasks, job.kind).run_here(job)
    job.refresh_from_db()
    return job


# --- restart and power-off --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["reboot", "poweroff"])
def test_a_host_is_switched_through_its_systemd(machine, admin, verb):
    job = run(services.power_host(machine.host, verb, by=admin, guests="leave"))
    assert (job.status, job.error) == ("succeeded", "")
    assert machine.asked == ["--version", verb]


def test_a_systemd_that_refuses_is_quoted(machine, admin):
    machine.refuse("reboot")
    job = run(services.power_host(machine.host, "reboot", by=admin, guests="leave"))
    assert (job.status, job.error_code, job.error_details) == ("failed", "command_failed", "Access denied")


def test_its_name_must_be_typed_by_an_administrator(machine, client, admin, operator):
    url = f"/hosts/{machine.host.pk}/power/reboot/"
    client.force_login(admin)
    assert "Type <code>kvm ü1</code> to go on" in client.get(url).content.decode()
    assert client.post(url, {"guests": "leave", "confirm_name": "kvm 1"}).status_code == 422
    assert client.get(f"/hosts/{machine.host.pk}/power/halt/").status_code == 422
    assert not Job.objects.exists()
    client.force_login(operator)
    assert client.post(url, {"guests": "leave", "confirm_name": "kvm ü1"}).status_code == 404
    client.force_login(admin)
    assert client.post(url, {"guests": "leave", "confirm_name": "kvm ü1"}).status_code == 302
    assert Job.objects.get().arguments["verb"] == "reboot"
    assert machine.asked == []


def test_the_same_over_rest(machine, client, bearer):
    def post(**body: object):
        url = f"/api/v1/hosts/{machine.host.pk}/power"
        return client.post(url, json.dumps(body), content_type="application/json", **bearer)

    assert post(verb="reboot", confirm="other").status_code == 422
    assert post(verb="halt", confirm="kvm ü1").status_code == 422
    assert post(verb="reboot", confirm="kvm ü1", guests="leave").status_code == 202
    assert post(verb="reboot", confirm="kvm ü1").json()["code"] == "busy"


def test_the_machine_that_kvmweb_runs_on_is_left_alone(local_host, admin, client, db):
    with pytest.raises(WrongState, match="systemctl reboot"):
        services.power_host(local_host, "reboot", by=admin)
    over_tcp = make_host("kvm-tcp", uri="qemu+tcp://192.0.2.1/system")
    with pytest.raises(NotSupported, match="SSH"):
        services.power_host(over_tcp, "poweroff", by=admin)
    for number, uri in enumerate(("qemu:///session", "qemu+unix:///system?socket=/run/other", "test:///default")):
        with pytest.raises((WrongState, NotSupported)):
            services.power_host(make_host(f"kvm-{number}", uri=uri), "reboot", by=admin)
    client.force_login(admin)
    assert "kvmweb runs on local itself" in client.get(f"/hosts/{local_host.pk}/power/reboot/").content.decode()
    assert not Job.objects.exists()


# --- emptied ----------------------------------------------------------------------------------------------------------
def test_all_guests_are_asked_and_waited_for(admin):
    host = make_host("kvm-test", uri="test:///default")
    with connect(host.uri) as conn:  # the test driver's guests live as long as somebody is connected
        for name in ("a", "b", "c"):
            xml = f"<domain type='test'><name>{name}</name><memory>8192</memory><os><type>hvm</type></os></domain>"
            conn.call(lambda handle, xml=xml: handle.createXML(xml, 0), "start a guest")  # type: ignore[misc]
        running = conn.call(lambda handle: [d.UUIDString() for d in handle.listAllDomains(0)], "list")
        for key in running:
            refresh_guest(host, conn, key)
        job = run(services.shut_down_guests(host, by=admin, at_once=2))
        assert (job.status, job.error) == ("succeeded", "")
        assert job.result == {"guests": 4}
        assert job.children.filter(kind="shutdown_guest", status="succeeded").count() == 4
        assert conn.call(lambda handle: handle.listDomainsID(), "list") == []
        assert run(services.shut_down_guests(host, by=admin)).result == {"guests": 0}


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    with tempfile.TemporaryDirectory(prefix="kvmweb-test-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        with private_daemon(Path(name)) as running:
            yield running


def test_guests_that_do_not_listen_are_named(daemon, admin):
    host = make_host("kvm-b", uri=daemon.uri)
    with connect(host.uri) as conn:
        for name in ("deaf-1", "deaf-2"):  # firmware without a system: nobody there who could shut down
            xml = TINY.format(name=name, uuid=uuid.uuid4(), devices="")
            conn.call(lambda handle, xml=xml: handle.createXML(xml, 0), "start a guest", timeout_s=30)  # type: ignore[misc]
        for each in conn.call(lambda handle: [d.UUIDString() for d in handle.listAllDomains(0)], "list"):
            refresh_guest(host, conn, each)
        try:
            job = run(services.shut_down_guests(host, by=admin, at_once=1, patience_s=1))
            assert (job.status, job.error_code) == ("failed", "still_running")
            assert "deaf-1, deaf-2" in job.error
            first, second = job.children.order_by("pk")
            assert (second.started_at - first.started_at).total_seconds() >= 1  # one at a time
            Guest.objects.filter(host=host).exclude(name="deaf-1").delete()  # one that kvmweb has not seen yet
            stopped = run(services.shut_down_guests(host, by=admin, patience_s=1))
            assert "deaf-1, deaf-2" in stopped.error
        finally:
            for each in conn.call(lambda handle: handle.listAllDomains(0), "list"):
                conn.call(lambda _handle, each=each: each.destroy(), "destroy")  # type: ignore[misc]


def test_bad_paces_start_no_job(admin, db):
    host = make_host()
    for bad in ({"at_once": 0}, {"at_once": 10**6}, {"patience_s": 0}, {"patience_s": 10**9}):
        with pytest.raises(Invalid):
            services.shut_down_guests(host, by=admin, **bad)
    services.shut_down_guests(host, by=admin)
    with pytest.raises(Busy):
        services.enter_maintenance(host, by=admin, guests="shutdown")
    host.refresh_from_db()
    assert not host.is_in_maintenance  # all or nothing


# --- the start order --------------------------------------------------------------------------------------------------
@pytest.fixture
def boot(monkeypatch, tmp_path) -> Path:
    """Which boot the local host is in, as far as kvmweb can see."""
    path = tmp_path / "boot_id"
    path.write_text("first\n")
    monkeypatch.setattr(hosts, "BOOT_ID", path)
    return path


def test_guests_start_in_their_order_after_the_host_was_started(boot, new_domain, ready_host, conn, virsh, operator):
    last, first = (refresh_guest(ready_host, conn, new_domain(name)) for name in ("a-last", "b-first"))
    virsh("autostart", first.name)
    refresh_guest(ready_host, conn, first.uuid)
    order = [Turn(guest=first.pk), Turn(guest=last.pk, delay_s=1)]
    job = run(autostart.set_order(ready_host, order, by=operator))
    assert (job.status, job.result) == ("succeeded", {"guests": 2, "changed": 1})
    assert "Autostart:      disable" in virsh("dominfo", first.name)
    assert autostart.start_after_boot(ready_host) is None  # the host runs since before
    boot.write_text("second\n")
    started = autostart.start_after_boot(ready_host)
    assert started is not None
    assert started.created_by is None
    assert autostart.start_after_boot(ready_host) is None  # once per boot
    job = run(started)
    assert (job.status, job.error) == ("succeeded", "")
    assert [virsh("domstate", guest.name) for guest in (first, last)] == ["running", "running"]
    titles = [child.title for child in job.children.order_by("started_at")]
    assert titles == [f"Start {first.name}", f"Start {last.name}"]
    children = job.children.order_by("started_at")
    assert (children[1].started_at - children[0].finished_at).total_seconds() >= 1
    again = run(Job.start(tasks.autostart_guests, title="again", by=None, host_id=ready_host.pk))
    assert again.status == "succeeded"  # running already is no error


def test_a_guest_that_does_not_start_holds_up_no_other(boot, new_domain, ready_host, conn, virsh, operator):
    broken = new_domain(
        "broken", devices="<disk type='file'><source file='/var/tmp/kvt-none.img'/><target dev='vda'/></disk>"
    )
    guests = [refresh_guest(ready_host, conn, key) for key in (broken, new_domain("fine"))]
    run(autostart.set_order(ready_host, [Turn(guest=guest.pk) for guest in guests], by=operator))
    boot.write_text("second\n")
    job = run(autostart.start_after_boot(ready_host))
    assert (job.status, job.error_code) == ("failed", "not_started")
    assert guests[0].name in job.error
    assert guests[1].name not in job.error
    assert virsh("domstate", guests[1].name) == "running"


def test_handing_over_is_taken_back_when_it_fails(boot, new_domain, ready_host, conn, virsh, operator):
    guests = [refresh_guest(ready_host, conn, new_domain(name)) for name in ("one", "two")]
    virsh("autostart", guests[0].name)
    job = autostart.set_order(ready_host, [Turn(guest=guest.pk) for guest in guests], by=operator)
    virsh("undefine", guests[1].name)  # it vanishes before the job gets to it
    assert run(job).error_code == "guest_not_found"
    assert "Autostart:      enable" in virsh("dominfo", guests[0].name)


def test_a_host_without_an_order_is_asked_nothing(ready_host, monkeypatch):
    monkeypatch.setattr(commands, "run", lambda *_args, **_kwargs: pytest.fail("a command was run"))
    monkeypatch.setattr(hosts, "boot_of", lambda _host: pytest.fail("the boot was asked for"))
    assert autostart.start_after_boot(ready_host) is None


def test_a_boot_is_seen_over_ssh_too(machine, admin):
    guest = make_guest(machine.host, "web-01")
    job = autostart.set_order(machine.host, [Turn(guest=guest.pk)], by=admin)
    assert job.kind == "hand_over_autostart"
    AutostartEntry.objects.get(guest=guest)
    HostBoot.objects.create(host=machine.host, boot_id="the one before")
    started = autostart.start_after_boot(machine.host)
    assert started is not None
    assert HostBoot.objects.get().boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_the_page_adds_moves_and_takes_out(client, local_host, operator, viewer):
    guests = [make_guest(local_host, name) for name in ("a", "b", "c")]
    client.force_login(operator)
    url = f"/hosts/{local_host.pk}/start-order/"

    def post(**fields: object) -> list[tuple[str, int]]:
        assert client.post(url, fields).status_code == 302
        return list(AutostartEntry.objects.order_by("position").values_list("guest__name", "delay_s"))

    assert "No order yet" in client.get(url).content.decode()
    post(add="yes", guest=guests[0].pk, delay_s=0)
    assert post(add="yes", guest=guests[1].pk, delay_s=30) == [("a", 0), ("b", 30)]
    assert post(up=guests[1].pk, **{f"delay-{guests[0].pk}": 7}) == [("b", 30), ("a", 7)]
    post(save="yes", **{f"delay-{guests[0].pk}": 0})
    assert post(down=guests[1].pk) == [("a", 0), ("b", 30)]
    assert post(save="yes", **{f"delay-{guests[0].pk}": 5}) == [("a", 5), ("b", 30)]
    page = client.get(url).content.decode()
    assert "libvirt starts guests with their host all at once" in page
    Guest.objects.filter(pk=guests[0].pk).update(missing_since=guests[0].first_seen_at)
    assert post(save="yes") == [("b", 30)]  # one that is missing does not stand in the way of the others
    Guest.objects.filter(pk=guests[0].pk).update(missing_since=None)
    assert post(add="yes", guest=guests[0].pk, delay_s=1) == [("b", 30), ("a", 1)]
    assert post(remove=guests[0].pk) == [("b", 30)]
    assert client.post(url, {"up": guests[2].pk}).status_code == 422
    assert client.post(url, {"add": "yes", "guest": "x", "delay_s": -1}).status_code == 422
    client.force_login(viewer)
    assert client.get(url).status_code == 200
    assert client.post(url, {"remove": guests[1].pk}).status_code == 404


def test_the_order_over_rest_and_what_is_no_order(client, bearer, local_host):
    guest, elsewhere = make_guest(local_host, "a"), make_guest(make_host("kvm-b"), "b")
    url = f"/api/v1/hosts/{local_host.pk}/start-order"

    def put(*guests: dict[str, object]):
        return client.put(url, json.dumps({"guests": guests}), content_type="application/json", **bearer)

    assert put({"guest": guest.pk}, {"guest": guest.pk}).status_code == 422
    assert put({"guest": elsewhere.pk}).status_code == 422
    assert put({"guest": guest.pk, "delay_s": 10**6}).status_code == 422
    assert put({"guest": 2**70}).status_code == 422
    assert put({"guest": guest.pk, "delay_s": 20}).status_code == 202
    shown = client.get(url, **bearer).json()["guests"]
    assert shown == [{"guest": guest.pk, "name": "a", "delay_s": 20, "libvirt_autostart": False}]
    assert put().status_code == 202
    assert client.get(url, **bearer).json() == {"guests": []}
    unknown = make_host("kvm-tcp", uri="qemu+tcp://192.0.2.1/system")
    with pytest.raises(WrongState, match="SSH"):
        autostart.set_order(unknown, [], by=None)
