"""A host is added step by step, and each step that fails says why and what to do. Real SSH, real libvirt, no lab."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from guests.models import Guest
from hosts import commands, secrets, ssh
from hosts.inventory import refresh_facts
from hosts.models import Host
from hosts.reaching import access, keys, services
from hosts.reaching.address import Address
from hosts.reaching.models import Attempt, Credentials
from jobs.models import Job
from tests.hosts.sshd import SshServer, ssh_server
from tests.virt.daemon import private_daemon
from virt.errors import HostKeyRefused, HostTimeout, HostUnreachable, Invalid, PermissionRefused

UUID = "7e57aaaa-0000-4000-8000-000000000001"


@pytest.fixture
def short_var(settings) -> Iterator[Path]:
    """A directory for our keys whose name leaves room for sockets."""
    with tempfile.TemporaryDirectory(prefix="kvt-reach-", dir="/var/tmp") as name:
        settings.VAR = Path(name)
        yield settings.VAR


@pytest.fixture
def server(short_var) -> Iterator[SshServer]:
    with tempfile.TemporaryDirectory(prefix="kvt-sshd-", dir="/var/tmp") as name, ssh_server(Path(name)) as running:
        yield running
        for config in short_var.glob("ssh/*/config"):
            client = ssh.SshClient(address=address_of(running), home=config.parent)
            ssh.hang_up(client)


def address_of(server: SshServer) -> Address:
    return Address.checked(transport="ssh", hostname="127.0.0.1", port=server.port, user="root")


def run(attempt: Attempt) -> Attempt:
    """Let the attempt's job run here."""
    from hosts.reaching import tasks

    tasks.try_host.run_here(attempt.job)
    attempt.refresh_from_db()
    attempt.job.refresh_from_db()
    return attempt


def verdicts(attempt: Attempt) -> dict[str, str]:
    return {step["key"]: step["verdict"] for step in attempt.steps}


def stopped(attempt: Attempt) -> dict[str, str]:
    """The step that did not go well."""
    return next(step for step in attempt.steps if step["verdict"] in ("failed", "asked"))


@pytest.mark.libvirt
def test_a_host_is_added_over_ssh(admin, server):
    attempt = run(services.try_host(services.Wanted(address=address_of(server), tags=("rack 4",)), by=admin))
    step = stopped(attempt)
    assert (step["key"], step["verdict"], step["code"]) == ("host_key", "asked", "host_key_unconfirmed")
    assert keys.fingerprint(server.host_key) in step["found"]
    assert attempt.job.error_code == "host_key_unconfirmed"
    assert not Host.objects.exists()

    shown = [key["fingerprint"] for key in keys.described(attempt.offered_keys)]
    attempt = run(services.try_again(attempt, by=admin, host_keys=shown))
    step = stopped(attempt)
    assert (step["key"], step["code"]) == ("login", "host_login_refused")
    assert ssh.public_key() in step["command"]

    server.authorize(ssh.public_key())
    attempt = run(services.try_again(attempt, by=admin))
    assert set(verdicts(attempt).values()) == {"passed"}
    assert attempt.job.status == Job.Status.SUCCEEDED
    host = Host.objects.get()
    assert (host.pk, host.uri) == (attempt.job.result["host_id"], f"qemu+ssh://root@127.0.0.1:{server.port}/system")
    assert [tag.name for tag in host.tags.all()] == ["rack 4"]
    with host.connect() as conn:
        assert conn.call(lambda handle: handle.getType(), "ask its kind") == "QEMU"
    assert commands.run(host, ["printf", "%s|", "a b", "$HOME;'"]).stdout == "a b|$HOME;'|"
    with pytest.raises(HostTimeout):
        commands.run(host, ["sleep", "30"], timeout_s=0.5)
    access.forget(host)


@pytest.mark.libvirt
def test_a_changed_host_key_is_refused_until_somebody_accepts_it(admin, server):
    server.authorize(ssh.public_key())
    before = server.host_key
    host = Host.objects.create(name="kvm1", uri=address_of(server).uri)
    Credentials.objects.create(host=host, host_keys=before)
    host.open().close()
    access.forget(host)
    server.stop()
    server.new_host_key()
    server.start()
    with pytest.raises(HostKeyRefused, match="another SSH key"):
        host.open()
    with pytest.raises(HostKeyRefused):
        commands.run(host, ["true"])

    attempt = run(services.try_host(services.Wanted(address=address_of(server)), by=admin, host=host))
    step = stopped(attempt)
    assert (step["verdict"], step["code"]) == ("asked", "host_key_changed")
    assert keys.fingerprint(before) in step["found"]
    assert keys.fingerprint(server.host_key) in step["found"]
    with pytest.raises(HostKeyRefused):
        host.open()

    run(services.try_again(attempt, by=admin, host_keys=[keys.fingerprint(server.host_key)]))
    assert Credentials.objects.get(host=host).host_keys == server.host_key
    host.open().close()
    access.forget(host)


def test_rest_may_say_the_fingerprint_beforehand(admin, server):
    wanted = services.Wanted(address=address_of(server), host_key=keys.fingerprint(server.host_key))
    assert stopped(run(services.try_host(wanted, by=admin)))["key"] == "login"
    wanted = services.Wanted(address=address_of(server), host_key="SHA256:" + "A" * 43)
    assert stopped(run(services.try_host(wanted, by=admin)))["code"] == "host_key_unconfirmed"


@pytest.mark.parametrize("transport", ["ssh", "tcp", "tls"])
def test_a_port_that_is_closed(admin, short_var, transport):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = Address.checked(transport=transport, hostname="127.0.0.1", port=port)
    attempt = run(services.try_host(services.Wanted(address=address), by=admin))
    assert (stopped(attempt)["key"], stopped(attempt)["code"]) == ("connect", "host_port_closed")
    assert verdicts(attempt)["identity"] == "waiting"


@pytest.mark.parametrize(("transport", "step"), [("ssh", "connect"), ("tcp", "libvirt"), ("tls", "certificates")])
def test_a_port_that_accepts_and_never_answers(admin, short_var, monkeypatch, transport, step):
    monkeypatch.setattr("hosts.reaching.probes.ANSWER_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address.checked(transport=transport, hostname="127.0.0.1", port=silent.getsockname()[1])
        given = certificates() if transport == "tls" else {}
        attempt = run(services.try_host(services.Wanted(address=address, **given), by=admin))
    assert (stopped(attempt)["key"], stopped(attempt)["code"]) == (step, "host_silent")


def certificates() -> dict[str, str]:
    """A CA, a client certificate and its key, which nobody else trusts."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kvt")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=36500))
    pem = made.sign(key, None).public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"tls_ca": pem, "tls_certificate": pem, "tls_key": private}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tls_key": ""}, "tls_certificate"),
        ({"tls_ca": "nonsense"}, "tls_ca"),
        ({"tls_key": "nonsense"}, "tls_key"),
        ({"tls_key": certificates()["tls_key"]}, "tls_key"),
    ],
)
def test_certificates_that_do_not_fit_together(admin, short_var, change, field):
    address = Address.checked(transport="tls", hostname="192.0.2.1")
    with pytest.raises(Invalid) as error:
        services.try_host(services.Wanted(address=address, **(certificates() | change)), by=admin)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ({"transport": "ssh", "hostname": " KVM1.Example. "}, "qemu+ssh://root@kvm1.example/system"),
        (
            {"transport": "ssh", "hostname": "fd00::1", "port": 2222, "user": "ops", "scope": "session"},
            "qemu+ssh://ops@[fd00::1]:2222/session",
        ),
        ({"transport": "ssh", "hostname": "a", "port": 22, "socket": "/s/v"}, "qemu+ssh://root@a/system?socket=/s/v"),
        ({"transport": "tls", "hostname": "a", "port": 16514, "user": "x"}, "qemu+tls://a/system"),
        ({"transport": "tcp", "hostname": "a", "port": 1, "scope": "session"}, "qemu+tcp://a:1/system"),
        ({"transport": "local"}, "qemu:///system"),
        ({"transport": "local", "scope": "session"}, "qemu:///session"),
        ({"transport": "local", "socket": "/s/v"}, "qemu+unix:///system?socket=/s/v"),
        ({"transport": "test"}, "test:///default"),
        ({"transport": "test", "definition": "/srv/big.xml"}, "test:///srv/big.xml"),
    ],
)
def test_an_address_has_one_spelling(given, uri):
    address = Address.checked(**given)
    assert address.uri == uri
    assert Address.parse(uri) == address


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"hostname": ""}, "hostname"),
        ({"hostname": "-oProxyCommand=x"}, "hostname"),
        ({"hostname": "a b"}, "hostname"),
        ({"hostname": "a/b"}, "hostname"),
        ({"hostname": "a", "port": 65536}, "port"),
        ({"hostname": "a", "port": -1}, "port"),
        ({"hostname": "a", "user": "x y"}, "user"),
        ({"hostname": "a", "user": "-l"}, "user"),
        ({"hostname": "a", "socket": "run/x"}, "socket"),
        ({"hostname": "a", "socket": "/run/../etc"}, "socket"),
        ({"hostname": "a", "socket": "/run/x&command=/bin/sh"}, "socket"),
    ],
)
def test_addresses_that_are_none(given, field):
    with pytest.raises(Invalid) as error:
        Address.checked(transport="ssh", **given)
    assert error.value.field == field


def test_secrets_are_sealed_and_a_lost_key_is_told(short_var):
    sealed = secrets.seal("right horse")
    assert "right" not in sealed
    assert secrets.unseal(sealed) == "right horse"
    assert secrets.key_file().stat().st_mode & 0o777 == 0o600
    assert ssh.key_file().stat().st_mode & 0o777 == 0o600
    secrets.key_file().unlink()
    with pytest.raises(secrets.SecretLost, match="Put the old one back"):
        secrets.unseal(sealed)


@pytest.mark.parametrize(("transport", "code"), [("ssh", "host_not_ssh"), ("tcp", "host_not_libvirt")])
def test_another_service_on_the_port(admin, short_var, transport, code):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            for _turn in range(2):
                conn, _address = other.accept()
                conn.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" + b"x" * 64)
                conn.close()

        threading.Thread(target=serve, daemon=True).start()
        address = Address.checked(transport=transport, hostname="127.0.0.1", port=other.getsockname()[1])
        attempt = run(services.try_host(services.Wanted(address=address), by=admin))
    assert stopped(attempt)["code"] == code


def test_a_name_that_nobody_knows(admin, short_var):
    address = Address.checked(transport="ssh", hostname="kvt-reach.invalid")
    attempt = run(services.try_host(services.Wanted(address=address), by=admin))
    assert (stopped(attempt)["key"], stopped(attempt)["code"]) == ("resolve", "host_not_resolved")


@pytest.mark.libvirt
def test_the_same_machine_under_two_addresses(admin, server):
    server.authorize(ssh.public_key())
    local = run(services.try_host(services.Wanted(address=Address.checked(transport="local")), by=admin))
    name = local.job.result["host"]
    wanted = services.Wanted(address=address_of(server), host_key=keys.fingerprint(server.host_key))
    attempt = run(services.try_host(wanted, by=admin))
    assert stopped(attempt)["code"] == "host_added_already"
    assert name in stopped(attempt)["found"]

    Host.objects.update(facts={"hostname": "another"})  # two boards with one UUID
    attempt = run(services.try_again(attempt, by=admin))
    assert (stopped(attempt)["verdict"], stopped(attempt)["code"]) == ("asked", "host_uuid_taken")
    attempt = run(services.try_again(attempt, by=admin, allows_twin=True))
    assert verdicts(attempt)["identity"] == "warning"
    assert Host.objects.count() == 2
    access.forget(Host.objects.get(uri=wanted.address.uri))


@pytest.mark.libvirt
def test_another_machine_at_the_address_of_a_host(admin, short_var):
    """Its guests must not be taken for those of the host, until somebody says so."""
    host = Host.objects.create(name="kvm1", uri="qemu:///system", uuid=UUID, state="connected")
    with host.connect() as conn, pytest.raises(HostUnreachable, match="Another machine answers"):
        refresh_facts(host, conn)
    attempt = run(services.try_host(services.Wanted(address=Address.parse(host.uri)), by=admin, host=host))
    assert (stopped(attempt)["verdict"], stopped(attempt)["code"]) == ("asked", "host_is_another")
    run(services.try_again(attempt, by=admin, allows_twin=True))
    host.refresh_from_db()
    assert str(host.uuid) != UUID
    with host.connect() as conn:
        assert not refresh_facts(host, conn)


@pytest.mark.libvirt
def test_the_session_daemon_of_a_user_beside_the_system(admin, short_var):
    """Both are on one machine and have its UUID; their guests have nothing to do with each other."""
    system = run(services.try_host(services.Wanted(address=Address.checked(transport="local")), by=admin))
    with tempfile.TemporaryDirectory(prefix="kvt-session-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        with private_daemon(Path(name)) as daemon:
            address = Address.checked(transport="local", scope="session", socket=str(daemon.socket))
            attempt = run(services.try_host(services.Wanted(address=address, name="of nobody"), by=admin))
            assert attempt.job.status == Job.Status.SUCCEEDED, attempt.steps
            host = Host.objects.get(name="of nobody")
            assert host.pk != system.job.result["host_id"]
            with host.connect() as conn:
                assert conn.call(lambda handle: handle.listAllDomains(), "list its guests") == []
        address = Address.checked(transport="local", socket=f"{name}/none")
        assert stopped(run(services.try_host(services.Wanted(address=address), by=admin)))["code"] == "libvirt_stopped"


def test_a_removed_host_stays_as_a_memory_and_can_be_added_again(admin, short_var):
    added = run(services.try_host(services.Wanted(address=Address.checked(transport="test")), by=admin))
    host = Host.objects.get(pk=added.job.result["host_id"])
    guest = Guest.objects.create(host=host, uuid=UUID, name="web-01", state="running")
    from hosts.reaching import tasks

    host.refresh_from_db()
    tasks.remove_host.run_here(services.remove_host(host, by=admin))
    host.refresh_from_db()
    guest.refresh_from_db()
    assert (host.state, host.removed_at is None, guest.missing_since is None) == ("disabled", False, False)
    assert not Credentials.objects.exists()
    assert not Host.objects.present().exists()

    again = run(services.try_host(services.Wanted(address=Address.checked(transport="test")), by=admin))
    assert again.job.result["host_id"] == host.pk
    host.refresh_from_db()
    assert (host.state, host.removed_at) == ("connecting", None)


def test_ssh_that_gets_nowhere_says_why(server, db):
    host = Host.objects.create(name="kvm1", uri=address_of(server).uri)
    Credentials.objects.create(host=host, host_keys=server.host_key)
    with pytest.raises(PermissionRefused, match="refuses kvmweb's SSH key"):
        commands.run(host, ["true"])
    server.stop()
    with pytest.raises(HostUnreachable, match="no SSH server listens there"):
        commands.run(host, ["true"])


@pytest.mark.libvirt
def test_a_machine_whose_uuid_libvirt_makes_up_stays_the_same_host(local_host):
    """Without SMBIOS libvirt has another UUID after each restart."""
    with local_host.connect() as conn:
        assert refresh_facts(local_host, conn)
        told = local_host.uuid
        Host.objects.filter(pk=local_host.pk).update(uuid=UUID)
        local_host.refresh_from_db()
        assert refresh_facts(local_host, conn)
    assert local_host.uuid == told
