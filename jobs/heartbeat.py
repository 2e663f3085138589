"""Each process that serves in the background says every few seconds that it lives; /readyz reads it."""

import threading
import time
from contextlib import suppress

from django.core.cache import cache
from redis.exceptions import RedisError

INTERVAL_S = 5
HEARTBEAT_MAX_AGE_S = 20


def beat(process: str) -> None:
    """Say that `process` ("worker", "scheduler", "watcher") lives."""
    cache.set(f"heartbeat:{process}", time.time(), timeout=3600)


def last_beat(process: str) -> float | None:
    """When `process` last said so, in seconds since 1970, or None when never (or Redis is away)."""
    try:
        value = cache.get(f"heartbeat:{process}")
    except (RedisError, OSError):
        return None
    return float(value) if value is not None else None


def start_beating(process: str) -> None:
    """Beat from a thread of this process until it ends."""

    def loop() -> None:
        while True:
            with suppress(RedisError, OSError):  # Redis away: /readyz says so itself
                beat(process)
            time.sleep(INTERVAL_S)

    threading.Thread(target=loop, daemon=True, name=f"heartbeat-{process}").start()
