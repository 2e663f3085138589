"""Pages with ten hosts that answer, and with two of them black holes: the slowest of a hundred must not be slower."""

import contextlib
import os
import socket
import time
import urllib.request
from collections.abc import Iterator

from tests.stack import Stack, running_stack

from .table import Row, at_most

HOSTS, TURNS, ROUNDS = 10, 3, 40
PAGES = (
    "", "hosts/", "guests/", "jobs/", "networks/", "isos/", "api/v1/hosts", "api/v1/guests",
    "api/v1/jobs", "readyz",
)  # fmt: skip


def main() -> list[Row]:
    with running_stack() as stack, _silent_port() as silent, _dropping_port() as dropping:
        _manage(stack, f"{_SETUP}\nfor n in range(2, {HOSTS + 1}): add(f'host-{{n}}', f'test:///default?n={{n}}')")
        cookie = _session(stack)
        alive = {"host-9": "test:///default?n=9", "host-10": "test:///default?n=10"}
        dead = {
            "host-9": f"qemu+tcp://127.0.0.1:{silent}/system",
            "host-10": f"qemu+tcp://127.0.0.1:{dropping}/system",
        }
        times: dict[str, list[float]] = {"alive": [], "dead": []}
        for turn in range(TURNS + 1):
            for name, uris in (("alive", alive), ("dead", dead)):
                _move(stack, uris, "connected" if name == "alive" else "unreachable")
                found = [_get(stack, cookie, page) for _round in range(ROUNDS if turn else 3) for page in PAGES]
                times[name] += found if turn else []  # the first turn warms up
        threads = len(os.listdir(f"/proc/{stack.pid('watcher')}/task"))
    none, two = (_p99(times[name]) for name in ("alive", "dead"))
    return [
        Row(what=f"{len(times['alive']):,} pages, {HOSTS} hosts that answer, p99", figure=f"{none * 1000:.0f} ms"),
        Row(what="with two of them black holes, p99", figure=f"{two * 1000:.0f} ms"),
        at_most("p99 with two black holes against none", two / none, 1.1),
        at_most(f"threads of the watcher after {TURNS + 1} turns, per host", threads / HOSTS, 20, ""),
    ]


_SETUP = """
from django.utils import timezone
from hosts.models import Host
now = timezone.now()
def add(name, uri):
    Host.objects.create(name=name, uri=uri, prepared_at=now, kvm_probed_at=now, kvm_works=False)
"""


def _manage(stack: Stack, code: str) -> str:
    return stack.manage("shell", "-v0", "-c", code)


def _session(stack: Stack) -> str:
    """The cookie of an administrator who is logged in."""
    return _manage(
        stack,
        "from accounts.models import User\n"
        "from django.contrib.auth import BACKEND_SESSION_KEY as B, HASH_SESSION_KEY as H, SESSION_KEY as K\n"
        "from django.contrib.sessions.backends.db import SessionStore\n"
        "user, session = User.objects.get(username='admin'), SessionStore()\n"
        "session[K], session[H] = str(user.pk), user.get_session_auth_hash()\n"
        "session[B] = 'allauth.account.auth_backends.AuthenticationBackend'\n"
        "session.create(); print(session.session_key)",
    ).split()[-1]


def _move(stack: Stack, uris: dict[str, str], state: str) -> None:
    """Give hosts other addresses, and wait until the watcher has found out what is there."""
    _manage(stack, f"from hosts.models import Host\nfor name, uri in {uris!r}.items(): "
                   "Host.objects.filter(name=name).update(uri=uri, state='connecting')")  # fmt: skip
    found = f"Host.objects.filter(name__in={list(uris)}, state='{state}').count()"
    question = f"from hosts.models import Host; print('at', {found})"
    end = time.monotonic() + 90
    while f"at {len(uris)}" not in _manage(stack, question):
        assert time.monotonic() < end, f"hosts did not become {state}"


def _get(stack: Stack, cookie: str, page: str) -> float:
    request = urllib.request.Request(stack.base_url + page, headers={"Cookie": f"sessionid={cookie}"})
    begin = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
        assert answer.status == 200, f"{page}: {answer.status}"
        assert "/login" not in answer.url, page
    return time.perf_counter() - begin


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


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
