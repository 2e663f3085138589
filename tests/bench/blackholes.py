"""Pages with ten hosts that answer, and with two of them black holes: the slowest of a hundred must not be slower."""

import contextlib
import http.client
import json
import os
import socket
import statistics
import time
from collections.abc import Iterator

from tests.stack import Stack, running_stack

from .table import Row, at_most

HOSTS, PAIRS, ROUNDS = 10, 6, 8
HOST_FOUND_S = 60
PAGES = (
    "", "hosts/", "guests/", "guests/?q=host:host-9", "guests/changes/", "guests/leftovers/", "jobs/", "networks/",
    "pools/", "volumes/", "isos/", "usage/", "readyz", "metrics", "api/v1/hosts", "api/v1/guests", "api/v1/jobs",
    "api/v1/guests?q=host:host-10",
)  # fmt: skip
PAGES_OF_HOST = ("", "graphs/", "guests/", "storage/", "networks/", "checks/")
PAGES_OF_GUEST = ("", "hardware/", "graphs/", "jobs/", "xml/", "history/")


def main() -> list[Row]:
    with running_stack() as stack, _silent_port() as silent, _dropping_port() as dropping:
        _manage(stack, f"{_SETUP}\nfor n in range(2, {HOSTS + 1}): add(f'host-{{n}}', {_URI!r}.format(n))")
        browser = Browser(stack)
        browser.wait({f"host-{n}" for n in range(2, HOSTS + 1)}, "connected")
        pages = [*PAGES, *_pages_of(stack, "host-2"), *_pages_of(stack, "host-9"), *_pages_of(stack, "host-10")]
        uris = {
            "connected": {"host-9": _URI.format(9), "host-10": _URI.format(10)},
            "unreachable": {
                "host-9": f"qemu+tcp://127.0.0.1:{silent}/system",
                "host-10": f"qemu+tcp://127.0.0.1:{dropping}/system",
            },
        }
        browser.p99_of(pages, rounds=3)  # the first answers of a process are slower
        turns: dict[str, list[float]] = {"connected": [], "unreachable": []}
        for pair in range(PAIRS):
            # Each comes first as often as second: what else the machine does hits both.
            for state in sorted(uris, reverse=pair % 2 == 1):
                _move(stack, uris[state])
                browser.wait(set(uris[state]), state)
                turns[state].append(browser.p99_of(pages, rounds=ROUNDS))
        threads = len(os.listdir(f"/proc/{stack.pid('watcher')}/task"))
    none, two = turns["connected"], turns["unreachable"]
    ratio = statistics.median(dead / alive for alive, dead in zip(none, two, strict=True))
    noise = statistics.median(none[0::2]) / statistics.median(none[1::2])
    each = f"{len(pages)} pages, {len(pages) * ROUNDS:,} requests a turn"
    return [
        Row(what=f"{each}, all {HOSTS} hosts answer, p99", figure=f"{statistics.median(none) * 1000:.1f} ms"),
        Row(what="with two of them black holes, p99", figure=f"{statistics.median(two) * 1000:.1f} ms"),
        at_most(f"p99 with two black holes against none, median of {PAIRS} pairs", ratio, 1.1),
        Row(what="noise: turns without black holes against each other", figure=f"{max(noise, 1 / noise):.2f} x"),
        at_most(f"threads of the watcher after {2 * PAIRS} moves, per host", threads / HOSTS, 20, ""),
    ]  # fmt: skip


_URI = "test:///default?n={}"
_SETUP = """
from django.utils import timezone
from hosts.models import Host
now = timezone.now()
def add(name, uri):
    Host.objects.create(name=name, uri=uri, prepared_at=now, kvm_probed_at=now, kvm_works=False)
"""


def _manage(stack: Stack, code: str) -> str:
    return stack.manage("shell", "-v0", "-c", code)


class Browser:
    """An administrator who is logged in and asks for one page after the other over one connection."""

    def __init__(self, stack: Stack) -> None:
        self._port = stack.port
        self._cookie = _manage(
            stack,
            "from django.conf import settings\n"
            "from django.test import Client\n"
            "from accounts.models import User\n"
            "client = Client(); client.force_login(User.objects.get(username='admin'))\n"
            "name = settings.SESSION_COOKIE_NAME; print(f'{name}={client.cookies[name].value}')",
        ).split()[-1]

    def wait(self, hosts: set[str], state: str) -> None:
        """Until the watcher has found out that these hosts are in that state."""
        end = time.monotonic() + HOST_FOUND_S
        while others := hosts - self._hosts_in(state):
            assert time.monotonic() < end, f"{', '.join(sorted(others))} not {state} within {HOST_FOUND_S} s"
            time.sleep(0.5)

    def _hosts_in(self, state: str) -> set[str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            _took_s, answer = self._get(connection, "api/v1/hosts")
        return {host["name"] for host in json.loads(answer)["items"] if host["state"] == state}

    def p99_of(self, pages: list[str], *, rounds: int) -> float:
        """Of all the requests when each page is asked for so many times, in seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            times = sorted(self._get(connection, page)[0] for _round in range(rounds) for page in pages)
        return times[int(len(times) * 0.99)]

    def _get(self, connection: http.client.HTTPConnection, page: str) -> tuple[float, bytes]:
        begin = time.perf_counter()
        connection.request("GET", f"/{page}", headers={"Cookie": self._cookie})
        answer = connection.getresponse()
        body = answer.read()
        took_s = time.perf_counter() - begin
        assert answer.status == 200, f"/{page}: {answer.status}"  # not the page to log in, which is elsewhere
        return took_s, body


def _pages_of(stack: Stack, host: str) -> list[str]:
    """The pages of a host and of its guest."""
    question = (
        f"import json; from guests.models import Guest; guest = Guest.objects.filter(host__name='{host}')[0]; "
        "print(json.dumps([guest.host_id, guest.pk]))"
    )
    host_id, guest_id = json.loads(_manage(stack, question).splitlines()[-1])
    return [
        *(f"hosts/{host_id}/{page}" for page in PAGES_OF_HOST),
        *(f"guests/{guest_id}/{page}" for page in PAGES_OF_GUEST),
        f"consoles/{guest_id}/",
        f"api/v1/hosts/{host_id}",
        f"api/v1/guests/{guest_id}",
    ]


def _move(stack: Stack, uris: dict[str, str]) -> None:
    """Give hosts other addresses."""
    change = "uri=uri, state='connecting', state_since=timezone.now()"
    _manage(
        stack,
        "from django.utils import timezone; from hosts.models import Host\n"
        f"for name, uri in {uris!r}.items(): Host.objects.filter(name=name).update({change})",
    )


@contextlib.contextmanager
def _silent_port() -> Iterator[int]:
    """A port that takes every connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def _dropping_port() -> Iterator[int]:
    """A port whose queue is full, so that the kernel drops every further attempt, as a firewall does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
