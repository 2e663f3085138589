"""A connection to one host's libvirt on which nothing can hang for ever.

libvirt has no deadline per call: a call to a host that vanished blocks for as long as TCP allows. So each connection
has a thread of its own that makes the calls, and the caller waits on it for as long as it likes.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import libvirt

from virt import event_loop
from virt.access import NO_ACCESS, Access, open_libvirt, require_answer
from virt.errors import HostTimeout, HostUnreachable
from virt.libvirt_errors import from_libvirt

T = TypeVar("T")

KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3
CLOSE_TIMEOUT_S = 2.0
MOST_HANGING = 8  # threads per address that libvirt holds; past it nothing more is tried until it lets go of one


def connect(uri: str, *, timeout_s: float = 10.0, access: Access = NO_ACCESS, events: bool = True) -> Connection:
    """Open `uri`. `timeout_s` bounds the opening and is the default for every call on the connection.

    Without `events` nothing is called back and nobody is pinged: for the streams of a process in which none of its
    connections has events. libvirt then has no loop to wake twice for every message, which takes a quarter off the time
    of an upload over TLS; a host that vanishes is found out by the deadlines of the calls.

    Raises HostUnreachable, HostTimeout, HostKeyRefused or PermissionRefused. https://libvirt.org/uri.html
    """
    return Connection(uri, timeout_s=timeout_s, access=access, events=events)


def hanging(uri: str) -> int:
    """How many threads of this process libvirt holds in calls to `uri` that were given up."""
    with _hanging_lock:
        return _hanging[uri]


def is_plain_local(uri: str) -> bool:
    """Whether `uri` leads to a libvirtd of this machine over its unix socket: only there can descriptors be passed."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    return not parts.netloc and transport in ("", "unix") and not uri.startswith("test:")


class Connection:
    """An open libvirt connection. Use it as a context manager, from any thread, for one call at a time.

    A call whose deadline passes leaves its thread behind (it ends when libvirt lets go) and the connection dead:
    whatever is asked of it afterwards raises HostUnreachable. The same goes for a call that an exception interrupts,
    such as a task's time limit: libvirt cannot take it back. Reconnecting is the caller's decision.
    """

    def __init__(self, uri: str, *, timeout_s: float = 10.0, access: Access = NO_ACCESS, events: bool = True) -> None:
        self.uri = uri
        self.timeout_s = timeout_s
        self.access = access
        self.events = events
        if hanging(uri) >= MOST_HANGING:
            raise HostTimeout(
                f"Could not connect to {uri}: {MOST_HANGING} earlier attempts still wait for an answer. "
                "It may be overloaded or off the network."
            )
        self._pid = os.getpid()
        self._alive, self._hangs = True, False
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._libvirt: libvirt.virConnect | None = None
        if events:
            event_loop.ensure_running()
        self._thread = threading.Thread(target=self._serve, name=f"libvirt {uri}", daemon=True)
        self._thread.start()
        try:
            self._run(self._open, f"connect to {uri}", timeout_s)
        except BaseException:
            self._abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def is_local(self) -> bool:
        """Whether it goes over a unix socket of this machine, so that libvirt can pass descriptors."""
        return is_plain_local(self.uri)

    @property
    def is_alive(self) -> bool:
        """Whether calls can still be tried. True says nothing about the next call."""
        handle = self._libvirt
        if not self._alive or handle is None:
            return False
        try:
            return bool(handle.isAlive())  # asks the client library only, not the host
        except libvirt.libvirtError:
            return False  # closed by its thread in this instant

    def call(self, function: Callable[[libvirt.virConnect], T], what: str, *, timeout_s: float | None = None) -> T:
        """Run `function` with libvirt's connection object and return what it returns.

        `what` completes the sentence "Could not …" of the error. A deadline of 0 or less is refused; there is no call
        without one.
        """

        def work() -> T:
            if self._libvirt is None:
                raise HostUnreachable(f"Could not {what}: the connection to {self.uri} is closed.")
            return function(self._libvirt)

        return self._run(work, what, self.timeout_s if timeout_s is None else timeout_s)

    def reopen(self) -> Connection:
        """Another connection to the same host, with the same login."""
        return Connection(self.uri, timeout_s=self.timeout_s, access=self.access, events=self.events)

    def close(self) -> None:
        """Close it, waiting a moment for libvirt. Calling it twice is fine."""
        if self._alive:
            self._abandon()
            self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self, work: Callable[[], T], what: str, timeout_s: float) -> T:
        if os.getpid() != self._pid:
            raise RuntimeError("a libvirt connection was opened before the fork; open it in the child")
        if timeout_s <= 0:
            raise ValueError("a libvirt call needs a deadline")
        with self._lock:
            if not self._alive:
                raise HostUnreachable(f"Could not {what}: the connection to {self.uri} is closed.")
            future: Future[T] = Future()
            self._calls.put((work, future))
            try:
                return future.result(timeout_s)
            except libvirt.libvirtError as exc:
                raise from_libvirt(exc, what) from exc
            except TimeoutError as exc:
                if future.done():
                    raise
                self._give_up()
                raise HostTimeout(
                    f"Could not {what}: {self.uri} did not answer within {timeout_s:g} s. "
                    "It may be overloaded or off the network."
                ) from exc
            except BaseException:
                if not future.done():
                    self._give_up()
                raise

    def _abandon(self) -> None:
        self._alive = False
        self._calls.put(None)

    def _give_up(self) -> None:
        """Leave the thread to itself, counted until libvirt lets go of it. Ending its ssh, where it has one, helps."""
        with _hanging_lock:
            if not self._hangs:
                self._hangs = True
                _hanging[self.uri] += 1
        self._abandon()
        for pid in _children(self._thread):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _serve(self) -> None:
        """The connection's own thread: makes the calls, and closes libvirt's handle as the last thing."""
        while (item := self._calls.get()) is not None:
            work, future = item
            try:
                future.set_result(work())
            except BaseException as exc:  # the caller gets it, whatever it is
                future.set_exception(exc)
            del item, work, future
        handle, self._libvirt = self._libvirt, None
        if handle is not None:
            _close_quietly(handle)
        with _hanging_lock:
            if self._hangs:
                self._hangs = False
                _hanging[self.uri] -= 1

    def _open(self) -> None:
        require_answer(self.uri, self.access, self.timeout_s)
        handle = open_libvirt(self.uri, self.access)
        self._libvirt = handle
        if not self.events:
            return
        try:
            handle.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:  # drivers inside this process have nobody to ping
                raise


def _close_quietly(handle: libvirt.virConnect) -> None:
    try:
        handle.close()
    except libvirt.libvirtError:
        return  # it was broken already


def _children(thread: threading.Thread) -> list[int]:
    """The processes that a thread of ours started and that still run: the ssh of a connection.

    https://man7.org/linux/man-pages/man5/proc_pid_task_tid_children.5.html
    """
    with suppress(OSError, ValueError):
        return [int(word) for word in Path(f"/proc/self/task/{thread.native_id}/children").read_text().split()]
    return []


_hanging: Counter[str] = Counter()
_hanging_lock = threading.Lock()
