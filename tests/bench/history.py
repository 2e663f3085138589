"""History: what a round of samples of 1,000 guests costs, what a graph costs to read, what a year takes on disk."""

import contextlib
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import libvirt

from .table import Row, at_most, median_ms

GUESTS = 1_000
REAL = 6  # guests that really run, for what libvirt takes
ROUND_S = 10
PREFIX = "kvt-bench-history"
XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices/></domain>"""


def main() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="kvmweb-bench-") as var:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "KVMWEB_VAR": var}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        with _guests():
            return [*_writing(), *_reading()]


def _writing() -> list[Row]:
    from guests.models import Guest
    from guests.rates import rates
    from guests.samples import apply_stats
    from history import store
    from hosts.models import Host
    from virt import stats
    from virt.connection import connect

    host = Host.objects.create(name="kvm-01", uri="test:///1", state="connected")
    keys = [uuid.UUID(int=n + 1) for n in range(GUESTS)]
    Guest.objects.bulk_create(
        Guest(host=host, uuid=key, name=f"guest-{n:04}", state="running", memory_mib=64, vcpus=1)
        for n, key in enumerate(keys)
    )
    with connect("qemu:///system") as conn:
        flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE

        def bare() -> Any:
            return conn.call(lambda handle: handle.getAllDomainStats(0, flags), "ask")

        running = len(bare())
        bare_wall_ms = median_ms(bare) / running
        bare_cpu_ms = _cpu_ms(bare, 30) / running
        found = bare()
        ours = [stats._sample(domain, answer, time.monotonic()) for domain, answer in found]

    moment = time.time()
    previous: dict[uuid.UUID, Any] = {}

    def round_of_samples() -> None:
        """As inventory.sampling makes it, from 1,000 answers of libvirt, each ten seconds after the last."""
        nonlocal moment, previous
        moment += ROUND_S
        seconds = time.monotonic() + (moment - time.time())
        for n in range(GUESTS):  # what libvirt answered is turned into samples anew for each
            domain, answer = found[n % len(found)]
            stats._sample(domain, answer, seconds)
        taken = {
            key: replace(ours[n % len(ours)], uuid=str(key), sampled_at=seconds, asked_at=seconds)
            for n, key in enumerate(keys)
        }
        apply_stats(host, {key: (sample, rates(sample, previous.get(key))) for key, sample in taken.items()})
        previous = taken

    with _clock(lambda: moment):
        rounds = 0
        while sum(store.sizes().values()) < GUESTS:  # files are made a few at a time
            round_of_samples()
            rounds += 1
        ours_ms = _cpu_ms(round_of_samples, 10)
    share = (ours_ms + bare_cpu_ms * GUESTS) / (ROUND_S * 1000) * 100
    return [
        Row(what="bare getAllDomainStats, a running guest, wall", figure=f"{bare_wall_ms:.2f} ms"),
        Row(what="kvmweb's part of a sample: rates, row, history, CPU", figure=f"{ours_ms / GUESTS:.2f} ms"),
        Row(what="kvmweb's part against the bare call", figure=f"{ours_ms / GUESTS / bare_wall_ms:.2f} x"),
        at_most("CPU of a round of 1,000 running guests every 10 s", share, 5, "%"),
        Row(what="rounds until 1,000 new guests have their file", figure=str(rounds)),
    ]


def _reading() -> list[Row]:
    from django.test import Client

    from accounts.models import User
    from guests.models import Guest
    from history import store
    from history.series import DAY, GUEST, HOST

    guest = Guest.objects.order_by("pk")[0]
    now = int(time.time())
    store.path_of(GUEST, guest.pk).unlink()
    store.record(GUEST, {guest.pk: (50.0,) * len(GUEST.series)}, now - 8 * DAY)
    for day in range(8, 0, -1):
        times = range(now - day * DAY + 60, now - (day - 1) * DAY, 60)
        lines = (f"{at}:" + ":".join([str(at % 100)] * len(GUEST.series)) for at in times)
        store._rrdtool().update(str(store.path_of(GUEST, guest.pk)), *lines)
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="only for the bench"))
    week = median_ms(lambda: _get(client, f"/api/v1/guests/{guest.pk}/history?range=week"))
    year = median_ms(lambda: _get(client, f"/api/v1/guests/{guest.pk}/history?range=year"))
    page = median_ms(lambda: _get(client, f"/guests/{guest.pk}/graphs/?range=week"))
    each = store.path_of(GUEST, guest.pk).stat().st_size
    return [
        at_most("a week of a guest over REST, all 12 series", week, 50, "ms"),
        at_most("the page with its graphs of a week", page, 50, "ms"),
        Row(what="a year of a guest over REST", figure=f"{year:.1f} ms"),
        Row(what="a year of a guest on disk, fixed", figure=f"{each / 1024:.0f} KiB"),
        Row(what="a year of 1,000 guests on disk, fixed", figure=f"{each * 1000 / 2**20:.0f} MiB"),
        Row(what="a year of a host on disk, fixed", figure=f"{store.bytes_each(HOST) / 1024:.0f} KiB"),
    ]


def _get(client: Any, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200, response.status_code


def _cpu_ms(action: Callable[[], object], runs: int) -> float:
    """Processor time of this process, in the mean."""
    action()
    begin = time.process_time()
    for _ in range(runs):
        action()
    return (time.process_time() - begin) * 1000 / runs


@contextlib.contextmanager
def _clock(now: Callable[[], float]) -> Iterator[None]:
    """Rounds follow each other at once; their samples are ten seconds apart."""
    from datetime import UTC, datetime
    from unittest import mock

    with mock.patch("guests.samples.timezone.now", side_effect=lambda: datetime.fromtimestamp(now(), UTC)):
        yield


@contextlib.contextmanager
def _guests() -> Iterator[None]:
    """A few that run; they have neither disk nor system."""
    names = [f"{PREFIX}-{n}" for n in range(REAL)]
    with contextlib.ExitStack() as stack:
        for name in names:
            xml = XML.format(name=name).encode()
            subprocess.run(["virsh", "-q", "create", "--paused", "/dev/stdin"], input=xml, check=True)
            stack.callback(subprocess.run, ["virsh", "-q", "destroy", name], check=False, capture_output=True)
        yield
