"""The store: what is written comes back, whoever is killed, in a file whose size does not change."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from history import store
from history.series import DAY, GUEST, HOST, POOL, RANGES

ONES = (1.0,) * len(GUEST.series)
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def _own_history(settings, tmp_path):
    settings.VAR = tmp_path


def write(values: dict[int, float | None], pk: int = 1) -> None:
    """{seconds before NOW: a percentage}, as the watcher would have written it."""
    for ago in sorted(values, reverse=True):
        assert store.record(GUEST, {pk: (values[ago],) * len(GUEST.series)}, NOW - ago) == 1


def test_a_sample_is_in_the_graph_of_the_last_hour():
    write({30: 10.0, 20: 10.0, 10: 70.0})
    hour = store.read(GUEST, 1, "hour", now=NOW)
    assert (hour.step_s, len(hour.average["cpu_percent"]), hour.maximum) == (10, 360, {})
    assert hour.average["cpu_percent"][-3:] == [10.0, 70.0, None]
    assert hour.end == NOW


@pytest.mark.parametrize("range_", RANGES)
def test_every_range_shows_what_is_going_on_now(range_):
    samples = dict.fromkeys(range(0, 1200, 10), 20.0) | {300: 80.0}
    write(samples)
    read = store.read(GUEST, 1, range_, now=NOW)
    known = [value for value in read.average["cpu_percent"] if value is not None]
    assert known
    assert min(known) >= 20.0
    assert max(read.maximum.get("cpu_percent") or [80.0], key=lambda value: value or 0) == 80.0
    assert NOW - read.end < read.step_s
    assert read.end - read.start >= RANGES[range_]


def test_coarse_ranges_keep_the_peak():
    write({ago: 90.0 if ago == 7 * 3600 else 10.0 for ago in range(0, 9 * 3600, 10)})
    week = store.read(GUEST, 1, "week", now=NOW)
    assert max(value or 0 for value in week.maximum["cpu_percent"]) == 90.0
    assert max(value or 0 for value in week.average["cpu_percent"]) < 12


def test_a_gap_stays_a_gap():
    write({3000: 5.0, 2990: 5.0, 2980: 5.0, 100: 5.0, 90: 5.0})
    values = store.read(GUEST, 1, "hour", now=NOW).average["cpu_percent"]
    assert values[61] == 5.0
    assert set(values[70:330]) == {None}


def test_what_nobody_knows_is_not_zero():
    write({20: None, 10: None})
    assert store.read(GUEST, 1, "hour", now=NOW).is_empty
    assert store.read(GUEST, 404, "week", now=NOW).is_empty


@pytest.mark.parametrize("kind", [GUEST, HOST, POOL])
def test_a_year_takes_the_space_that_is_stated(kind):
    ones = (1.0,) * len(kind.series)
    assert store.record(kind, {1: ones}, NOW - 400 * DAY) == 1
    size = store.path_of(kind, 1).stat().st_size
    assert store.bytes_each(kind) <= size <= store.bytes_each(kind) * 1.25
    for day in range(400, 0, -40):
        store.record(kind, {1: ones}, NOW - day * DAY + 60)
    assert store.path_of(kind, 1).stat().st_size == size


def test_a_watcher_that_is_killed_loses_nothing(settings):
    script = (
        "import os, time, sys; import django; django.setup()\n"
        "from history import store; from history.series import GUEST\n"
        "at = int(time.time()) // 10 * 10 - 600\n"
        "for n in range(60): store.record(GUEST, {7: (33.0,) * len(GUEST.series)}, at + 10 * n)\n"
        "print('written', flush=True); time.sleep(60)"
    )
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "KVMWEB_VAR": str(settings.VAR)}
    with subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)
    values = store.read(GUEST, 7, "hour").average["cpu_percent"]
    assert values.count(33.0) >= 58


@pytest.mark.parametrize("damage", [b"", b"not a history", b"RRD\x000003"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begins(damage):
    write({100: 5.0})
    store.path_of(GUEST, 1).write_bytes(damage)
    assert store.read(GUEST, 1, "hour", now=NOW).is_empty
    assert store.record(GUEST, {1: ONES, 2: ONES}, NOW - 20) == 1  # the other one is written all the same
    assert store.record(GUEST, {1: ONES}, NOW - 10) == 1
    assert store.path_of(GUEST, 1).with_suffix(".damaged").exists()


def test_a_file_that_was_cut_short_is_set_aside():
    write({100: 5.0})
    whole = store.path_of(GUEST, 1).read_bytes()
    store.path_of(GUEST, 1).write_bytes(whole[: len(whole) // 2])
    assert store.record(GUEST, {1: ONES}, NOW - 20) == 0
    assert store.record(GUEST, {1: ONES}, NOW - 10) == 1


def test_a_clock_that_was_set_back_costs_the_time_that_it_was_ahead():
    write({0: 5.0})
    assert store.record(GUEST, {1: ONES}, NOW - 3600) == 0
    assert store.record(GUEST, {1: ONES}, NOW + 10) == 1
    assert store.record(GUEST, {1: ONES}, NOW - 3 * DAY) == 0  # days ahead: not waited for
    assert store.record(GUEST, {1: ONES}, NOW - 3 * DAY + 10) == 1


def test_a_full_disk_is_a_gap_and_nothing_else(settings):
    settings.VAR = settings.VAR / "file"
    settings.VAR.write_text("no directory")
    assert store.record(GUEST, {1: ONES}, NOW) == 0
    assert store.read(GUEST, 1, "week", now=NOW).is_empty


def test_many_new_guests_come_a_few_at_a_time():
    samples = dict.fromkeys(range(store.NEW_AT_ONCE + 5), ONES)
    assert store.record(GUEST, samples, NOW) == store.NEW_AT_ONCE
    assert store.record(GUEST, samples, NOW + 10) == len(samples)


def test_the_history_of_what_is_gone_goes_after_a_month():
    write({0: 5.0}, pk=1)
    write({0: 5.0}, pk=2)
    assert store.sweep(GUEST, [2], now=NOW + 29 * DAY) == 0
    assert store.sweep(GUEST, [2], now=NOW + 31 * DAY) == 1
    assert not store.path_of(GUEST, 1).exists()
    assert store.path_of(GUEST, 2).exists()


def test_many_threads_read_and_write_at_once():
    at = int(time.time()) // 10 * 10 - 1000
    for pk in range(8):
        store.record(GUEST, {pk: (float(pk),) * len(GUEST.series)}, at)

    def work(pk: int) -> set[float | None]:
        seen: set[float | None] = set()
        for n in range(1, 60):
            store.record(GUEST, {pk: (float(pk),) * len(GUEST.series)}, at + 10 * n)
            seen |= set(store.read(GUEST, pk, "hour", now=at + 1000).average["cpu_percent"])
        return seen

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [{None, float(pk)} for pk in range(8)]
