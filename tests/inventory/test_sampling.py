"""A sampler on a real guest: rows, history, and QEMU asked only as often as it costs little."""

import uuid
from pathlib import Path

import pytest

from guests.models import Guest
from history import store
from history.series import GUEST, HOST, POOL
from hosts import commands
from hosts.models import Host
from hosts.strain import AFTER_FAILURE_S, Strains, files_below, files_over_ssh
from inventory import sampling
from inventory.sampling import Sampler
from storage.models import Pool
from tests.guests.conftest import conn, directory, kvt, new_domain
from tests.inventory.conftest import wait_for
from virt import power, stats

__all__ = ["conn", "directory", "kvt", "new_domain"]
DISK = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/><target dev='vda'/></disk>"


@pytest.fixture(autouse=True)
def _own_history(settings, tmp_path):
    settings.VAR = tmp_path


@pytest.fixture
def host(db) -> Host:
    return Host.objects.create(name="kvt-local", uri="qemu:///system", state="connected")


@pytest.mark.libvirt
def test_a_running_guest_is_sampled_into_its_row_and_its_history(conn, kvt, new_domain, directory, host, monkeypatch):
    monkeypatch.setattr(sampling, "ASKING_SHARE", 1.0)  # QEMU is asked each time, however busy this machine is
    image = directory / "a.img"
    image.write_bytes(b"\0" * 2**20)
    key = new_domain(devices=DISK.format(image))
    guest = Guest.objects.create(host=host, uuid=key, name=f"{kvt}-guest", state="running", memory_mib=32)
    pool = Pool.objects.create(
        host=host, uuid=uuid.uuid4(), name="kvt", type="dir", is_active=True, capacity_bytes=100, available_bytes=30
    )
    power.start(conn, key)
    sampler = Sampler(host)

    def sampled() -> Guest | None:
        sampler.take(conn)
        guest.refresh_from_db()
        return guest if guest.disk_read_bytes_per_s is not None else None

    assert wait_for(sampled, 30, every_s=1.1)
    assert guest.cpu_percent is not None
    assert guest.memory_held_mib
    assert len(guest.cpu_recent) == 30
    host.refresh_from_db()
    assert host.load is not None
    assert 0 <= host.cpu_percent <= 100
    for kind, row in ((GUEST, guest), (HOST, host), (POOL, pool)):
        assert store.last_written(kind, row.pk), kind.name
    assert stats.domain_stats(conn, uuids=[key], ask_qemu=False)[0].blocks == ()


def test_a_slow_host_is_asked_less_often(monkeypatch, host):
    sampler = Sampler(host)
    assert sampler.pause_s == sampling.SAMPLE_EVERY_S
    sampler._took_s = 1.0
    assert sampler.pause_s == 9.0
    sampler._took_s = 4.0
    assert sampler.pause_s == 20.0
    sampler._took_s = 100.0
    assert sampler.pause_s == sampling.LONGEST_PAUSE_S


def test_qemus_that_take_long_are_asked_less_often(monkeypatch, host):
    asked, clock = [], [1000.0]
    monkeypatch.setattr("inventory.sampling.time.monotonic", lambda: clock[0])

    def domain_stats(_conn, *, ask_qemu):
        asked.append(ask_qemu)
        clock[0] += 0.6 if ask_qemu else 0.01
        return []

    monkeypatch.setattr("inventory.sampling.virt_stats.domain_stats", domain_stats)
    sampler = Sampler(host)
    for _ in range(7):
        sampler._take_guests(None)
        clock[0] += 10
    assert asked == [True, False, False, True, False, False, True]


def test_pressure_is_the_time_that_was_waited_between_two_readings(tmp_path: Path, monkeypatch):
    clock = [50.0]
    monkeypatch.setattr("hosts.strain.time.monotonic", lambda: clock[0])
    (tmp_path / "pressure").mkdir()
    (tmp_path / "loadavg").write_text("1.25 0.50 0.10 1/200 12345\n")

    def write(some_us: int, full_us: int) -> None:
        lines = f"some avg10=0 avg60=0 avg300=0 total={some_us}\nfull avg10=0 avg60=0 avg300=0 total={full_us}\n"
        (tmp_path / "pressure" / "io").write_text(lines)

    strains = Strains(lambda: files_below(tmp_path))
    write(1_000_000, 0)
    first = strains.read()
    assert (first.load, dict(first.some)) == (1.25, {})
    clock[0] += 10
    write(3_000_000, 500_000)
    second = strains.read()
    assert (dict(second.some), dict(second.full)) == ({"io": 20.0}, {"io": 5.0})  # no cpu, no memory: not counted here
    clock[0] += 10
    write(0, 0)  # the machine was started anew
    assert dict(strains.read().some) == {}


def test_a_kernel_without_any_of_it_is_no_error(tmp_path: Path):
    strain = Strains(lambda: files_below(tmp_path)).read()
    assert (strain.load, dict(strain.some), dict(strain.full)) == (None, {}, {})


def test_another_machine_is_read_in_one_command_and_less_often(monkeypatch):
    here = commands.run_here
    calls = []

    def run(_host, argv, *, timeout_s):
        calls.append(argv)
        return here(argv, timeout_s=timeout_s)

    monkeypatch.setattr(commands, "run", run)
    files = files_over_ssh(Host(uri="qemu+ssh://root@elsewhere/system"))
    assert len(files["loadavg"].split()) == 5
    clock = [100.0]
    monkeypatch.setattr("hosts.strain.time.monotonic", lambda: clock[0])
    strains = Strains(lambda: files_over_ssh(Host()), every_s=55.0)
    first = strains.read()
    clock[0] += 10
    assert strains.read() is first
    assert len(calls) == 2
    clock[0] += 50
    strains.read()
    assert len(calls) == 3


def test_a_machine_that_refuses_commands_is_left_alone_for_a_while(monkeypatch):
    clock, tried = [100.0], []
    monkeypatch.setattr("hosts.strain.time.monotonic", lambda: clock[0])

    def refused():
        tried.append(clock[0])
        raise commands.CommandFailed("no")

    strains = Strains(refused, every_s=55.0)
    assert strains.read() is None
    clock[0] += AFTER_FAILURE_S - 1
    assert strains.read() is None
    clock[0] += 2
    assert strains.read() is None
    assert len(tried) == 2
