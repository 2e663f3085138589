"""Real parts for consoles: a Redis of their own, guests that cost next to nothing, a web process and a gateway."""

import contextlib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from consoles import tickets
from guests.models import Guest

from .domains import Domain, running_domain
from .site import Site, redis_command, running_site

AUDIT = "from accounts.models import AuditEntry"


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("redis")
    path = directory / "redis.sock"
    process = subprocess.Popen(redis_command(path, directory), stdout=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while not path.exists():
        assert process.poll() is None, "redis-server ended at once"
        assert time.monotonic() < end, "redis-server did not open its socket within 10 s"
        time.sleep(0.02)
    yield path
    process.terminate()
    process.wait(10)


@pytest.fixture
def redis_tickets(redis_socket, settings) -> Iterator[None]:
    """Tickets of this process are kept in the tests' own Redis."""
    settings.TICKETS_URL = url = f"unix://{redis_socket}?db=3"
    tickets._redis.cache_clear()
    yield
    tickets._redis.cache_clear()
    with Redis.from_url(url) as redis:
        redis.flushdb()


@pytest.fixture
def guest(local_host) -> Guest:
    """The row of a guest with a screen and a serial port, on no real host."""
    return Guest.objects.create(
        host=local_host,
        uuid=uuid.uuid4(),
        name="mail-01",
        state="running",
        graphics="vnc",
        has_serial=True,
        xml="<domain/>",
    )


@pytest.fixture
def new_domain() -> Iterator[Callable[..., Domain]]:
    """Make and start guests; they are gone when the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda **how: stack.enter_context(running_domain(**how))


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with running_site(with_pages=True) as running:
        yield running


@pytest.fixture(scope="session")
def site_guest(site) -> Iterator[tuple[Domain, int]]:
    """A guest that runs all the time, and the id of its row, for tests that do not stop it."""
    with running_domain() as domain:
        yield domain, _row_of(site, domain)


@pytest.fixture
def add_to_site(site) -> Callable[[Domain], int]:
    """Make the rows of a domain, as the watcher would, and return the guest's id."""
    return lambda domain: _row_of(site, domain)


def _row_of(site: Site, domain: Domain) -> int:
    made: Any = site.run(f"""
from guests.models import Guest
from hosts.models import Host
host, _ = Host.objects.get_or_create(name="local", uri="qemu:///system")
guest = Guest.objects.create(
    host=host, uuid={domain.uuid!r}, name={domain.name!r}, state="running", graphics="vnc", has_serial=True
)
answer(guest.pk)
""")
    return int(made)


@dataclass
class Person:
    """A user of the site, with a session and an API token."""

    user: int
    session: str
    secret: str


@pytest.fixture
def new_person(site) -> Callable[..., Person]:
    """Add a user with a role; `role` "" may log in and nothing else."""
    return lambda role="operator": _person(site, role)


@pytest.fixture(scope="session")
def operator_of_site(site) -> Person:
    """Somebody who may open consoles, for tests that take nothing from them."""
    return _person(site, "operator")


def _person(site: Site, role: str) -> Person:
    made: Any = site.run(f"""
import secrets
from django.test import Client
from accounts.models import ApiToken, Grant, User
user = User.objects.create_user("user-" + secrets.token_hex(4), password="correct horse battery")
if {role!r}:
    Grant.objects.create(user=user, role={role!r})
client = Client()
client.force_login(user)
session, secret = client.cookies["kvmweb_session"].value, ApiToken.issue(user, "tests")[1]
answer({{"user": user.pk, "session": session, "secret": secret}})
""")
    return Person(**made)


class Audit:
    """The rows that the site's audit log got since this was made."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._start: Any = site.run(f"{AUDIT}; answer(max([0, *AuditEntry.objects.values_list('pk', flat=True)]))")

    def rows(self, count: int = 1) -> list[dict[str, Any]]:
        """All of them; waits up to ten seconds for there to be `count`."""
        fields = "'action', 'result', 'actor', 'remote_address', 'object_name', 'detail'"
        newer = f"AuditEntry.objects.filter(pk__gt={self._start}).order_by('pk').values({fields})"
        end = time.monotonic() + 10
        while True:
            rows: Any = self._site.run(f"{AUDIT}; answer(list({newer}))")
            if len(rows) >= count or time.monotonic() > end:
                return list(rows)
            time.sleep(0.1)


@pytest.fixture
def audit(site) -> Audit:
    return Audit(site)
