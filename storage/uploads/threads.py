"""Blocking work of the upload application, off the event loop and off the threads that Django's own views use."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

_rows = ThreadPoolExecutor(8, "upload-rows")
_bytes = ThreadPoolExecutor(8, "upload-bytes")  # apart, so that no slow disk keeps anybody from a HEAD


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that uses the database or the helper."""
    context = copy_context()  # the language, and who asks

    def work() -> T:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_rows, context.run, work)


def start_writing(function: Callable[[], T]) -> "asyncio.Future[T]":
    """Begin a function that only reads or writes files, and return what to await."""
    return asyncio.get_running_loop().run_in_executor(_bytes, function)
