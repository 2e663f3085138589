"""Blocking work of the upload application, off the event loop and off the threads that Django's own views use."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections, connection

KEPT_S = 60.0  # a connection to the database: these threads stay, and opening SQLite's takes as long as three queries
P = ParamSpec("P")
T = TypeVar("T")

_rows = ThreadPoolExecutor(8, "upload-rows")
_bytes = ThreadPoolExecutor(16, "upload-bytes")  # apart, so that no slow disk keeps anybody from a HEAD


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that uses the database or the helper."""
    context = copy_context()  # the language, and who asks
    return await asyncio.get_running_loop().run_in_executor(_rows, context.run, _keeping, function, args, kwargs)


def among_rows(function: Callable[[], T]) -> T:
    """Call a function that uses the database, from a thread that only writes: those keep no connections to it."""
    return _rows.submit(_keeping, function, (), {}).result()


def _keeping(function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        if connection.close_at is not None:
            connection.close_at = max(connection.close_at, time.monotonic() + KEPT_S)
        close_old_connections()


def start_writing(function: Callable[[], T]) -> "asyncio.Future[T]":
    """Begin a function that only reads or writes files, and return what to await."""
    return asyncio.get_running_loop().run_in_executor(_bytes, function)


def write_after(former: Future[Any] | None, function: Callable[[], T]) -> Future[T]:
    """Begin a function when `former` is done, without a way through the event loop in between.

    If `former` fails, so does what is returned, and `function` is not called.
    """

    def work() -> T:
        if former is not None:
            former.result()  # begun before: threads take what is asked of them in order
        return function()

    return _bytes.submit(work)
