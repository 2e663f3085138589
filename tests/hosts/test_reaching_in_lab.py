"""Hosts of the lab are reached over SSH, TLS and TCP with a password; screens and serial ports of guests on them."""

import re
import secrets
import shutil
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from consoles.targets import open_target
from consoles.tickets import Ticket
from history import store
from history.series import HOST
from hosts import commands, ssh
from hosts.checks import services as check_services
from hosts.checks.tasks import examine_host
from hosts.models import Host
from hosts.reaching import access, keys, services, tasks
from hosts.reaching.address import Address
from hosts.reaching.models import Credentials
from inventory import sync
from inventory.sampling import Sampler
from tests.consoles.domains import BOOT_SECTOR, DOMAIN
from tests.lab_hosts import Lab, running_lab
from virt.errors import NotSupported, PermissionRefused

pytestmark = [pytest.mark.libvirt, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab() as made:
        yield made


@pytest.fixture
def short_var(settings) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kvt-reach-", dir="/var/tmp") as name:
        settings.VAR = Path(name)
        yield settings.VAR


def state_of(lab: Lab) -> Path:
    return Path(lab.environment["LAB_STATE"])


def added(wanted: services.Wanted, by) -> Host:
    attempt = services.try_host(wanted, by=by)
    tasks.try_host.run_here(attempt.job)
    attempt.refresh_from_db()
    attempt.job.refresh_from_db()
    assert attempt.job.status == "succeeded", attempt.steps
    return Host.objects.get(pk=attempt.job.result["host_id"])


def stop_of(wanted: services.Wanted, by) -> dict[str, str]:
    """The step at which an attempt ends."""
    attempt = services.try_host(wanted, by=by)
    tasks.try_host.run_here(attempt.job)
    attempt.refresh_from_db()
    return next(step for step in attempt.steps if step["verdict"] in ("failed", "asked"))


@pytest.fixture
def over_ssh(lab, admin, short_var) -> Iterator[Host]:
    """The host of the lab, added over SSH."""
    (state_of(lab) / "ssh" / "authorized_keys").write_text(ssh.public_key())
    address = Address.checked(transport="ssh", hostname=f"{lab.net}.14", user="root")
    key = (state_of(lab) / "h1" / "ssh_host_key.pub").read_text()
    host = added(services.Wanted(address=address, host_key=keys.fingerprint(key)), admin)
    yield host
    access.forget(host)


def test_over_tls_with_certificates(lab, admin, short_var):
    pki = state_of(lab) / "pki"
    given = {
        "tls_ca": (pki / "ca.pem").read_text(),
        "tls_certificate": (pki / "client" / "clientcert.pem").read_text(),
        "tls_key": (pki / "client" / "clientkey.pem").read_text(),
    }
    address = Address.checked(transport="tls", hostname=f"{lab.net}.14")
    host = added(services.Wanted(address=address, **given), admin)
    assert "PRIVATE" not in Credentials.objects.get(host=host).sealed_tls_key
    with host.connect() as conn:
        assert conn.call(lambda handle: handle.getHostname(), "ask its name") == "kvm1"
    with pytest.raises(NotSupported, match="only over SSH"):
        commands.run(host, ["true"])
    Host.objects.all().delete()

    stranger = given | {"tls_ca": (ROOT / "tests/hosts/data/other-ca.pem").read_text()}
    step = stop_of(services.Wanted(address=address, **stranger), admin)
    assert (step["key"], step["code"]) == ("certificates", "host_certificate_refused")


def test_over_tcp_with_a_password(lab, admin, short_var):
    address = Address.checked(transport="tcp", hostname=f"{lab.net}.14")
    attempt = services.try_host(services.Wanted(address=address), by=admin, saves=False)
    tasks.try_host.run_here(attempt.job)
    attempt.refresh_from_db()
    warned = {step["key"]: step["verdict"] for step in attempt.steps}
    assert warned["libvirt"] == "warning"  # it asks nobody for a password
    assert not Host.objects.exists()

    with_sasl(lab, password="right horse")
    try:
        step = stop_of(services.Wanted(address=address, username="kvmweb", password="wrong"), admin)
        assert (step["key"], step["code"]) == ("permission", "host_password_refused")
        assert stop_of(services.Wanted(address=address), admin)["code"] == "host_password_refused"
        host = added(services.Wanted(address=address, username="kvmweb", password="right horse"), admin)
        assert "right" not in Credentials.objects.get(host=host).sealed_password
        with host.connect() as conn:
            assert conn.call(lambda handle: handle.getHostname(), "ask its name") == "kvm1"
        credentials = Credentials.objects.get(host=host)
        credentials.password = "stale"
        credentials.save()
        with pytest.raises(PermissionRefused):
            host.open()
    finally:
        without_sasl(lab)


def with_sasl(lab: Lab, password: str) -> None:
    """Let libvirtd of the host ask for a password. DIGEST-MD5 is the only one that encrypts without TLS."""
    directory = state_of(lab) / "sasl"
    directory.mkdir()
    (directory / "libvirt.conf").write_text(f"mech_list: digest-md5\nsasldb_path: {directory}/db\n")
    write = (
        f"import sys, pathlib; sys.path.insert(0, {str(ROOT)!r}); from tests.hosts.sasl import write_password; "
        f"write_password(pathlib.Path({str(directory / 'db')!r}), 'kvmweb', {password!r})"
    )
    lab.run("exec", "1", sys.executable, "-c", write)
    restart(lab, "sed -i s/none/sasl/ /etc/libvirt/libvirtd.conf", f"SASL_CONF_PATH={directory} ")


def without_sasl(lab: Lab) -> None:
    restart(lab, 'sed -i \'s/= "sasl"/= "none"/\' /etc/libvirt/libvirtd.conf', "")


def restart(lab: Lab, change: str, environment: str) -> None:
    gone = "kill $(cat /run/libvirtd.pid); while [ -e /run/libvirtd.pid ]; do sleep 0.05; done"
    lab.run("exec", "1", "sh", "-c", f"{change}; {gone}; {environment}libvirtd -d --listen")


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kvmweb-test-reach-", dir="/var/tmp") as name:
        (Path(name) / "boot.img").write_bytes(BOOT_SECTOR)
        yield Path(name)


@pytest.mark.parametrize("listen", ["<listen type='socket'/>", "<listen type='address' address='127.0.0.1'/>"])
def test_the_screen_and_the_serial_port_of_a_guest_elsewhere(lab, over_ssh, place, listen):
    domain = str(uuid.uuid4())
    name = f"kvt-reach-{secrets.token_hex(3)}"
    xml = DOMAIN.format(name=name, uuid=domain, directory=place).replace("<listen type='none'/>", listen)
    if "address" in listen:
        xml = xml.replace("type='vnc'>", "type='vnc' port='-1' autoport='yes'>")
    (place / "guest.xml").write_text(xml)
    lab.virsh(1, "define", str(place / "guest.xml"))
    try:
        lab.virsh(1, "start", name)
        with open_target(ticket(over_ssh, domain, "vnc")) as screen:
            screen.settimeout(10)
            assert screen.recv(12) == b"RFB 003.008\n"
            screen.sendall(b"RFB 003.008\n")
            assert screen.recv(2) == b"\x01\x01"  # one way to log in: none
        with open_target(ticket(over_ssh, domain, "serial")) as serial:
            assert echoed(serial, b"hello\r") == b"hello\r"
        assert list((ssh.directory()).glob("f*")) == []
    finally:
        lab.run("exec", "1", "virsh", "-q", "destroy", name, check=False)
        lab.virsh(1, "undefine", name)


def test_a_display_that_listens_nowhere_says_what_to_change(lab, over_ssh, place):
    domain, name = str(uuid.uuid4()), f"kvt-reach-{secrets.token_hex(3)}"
    (place / "guest.xml").write_text(DOMAIN.format(name=name, uuid=domain, directory=place))
    lab.virsh(1, "create", str(place / "guest.xml"))
    try:
        with pytest.raises(NotSupported, match="listens nowhere"):
            open_target(ticket(over_ssh, domain, "vnc"))
    finally:
        lab.virsh(1, "destroy", name)


def test_commands_of_a_host_elsewhere(over_ssh):
    assert commands.read(over_ssh, ["hostname"]).strip() == "kvm1"
    done = commands.run(over_ssh, ["sh", "-c", "cat; echo oops >&2; exit 3"], stdin="x" * 100_000)
    assert (done.code, len(done.stdout), done.stderr.strip()) == (3, 100_000, "oops")
    with pytest.raises(commands.CommandFailed):
        commands.read(over_ssh, ["false"])


@pytest.mark.parametrize(("off_s", "words"), [(86400, "24 h ahead"), (-86400, "24 h behind")])
def test_a_host_whose_clock_is_a_day_off(lab, over_ssh, place, admin, client, off_s, words):
    """It is told so; every time that is kept or shown is kvmweb's own."""
    client.force_login(admin)
    Host.objects.filter(pk=over_ssh.pk).update(state="connected")
    with another_clock(lab, place, off_s):
        job = check_services.examine_host(over_ssh, by=admin)
        examine_host.run_here(job)
        with over_ssh.connect() as conn:
            sync.everything(over_ssh, conn)
            Sampler(over_ssh).take(conn)
        ahead_s = float(over_ssh.report.readings["clock_ahead_s"][0])
        assert abs(ahead_s - off_s) < 60

        now = timezone.now()
        row = Host.objects.get(pk=over_ssh.pk)
        for when in (row.seen_at, row.sampled_at, over_ssh.report.readings_at):
            assert when
            assert timedelta(0) <= now - when < timedelta(minutes=10)
        assert row.is_stale is False
        assert abs((store.last_written(HOST, row.pk) or 0) - now.timestamp()) < 600
        assert row.memory_used_mib

        for address in ("", "graphs/", "checks/"):
            page = client.get(f"{row.get_absolute_url()}{address}")
            assert page.status_code == 200  # nobody is logged out by it
            assert not re.search(r">\s*-\d", page.text)
        assert words in page.text
        assert "Times on these pages are kvmweb’s own." in page.text.replace("&#x27;", "’")
        assert "1 d ago" not in client.get("/hosts/").text


@contextmanager
def another_clock(lab: Lab, place: Path, off_s: int) -> Iterator[None]:
    """Have the host of the lab tell a time that is off by so much. The clock itself is this machine's."""
    programs = {
        "date": f"#!/bin/sh\necho $(( $({place}/real-date +%s) + {off_s} )).5\n",
        "apt": "#!/bin/sh\n",  # the real one takes seconds
    }
    shutil.copy(shutil.which("date"), place / "real-date")
    for name, text in programs.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
        lab.run("exec", "1", "mount", "--bind", str(place / name), shutil.which(name))
    try:
        yield
    finally:
        for name in programs:
            lab.run("exec", "1", "umount", shutil.which(name))


def echoed(serial: socket.socket, text: bytes) -> bytes:
    """What comes back of `text`, sent again until the guest's boot sector runs."""
    serial.settimeout(0.5)
    end = time.monotonic() + 30
    answer = b""
    while time.monotonic() < end:
        serial.sendall(text)
        with suppress(TimeoutError):
            while text not in answer:  # what was sent before the boot sector ran may come back in part
                answer += serial.recv(100)
            return text
    raise AssertionError(f"only {answer!r} came back")


def ticket(host: Host, domain: str, kind) -> Ticket:
    return Ticket(
        user_id=1, remote_address="", session="", token_id=None, guest_id=1, host_uri=host.uri, domain_uuid=domain,
        kind=kind, view_only=False,
    )  # fmt: skip
