"""Real watcher processes on a private database and a private Redis, against the machine's libvirt."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from channels_redis.core import RedisChannelLayer
from django.db import connections
from django.utils import timezone
from redis.exceptions import RedisError

from hosts.models import Host
from tests.inventory.proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
ALIAS = "watched"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def wait_for(question: Callable[[], Any], timeout_s: float = 10.0, every_s: float = 0.02) -> Any:
    """What `question` answers once that is true; fails when it is not within `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {timeout_s} s"
        time.sleep(every_s)
    return answer


class Site:
    """A database, a Redis and any number of watchers, below a directory of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.redis_socket = home / "run" / "redis.sock"
        self.watchers: list[subprocess.Popen[bytes]] = []
        self.proxies: list[Proxy] = []
        self._redis: subprocess.Popen[bytes] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KVMWEB_")}
        self.environment = kept | {
            "DJANGO_SETTINGS_MODULE": "kvmweb.settings",
            "DATABASE_URL": f"sqlite:///{home / 'db.sqlite3'}",
            "REDIS_URL": f"unix://{self.redis_socket}",
            "KVMWEB_SECRET_KEY": "only for tests",
            "KVMWEB_VAR": str(home),
            "KVMWEB_LIBVIRT_TIMEOUT_S": "4",
        }

    def start_redis(self) -> None:
        command = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            str(self.redis_socket),
            "--save",
            "",
            "--dir",
            str(self.home),
        ]
        self._redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.redis_socket.exists)

    def stop_redis(self) -> None:
        if self._redis:
            self._redis.kill()
            self._redis.wait()
            self._redis = None
            self.redis_socket.unlink(missing_ok=True)

    def start_watcher(self) -> subprocess.Popen[bytes]:
        with (self.home / f"watcher-{len(self.watchers)}.log").open("wb") as log:
            watcher = subprocess.Popen(
                [sys.executable, "manage.py", "watch_hosts"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        self.watchers.append(watcher)
        return watcher

    def log(self, number: int = 0) -> str:
        """What a watcher has said so far."""
        return (self.home / f"watcher-{number}.log").read_text()

    def new_host(self, name: str, uri: str, **fields: Any) -> Host:
        """A host that was prepared and probed already, so that nothing is made on the machine."""
        now = timezone.now()
        known = {"prepared_at": now, "kvm_probed_at": now, "kvm_probed_boot": BOOT_ID, "kvm_works": False}
        host: Host = Host.objects.using(ALIAS).create(name=name, uri=uri, **(known | fields))
        return host

    def new_proxy(self) -> Proxy:
        proxy = Proxy(self.home / "run" / f"libvirt-{len(self.proxies)}.sock")
        self.proxies.append(proxy)
        return proxy

    def close(self) -> None:
        for watcher in self.watchers:
            with suppress(ProcessLookupError):
                os.kill(watcher.pid, signal.SIGCONT)
            watcher.kill()
            watcher.wait()
        for proxy in self.proxies:
            proxy.cut()
        self.stop_redis()


@pytest.fixture(scope="session")
def empty_database() -> Iterator[Path]:
    """A migrated database without rows."""
    home = Path(tempfile.mkdtemp(prefix="kvmweb-test-inventory-", dir="/var/tmp"))
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "kvmweb.settings",
        "DATABASE_URL": f"sqlite:///{home / 'db.sqlite3'}",
        "KVMWEB_SECRET_KEY": "only for tests",
        "KVMWEB_VAR": str(home),
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True, timeout=120)
    yield home / "db.sqlite3"
    shutil.rmtree(home)


@contextmanager
def _new_site(empty_database: Path, blocker: Any) -> Iterator[Site]:
    home = Path(tempfile.mkdtemp(prefix="kvmweb-test-inventory-", dir="/var/tmp"))
    (home / "run").mkdir()
    shutil.copy(empty_database, home / "db.sqlite3")
    site = Site(home)
    site.start_redis()
    connections.databases[ALIAS] = connections.databases["default"] | {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(home / "db.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
    }
    with blocker.unblock():
        try:
            yield site
        finally:
            site.close()
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.databases[ALIAS]
            shutil.rmtree(home)


@pytest.fixture
def site(empty_database, django_db_blocker) -> Iterator[Site]:
    """A site of the test's own, without a watcher yet. Its rows are reached with `.using(ALIAS)`."""
    with _new_site(empty_database, django_db_blocker) as made:
        yield made


@pytest.fixture(scope="module")
def watched(empty_database, django_db_blocker) -> Iterator[Site]:
    """A site whose watcher is connected to the machine's libvirt and has compared everything."""
    with _new_site(empty_database, django_db_blocker) as made:
        made.new_host("local", "qemu:///system")
        made.start_watcher()
        wait_for(lambda: Host.objects.using(ALIAS).filter(state="connected").exists(), 60)
        yield made


@pytest.fixture
def new_guest(virsh) -> Iterator[Callable[[], tuple[str, str]]]:
    """Defines a guest that is a firmware with nothing to boot, and returns its name and uuid."""
    made: list[str] = []

    def define() -> tuple[str, str]:
        uuid, name = str(uuid4()), f"kvt-inv-{uuid4().hex[:8]}"
        made.append(uuid)
        xml = (
            f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>24</memory>"
            "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices/></domain>"
        )
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(xml)
            file.flush()
            virsh("define", file.name)
        return name, uuid

    yield define
    for uuid in made:
        virsh("destroy", uuid, check=False)
        virsh("undefine", uuid, check=False)


class Listener:
    """Hears the live messages of a site, as the web process of an open page does."""

    def __init__(self, site: Site, *topics: str) -> None:
        self.heard: list[tuple[float, str]] = []
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._listen(site, topics, ready)), daemon=True).start()
        assert ready.wait(10)

    async def _listen(self, site: Site, topics: tuple[str, ...], ready: threading.Event) -> None:
        layer = RedisChannelLayer(hosts=[f"unix://{site.redis_socket}?db=2"], capacity=1000, expiry=30)
        channel = await layer.new_channel()
        for topic in topics:
            await layer.group_add(f"live.{topic}", channel)
        ready.set()
        with suppress(RedisError):  # the site ends before its listeners
            while True:
                message = await layer.receive(channel)
                self.heard.append((time.monotonic(), message["topic"]))

    @property
    def topics(self) -> list[str]:
        return [topic for _when, topic in self.heard]
