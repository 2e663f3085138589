"""Samples of guests become figures in their rows and lines in their history."""

import uuid
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from guests.models import Guest
from guests.rates import Rates, rates
from guests.samples import apply_stats
from history import recent, store
from history.series import GUEST
from hosts.models import Host
from virt.types import BlockStats, DomainStats, NetStats

pytestmark = pytest.mark.django_db
KEY = uuid.uuid4()
FIRST = DomainStats(
    uuid=str(KEY),
    name="a",
    state="running",
    reason="booted",
    sampled_at=100.0,
    asked_at=100.0,
    vcpus=2,
    cpu_time_ns=10**9,
    cpu_wait_ns=0,
    memory_rss_kib=300 * 1024,
    blocks=(BlockStats(target="vda", read_bytes=1000, read_requests=10),),
    nets=(NetStats(target="vnet0", rx_bytes=500),),
)
LATER = replace(
    FIRST,
    sampled_at=110.0,
    asked_at=110.0,
    cpu_time_ns=11 * 10**9,
    cpu_wait_ns=4 * 10**9,
    memory_rss_kib=400 * 1024,
    memory_available_kib=1000 * 1024,
    memory_usable_kib=600 * 1024,
    blocks=(BlockStats(target="vda", read_bytes=21_000, write_bytes=5000, read_requests=30),),
    nets=(NetStats(target="vnet0", rx_bytes=10_500, tx_bytes=100, rx_packets=20),),
)


@pytest.fixture(autouse=True)
def _own_history(settings, tmp_path):
    settings.VAR = tmp_path


@pytest.fixture
def host():
    return Host.objects.create(name="kvt-samples", uri="test:///kvt-samples")


def apply(host: Host, sample: DomainStats, earlier: DomainStats | None) -> Guest:
    apply_stats(host, {KEY: (sample, rates(sample, earlier))})
    return Guest.objects.get()


def test_statistics_become_percentages_and_rates(host):
    Guest.objects.create(host=host, uuid=KEY, name="a", state="running", vcpus=2, memory_mib=1024)
    guest = apply(host, FIRST, None)
    assert (guest.cpu_percent, guest.disk_read_bytes_per_s) == (None, None)
    guest = apply(host, LATER, FIRST)
    assert (guest.cpu_percent, guest.cpu_wait_percent) == (50.0, 20.0)
    assert (guest.memory_used_mib, guest.memory_held_mib) == (400, 400)
    assert (guest.disk_read_bytes_per_s, guest.disk_write_bytes_per_s) == (2000, 500)
    assert (guest.net_rx_bytes_per_s, guest.net_tx_bytes_per_s) == (1000, 10)
    assert recent.points(guest.cpu_recent)[-1] == 50
    guest = apply(host, FIRST, LATER)  # started anew: the counters went back
    assert (guest.cpu_percent, guest.disk_read_bytes_per_s, guest.net_rx_bytes_per_s) == (None, None, None)


def test_what_only_qemu_knows_is_kept_until_it_is_asked_again():
    known = rates(LATER, FIRST)
    cheap = replace(
        LATER, sampled_at=120.0, asked_at=None, cpu_time_ns=16 * 10**9, blocks=(), vcpus=None, memory_rss_kib=None
    )
    cheap = cheap.completed_from(LATER)
    assert cheap.memory_rss_kib == 400 * 1024
    shown = rates(cheap, LATER, known)
    assert (shown.cpu_percent, shown.disk_read_bytes_per_s, shown.cpu_wait_percent) == (25.0, 2000.0, 20.0)
    asked = replace(
        LATER, sampled_at=130.0, asked_at=130.0, blocks=(BlockStats(target="vda", read_bytes=61_000, write_bytes=5000),)
    )
    assert rates(asked, cheap, shown).disk_read_bytes_per_s == 2000.0  # 40,000 bytes in the 20 s since it was asked


def test_a_disk_that_is_plugged_in_does_not_make_a_peak():
    plugged = replace(LATER, blocks=(*LATER.blocks, BlockStats(target="vdb", read_bytes=10**12)))
    assert rates(plugged, FIRST).disk_read_bytes_per_s == 2000.0


def test_a_guest_that_ended_between_listing_and_writing_is_left_out(host):
    assert apply_stats(host, {KEY: (LATER, Rates())}) is False


def test_samples_are_in_the_history_too(host):
    Guest.objects.create(host=host, uuid=KEY, name="a", state="running", vcpus=2, memory_mib=1024)
    guest = apply(host, LATER, FIRST)
    assert store.last_written(GUEST, guest.pk) == int(guest.sampled_at.timestamp())


def test_writing_costs_the_same_queries_for_any_number_of_guests(host):
    def cost(count: int) -> int:
        keys = [uuid.UUID(int=n + 1) for n in range(count)]
        Guest.objects.bulk_create(
            Guest(host=host, uuid=key, name=key.hex, state="running", memory_mib=64)
            for key in keys
            if not Guest.objects.filter(uuid=key).exists()
        )
        taken = {key: (replace(LATER, uuid=str(key)), rates(LATER, FIRST)) for key in keys}
        with CaptureQueriesContext(connection) as queries:
            apply_stats(host, taken)
        return len(queries)

    assert cost(2) == cost(60)
