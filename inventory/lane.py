"""A thread of its own for what blocks: libvirt calls and database work, one after the other.

Each host has lanes of its own, so that a host which does not answer keeps nobody waiting but itself.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")


class Lane(Executor):
    """Runs functions in the order in which they come. Its thread is a daemon: a hung call cannot hold up the end."""

    def __init__(self, name: str, *, before: Callable[[], None] = lambda: None) -> None:
        """`before` is called before each piece of work for `run`; what it raises keeps the work from being done."""
        self._before = before
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it on the lane's thread. Database connections that broke or are too old are replaced before and after.

        Live messages that it publishes are sent by the caller's event loop, over connections that stay open.
        """
        executor = cast(ThreadPoolExecutor, self)
        guarded = _with_fresh_connections(function, self._before)
        wrapped = sync_to_async(guarded, thread_sensitive=False, executor=executor)
        return await wrapped(*args, **kwargs)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._work.put((lambda: function(*args, **kwargs), future))
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """Let the thread end after what it has in hand. Never waits."""
        self._work.put(None)

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            function, future = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # the caller gets it, whatever it is
                    future.set_exception(error)
            del item, function, future  # an idle lane keeps nothing alive


def _with_fresh_connections(function: Callable[P, T], before: Callable[[], None]) -> Callable[P, T]:
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        before()
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return run
