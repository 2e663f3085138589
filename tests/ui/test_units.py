"""Numbers and times as people read them."""

from datetime import timedelta

import pytest
from django.utils import timezone, translation

from kvmweb import units
from kvmweb.templatetags import kvmweb_ui as ui


@pytest.mark.parametrize(
    ("mib", "shown"),
    [
        (0, "0 B"),
        (512, "512 MiB"),
        (1024, "1 GiB"),
        (1536, "1.5 GiB"),
        (2048, "2 GiB"),
        (262144, "256 GiB"),
        (None, "—"),
    ],
)
def test_memory_is_shown_in_the_unit_that_fits(mib, shown):
    assert ui.mebibytes(mib) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1,023 B"),
        (1024, "1 KiB"),
        (1_610_612_736, "1.5 GiB"),
        (822_083_584, "784 MiB"),
        (1024**2 - 1, "1 MiB"),  # never "1,024 KiB"
        (1024**4 - 1, "1 TiB"),
        (10**24, "888,178,420 PiB"),
        (None, "—"),
    ],
)
def test_sizes_are_binary(size_bytes, shown):
    assert ui.filesize(size_bytes) == shown


def test_networks_are_counted_in_decimal_bits_and_disks_in_binary_bytes():
    assert units.bit_rate(300_000) == "2.4 Mbit/s"
    assert units.byte_rate(1_992_294) == "1.9 MiB/s"
    assert units.bit_rate(None) == units.byte_rate(None) == "—"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((38,), "38 %"),
        ((1, 3), "33 %"),
        ((5, 0), "—"),
        ((5, None), "—"),
        ((None, 10), "—"),
        ((None,), "—"),
        (("",), "—"),
    ],
)
def test_a_share_of_nothing_is_unknown(given, shown):
    assert ui.percent(*given) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (4.21, "4.2 s"), (59.9, "59 s"), (60, "1 min"), (3 * 3600, "3 h"), (88 * 86400, "88 d"), (None, "—")],
)
def test_a_span_has_one_unit(seconds, shown):
    assert units.span(seconds) == shown


def test_a_time_carries_the_moment_for_scripts_and_the_words_for_people():
    when = timezone.now() - timedelta(minutes=3, seconds=5)
    html = ui.since(when)
    assert f'datetime="{when.isoformat()}"' in html
    assert ">3 min ago</time>" in html
    assert ui.since(None) == "—"
    assert ">now</time>" in ui.since(timezone.now())


def test_what_lies_ahead_is_now_and_no_age_is_negative():
    tomorrow = timezone.now() + timedelta(days=1)  # a clock was set back since
    assert ">now</time>" in ui.since(tomorrow)
    assert ">0 s</time>" in ui.age(tomorrow)
    assert units.span(timedelta(days=-1)) == units.span(-86400) == "0 s"


def test_yesterday_comes_with_its_date():
    long_ago = timezone.now() - timedelta(days=40)
    assert str(long_ago.day) in ui.clock(long_ago)
    assert ":" in ui.clock(long_ago)


def test_numbers_follow_the_language():
    with translation.override("de"):
        assert units.size(1_610_612_736) == "1,5 GiB"
        assert units.size(1024**3) == "1 GiB"


def test_a_part_is_shown_in_the_unit_of_the_whole():
    assert ui.mebibytes_of(5018, 15974) == "4.9 / 15.6 GiB"
    assert ui.filesize_of(0, 1024**4) == "0 / 1 TiB"
    assert ui.mebibytes_of(None, 2048) == "2 GiB"
    assert ui.mebibytes_of("", None) == "—"
