"""Nothing hangs, whatever the other end does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.virt.daemon import PrivateDaemon, private_daemon
from virt.access import Access, with_access
from virt.connection import MOST_HANGING, Connection, connect, hanging, is_plain_local
from virt.errors import HostTimeout, HostUnreachable
from virt.events import EventFeed
from virt.types import ConnectionClosed, Event

TEST = "test:///default"


@pytest.fixture
def silent_tcp() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def daemon(directory: Path) -> Iterator[PrivateDaemon]:
    with private_daemon(directory) as started:
        yield started


def test_a_host_that_accepts_and_never_answers_is_given_up_in_time(silent_tcp):
    begun = time.monotonic()
    with pytest.raises(HostTimeout) as failure:
        connect(f"qemu+tcp://127.0.0.1:{silent_tcp}/system", timeout_s=1)
    assert time.monotonic() - begun < 3
    assert "did not answer within 1 s" in str(failure.value)
    assert failure.value.status == 504


def test_a_socket_that_nobody_serves_is_given_up_in_time(directory):
    path = directory / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(HostTimeout):
            connect(f"qemu+unix:///system?socket={path}", timeout_s=1)


def test_a_closed_port_says_that_libvirt_does_not_run():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(HostUnreachable, match="libvirt does not run there") as failure:
        connect(f"qemu+tcp://127.0.0.1:{port}/system")
    assert "Connection refused" in failure.value.details
    assert failure.value.status == 503


def test_a_missing_socket_says_that_libvirt_does_not_run(directory):
    with pytest.raises(HostUnreachable, match="libvirt does not run there"):
        connect(f"qemu+unix:///system?socket={directory}/none")


def test_a_call_that_takes_too_long_raises_and_ends_the_connection():
    conn = connect(TEST)
    begun = time.monotonic()
    with pytest.raises(HostTimeout, match="Could not nap"):
        conn.call(lambda _handle: time.sleep(5), "nap", timeout_s=0.2)
    assert time.monotonic() - begun < 1
    assert not conn.is_alive
    with pytest.raises(HostUnreachable):
        conn.call(lambda handle: handle.getHostname(), "ask its name")
    conn.close()


def test_a_timeout_of_the_work_itself_is_not_taken_for_the_deadline():
    def give_up(_handle: object) -> None:
        raise TimeoutError("mine")

    with connect(TEST) as conn:
        with pytest.raises(TimeoutError, match="mine"):
            conn.call(give_up, "give up")
        assert conn.is_alive


def test_an_interrupted_call_ends_the_connection():
    """A task's time limit raises in the middle of a call, whose outcome is then unknown."""

    class TimeLimit(BaseException):
        pass

    def limit(*_args: object) -> None:
        raise TimeLimit

    conn = connect(TEST)
    before = signal.signal(signal.SIGALRM, limit)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(TimeLimit):
            conn.call(lambda _handle: time.sleep(2), "nap")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not conn.is_alive


def test_threads_share_a_connection_one_call_at_a_time():
    overlaps, busy = [], threading.Lock()

    def work(_handle: object) -> None:
        overlaps.append(not busy.acquire(blocking=False))
        time.sleep(0.01)
        if not overlaps[-1]:
            busy.release()

    with connect(TEST) as conn:
        threads = [threading.Thread(target=conn.call, args=(work, "work")) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert overlaps == [False] * 8


def test_a_call_needs_a_deadline():
    with connect(TEST) as conn, pytest.raises(ValueError, match="deadline"):
        conn.call(lambda handle: handle.getHostname(), "ask its name", timeout_s=0)


def test_closing_ends_the_thread():
    before = threading.active_count()
    for _ in range(5):
        with connect(TEST) as conn:
            conn.call(lambda handle: handle.getHostname(), "ask its name")
        conn.close()
    assert threading.active_count() <= before + 1  # the event loop, which stays


def test_a_connection_from_before_a_fork_is_refused():
    """libvirt's threads do not survive a fork: the child would hang."""
    with connect(TEST) as conn:
        child = os.fork()
        if child == 0:
            os._exit(_refusals(conn))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def _refusals(conn: Connection) -> int:
    refused = 0
    for question in (lambda: conn.call(lambda handle: handle.getHostname(), "ask"), lambda: connect(TEST)):
        try:
            question()
        except RuntimeError:
            refused += 1
    return refused


def test_each_forked_child_may_open_its_own():
    """As the worker does: the parent has opened nothing."""
    code = (
        "import os\n"
        "from virt.connection import connect\n"
        "for _ in range(2):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        f"        os._exit(0 if connect('{TEST}').call(lambda h: h.getHostname(), 'ask') else 1)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("qemu:///system", True),
        ("qemu+unix:///system?socket=/run/other", True),
        ("qemu:///session", True),
        ("qemu+ssh://root@host/system", False),
        ("qemu+ssh:///system", False),
        ("qemu+tcp:///system", False),
        ("qemu+tls://host/system", False),
        ("qemu://host/system", False),
        ("qemu+ext:///system?command=x", False),
        ("test:///default", False),
    ],
)
def test_only_a_plain_local_connection_passes_descriptors(uri, expected):
    assert is_plain_local(uri) is expected


@pytest.mark.parametrize(
    ("uri", "becomes"),
    [
        ("qemu+ssh://a/system", "qemu+ssh://a/system?no_tty=1&command=/v/ssh"),
        ("qemu+ssh://a/system?keyfile=/k", "qemu+ssh://a/system?keyfile=/k&no_tty=1&command=/v/ssh"),
        ("qemu+ssh://a/system?no_tty=0", "qemu+ssh://a/system?no_tty=0&command=/v/ssh"),
        ("qemu+tls://a/system", "qemu+tls://a/system?pkipath=/v/p%20ki"),
        ("qemu://a/system", "qemu://a/system?pkipath=/v/p%20ki"),
        ("qemu:///system", "qemu:///system"),
    ],
)
def test_libvirt_gets_our_programs_and_files_and_never_asks_on_the_terminal(uri, becomes):
    assert with_access(uri, Access(ssh_command="/v/ssh", pki_path="/v/p ki")) == becomes


@pytest.mark.libvirt
def test_a_stopped_libvirtd_is_given_up_in_time(daemon):
    with connect(daemon.uri, timeout_s=20) as conn:
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            with pytest.raises(HostTimeout):
                conn.call(lambda handle: handle.getLibVersion(), "ask its version", timeout_s=1)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)


@pytest.mark.libvirt
def test_a_killed_libvirtd_is_told_once_and_a_new_connection_works_after_its_restart(daemon):
    told: list[Event] = []
    with connect(daemon.uri, timeout_s=20) as conn:
        feed = EventFeed(conn, told.append)
        begun = time.monotonic()
        daemon.kill()
        while not told and time.monotonic() - begun < 5:
            time.sleep(0.01)
        assert [type(event) for event in told] == [ConnectionClosed]
        assert told[0].kind in ("error", "eof")  # libvirt's choice, by what it was doing
        assert not conn.is_alive
        with pytest.raises(HostUnreachable):
            conn.call(lambda handle: handle.getLibVersion(), "ask its version")
        feed.close()
    daemon.start()
    with connect(daemon.uri, timeout_s=20) as conn:
        assert conn.call(lambda handle: handle.getLibVersion(), "ask its version") > 0


def test_what_accepts_and_never_answers_holds_no_thread(silent_tcp):
    """libvirt would wait in such a connection without end."""
    uris = [f"qemu+{transport}://127.0.0.1:{silent_tcp}/system" for transport in ("tcp", "tls")]
    for uri in uris:
        with pytest.raises(HostTimeout):
            connect(uri, timeout_s=0.3)
    end = time.monotonic() + 5
    while any(thread.name.endswith(uri) for thread in threading.enumerate() for uri in uris):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert [hanging(uri) for uri in uris] == [0, 0]


def test_what_hangs_is_counted_and_not_tried_without_end(directory):
    path = directory / "libvirt-sock"
    uri = f"qemu+unix:///system?socket={path}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(50)
        for count in range(MOST_HANGING):
            assert hanging(uri) == count
            with pytest.raises(HostTimeout):
                connect(uri, timeout_s=0.05)
        with pytest.raises(HostTimeout, match="earlier attempts still wait"):
            connect(uri, timeout_s=0.05)
    end = time.monotonic() + 10
    while hanging(uri):  # the end of the server lets them all go
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_ssh_that_hangs_is_ended_with_its_call(directory):
    """The SSH server answers, what is behind it does not: keepalive of SSH would never find out."""
    program, pid_file = directory / "ssh", directory / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid_file}\nexec sleep 600\n")
    program.chmod(0o700)
    uri = "qemu+ssh://nowhere/system"
    with pytest.raises(HostTimeout):
        connect(uri, timeout_s=1, access=Access(ssh_command=str(program)))
    end = time.monotonic() + 10
    while hanging(uri) or Path(f"/proc/{pid_file.read_text().strip()}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_events_no_loop_is_started():
    """In a process of its own, where nobody else has started it."""
    code = """
import threading
from virt.connection import connect
with connect("test:///default", events=False) as conn:
    assert conn.call(lambda handle: handle.getHostname(), "ask")
    assert conn.is_alive
    assert "libvirt events" not in [thread.name for thread in threading.enumerate()]
with connect("test:///default"):
    assert "libvirt events" in [thread.name for thread in threading.enumerate()]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
