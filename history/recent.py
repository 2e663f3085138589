"""The last half hour of one figure in a row's own column, for the small lines in lists: they cost no look at a file.

One byte a minute, newest last: whole percents, or UNKNOWN.
"""

from datetime import datetime

MINUTES = 30
UNKNOWN = 255


def with_sample(recent: bytes, percent: float | None, at: datetime, last_at: datetime | None) -> bytes:
    """`recent` with a sample taken at `at`; the one before it was taken at `last_at`. The newest of a minute counts."""
    passed = MINUTES if last_at is None else int(at.timestamp() // 60) - int(last_at.timestamp() // 60)
    if passed < 0 or len(recent) != MINUTES:  # the clock was set back, or there is nothing yet
        recent, passed = bytes([UNKNOWN]) * MINUTES, 1
    value = UNKNOWN if percent is None else round(min(100.0, max(0.0, percent)))
    kept = recent[: MINUTES - 1] if passed == 0 else recent[passed:] + bytes([UNKNOWN]) * (min(passed, MINUTES) - 1)
    return kept + bytes([value])


def points(recent: bytes | memoryview | None) -> list[int | None]:
    """What `{% spark %}` draws: percents, oldest first, None where nobody knows."""
    return [None if value == UNKNOWN else value for value in bytes(recent or b"")]
