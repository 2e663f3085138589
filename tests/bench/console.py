"""Consoles: the way through the web and through the gateway, beside a direct connection and websockify as it comes.

All four lead to the same peer, over a connection each, one after the other in many short rounds. What counts is the
median of the rounds' ratios: whatever else the machine does at a moment slows both sides of a ratio down.
"""

import contextlib
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.consoles.site import Site, free_port, running_site, wait_for_port

from .console_peer import PATH, running_peer
from .table import Row, at_least, at_most
from .ws_client import WsClient

MIB = 2**20
ROUNDS = 40
WARM_UP = 3
FLOOD_BYTES = 64 * MIB
UPLOAD_BYTES = 16 * MIB
ECHOES = 150
STUCK_BYTES = 1024 * MIB
STUCK_S = 8
MOST_GROWTH_MIB = 16

Client = Any  # sends and receives: WsClient or Direct


class Direct:
    """The peer without anything in between."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(256 * 1024)

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, size: int) -> None:
        while size > 0:
            size -= self._socket.recv_into(self._buffer, min(size, len(self._buffer)))


def main() -> list[Row]:
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kvmweb-bench-")))
        peer = directory / "peer.sock"
        peer_port = stack.enter_context(running_peer(peer))
        os.environ[PATH] = str(peer)
        site = stack.enter_context(
            running_site("tests.bench.console_web:application", ("-m", "tests.bench.console_gateway"))
        )
        websockify = stack.enter_context(_websockify(peer))
        issue = _issuer(site)
        doors: dict[str, Callable[[], Client]] = {
            "direct": lambda: Direct(peer_port),
            "websockify": lambda: WsClient(f"ws://127.0.0.1:{websockify}/"),
            "web": lambda: WsClient(site.ws_url + issue()["url"]),
            "gateway": lambda: WsClient(issue()["gateway_url"]),
        }
        with contextlib.ExitStack() as connections:
            clients = {name: connections.enter_context(door()) for name, door in doors.items()}
            rounds = [{name: _measure(client) for name, client in clients.items()} for _ in range(WARM_UP + ROUNDS)]
        return [
            *_rows(rounds[WARM_UP:]),
            _stuck(doors["web"], "the web process", lambda: [site.web.pid]),
            _stuck(doors["gateway"], "a gateway process", lambda: _children(site.gateway.pid)),
        ]


@contextlib.contextmanager
def _websockify(peer: Path) -> Iterator[int]:
    """websockify 0.13 as its own package starts it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "websockify", "--unix-target", str(peer), f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,  # as the site's processes: Linux shares the processor out by session
    )  # fmt: skip
    try:
        wait_for_port(port, [process])
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _issuer(site: Site) -> Callable[[], dict[str, str]]:
    """A function that gets a ticket over REST, as a script does."""
    made: Any = site.run("""
import uuid
from accounts.models import ApiToken, User
from guests.models import Guest
from hosts.models import Host
host = Host.objects.create(name="bench", uri="test:///bench")
guest = Guest.objects.create(host=host, uuid=uuid.uuid4(), name="bench", state="running")
token, secret = ApiToken.issue(User.objects.create_superuser("bench"), "bench")
answer({"guest": guest.pk, "secret": secret})
""")
    request = urllib.request.Request(
        f"{site.base_url}/api/v1/guests/{made['guest']}/console",
        data=b"{}",
        headers={"Authorization": f"Bearer {made['secret']}", "Content-Type": "application/json"},
    )

    def issue() -> dict[str, str]:
        with urllib.request.urlopen(request, timeout=30) as response:
            entrance: dict[str, str] = json.load(response)
        return entrance

    return issue


def _measure(client: Client) -> dict[str, float]:
    return {"down": _down(client), "up": _up(client), "echo": _echo(client)}


def _command(letter: bytes, size: int) -> bytes:
    return struct.pack(">cQ", letter, size)


def _down(client: Client) -> float:
    """MB/s from the guest."""
    start = time.perf_counter()
    client.send(_command(b"f", FLOOD_BYTES))
    client.receive(FLOOD_BYTES)
    return FLOOD_BYTES / 1e6 / (time.perf_counter() - start)


def _up(client: Client) -> float:
    """MB/s to the guest."""
    block = bytes(64 * 1024)
    start = time.perf_counter()
    client.send(_command(b"s", UPLOAD_BYTES))
    for _ in range(UPLOAD_BYTES // len(block)):
        client.send(block)
    client.receive(1)
    return UPLOAD_BYTES / 1e6 / (time.perf_counter() - start)


def _echo(client: Client) -> float:
    """Median time of a key's eight bytes there and back, in microseconds."""
    key = b"\4\1\0\0\0\0\0\x61"
    client.send(_command(b"e", ECHOES * len(key)))
    times = []
    for _ in range(ECHOES):
        start = time.perf_counter()
        client.send(key)
        client.receive(len(key))
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def _rows(rounds: list[dict[str, dict[str, float]]]) -> list[Row]:
    def median(name: str, figure: str) -> float:
        return statistics.median(one[name][figure] for one in rounds)

    def ratio(name: str, figure: str, other: str) -> float:
        return statistics.median(one[name][figure] / one[other][figure] for one in rounds)

    rows = [
        Row(
            what=f"{name}: from the guest, to the guest, p50 echo",
            figure=f"{median(name, 'down'):.0f}, {median(name, 'up'):.0f} MB/s, {median(name, 'echo'):.0f} µs",
        )
        for name in rounds[0]
    ]
    for name in ("web", "gateway"):
        rows += [
            at_least(f"{name} against websockify, one stream from the guest", ratio(name, "down", "websockify"), 0.9),
            at_least(f"{name} against websockify, one stream to the guest", ratio(name, "up", "websockify"), 0.9),
            at_most(f"{name} against websockify, p50 echo", ratio(name, "echo", "websockify"), 1.5),
            Row(what=f"{name} against direct TCP, from the guest", figure=f"{ratio(name, 'down', 'direct'):.2f} x"),
            Row(what=f"{name} against direct TCP, p50 echo", figure=f"{ratio(name, 'echo', 'direct'):.1f} x"),
        ]
    return rows


def _stuck(door: Callable[[], Client], whose: str, pids: Callable[[], list[int]]) -> Row:
    """What the processes behind a door grow by when a client asks for a gigabyte and then does not read."""
    with door() as client:
        time.sleep(1)  # what it loads to serve a client is not what the client costs
        before = most = sum(map(_rss_mib, pids()))
        client.send(_command(b"f", STUCK_BYTES))
        end = time.monotonic() + STUCK_S
        while time.monotonic() < end:
            most = max(most, sum(map(_rss_mib, pids())))
            time.sleep(0.05)
    what = f"growth of {whose}, client not reading 1 GiB"
    return at_most(what, most - before, MOST_GROWTH_MIB, "MiB")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
