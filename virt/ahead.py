"""Doing the next step while the caller still deals with the last one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items. A thread advances `items`, one step ahead; what it raises is raised here, at its turn."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="one step ahead") as thread:
        waiting = thread.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
