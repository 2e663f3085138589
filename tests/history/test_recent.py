"""The last half hour in a column: one value a minute, whatever happened to the clock."""

from datetime import UTC, datetime, timedelta

from history import recent

AT = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)


def after(recents: bytes, percent: float | None, seconds: int, before: int) -> bytes:
    return recent.with_sample(recents, percent, AT + timedelta(seconds=seconds), AT + timedelta(seconds=before))


def test_a_minute_is_one_value_the_newest():
    known = recent.with_sample(b"", 10.0, AT, None)
    assert recent.points(known) == [None] * 29 + [10]
    known = after(known, 33.4, 10, 0)
    assert recent.points(known)[-2:] == [None, 33]
    known = after(known, 50.0, 60, 10)
    assert recent.points(known)[-2:] == [33, 50]


def test_minutes_without_a_sample_are_gaps():
    known = recent.with_sample(b"", 10.0, AT, None)
    known = after(known, 20.0, 180, 0)
    assert recent.points(known)[-4:] == [10, None, None, 20]
    known = after(known, None, 240, 180)
    assert recent.points(known)[-2:] == [20, None]
    assert recent.points(after(known, 7.0, 90_000, 240)) == [None] * 29 + [7]


def test_a_clock_that_goes_back_begins_anew():
    known = recent.with_sample(b"", 10.0, AT, None)
    assert recent.points(after(known, 20.0, -600, 0)) == [None] * 29 + [20]


def test_nothing_is_nothing():
    assert recent.points(b"") == recent.points(None) == []
    assert recent.points(memoryview(recent.with_sample(b"", 300.0, AT, None)))[-1] == 100
