"""/healthz: the process is alive. /readyz: every part that a user needs is there, each by name."""

import time
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from redis.exceptions import RedisError

from hosts.models import Host
from jobs.heartbeat import HEARTBEAT_MAX_AGE_S, last_beat


def healthz(request: HttpRequest) -> JsonResponse:
    """200 while this process answers."""
    return JsonResponse({"alive": True})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, Redis, worker, scheduler and watcher answer; else 503. Hosts are told, and do not decide."""
    parts = {"database": _database(), "redis": _redis()}
    for process in ("worker", "scheduler", "watcher"):
        parts[process] = _process(process) if parts["redis"] == "ok" else "unknown: redis does not answer"
    ready = all(state == "ok" for state in parts.values())
    body: dict[str, Any] = {"ready": ready, "parts": parts}
    if parts["database"] == "ok":
        body["hosts"] = _hosts()
    return JsonResponse(body, status=200 if ready else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"does not answer: {type(error).__name__}"
    return "ok"


def _redis() -> str:
    try:
        cache.get("readyz")
    except (RedisError, OSError) as error:
        return f"does not answer: {type(error).__name__}"
    return "ok"


def _process(name: str) -> str:
    beat = last_beat(name)
    if beat is None:
        return "has not reported yet"
    age = time.time() - beat
    return "ok" if age < HEARTBEAT_MAX_AGE_S else f"last heard of {age:.0f} s ago"


def _hosts() -> dict[str, int]:
    counts: dict[str, int] = {}
    for state in Host.objects.present().values_list("state", flat=True):
        counts[state] = counts.get(state, 0) + 1
    return counts
