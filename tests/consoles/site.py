"""A small kvmweb of its own: Redis, a database and the two doors of a console, each a real process."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S = 30


@dataclass
class Site:
    """Where the processes listen. `environment` is what they run with."""

    port: int
    gateway_port: int
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway_port}/websockify"

    def run(self, code: str) -> object:
        """Run Python in a process of its own with Django set up, and return what it gives to `answer(...)`."""
        script = f"import django, json; django.setup()\ndef answer(x): print('ANSWER' + json.dumps(x))\n{code}"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        answers = [line.removeprefix("ANSWER") for line in done.stdout.splitlines() if line.startswith("ANSWER")]
        return json.loads(answers[-1]) if answers else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_site(
    application: str = "kvmweb.asgi:application",
    gateway: tuple[str, ...] = ("manage.py", "vncproxy"),
    *,
    with_pages: bool = False,
) -> Iterator[Site]:
    """Start Redis, migrate, start the web (with the flags of production) and the gateway; remove it all afterwards."""
    with contextlib.ExitStack() as stack:
        var = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kvmweb-consoles-")))
        port, gateway_port = free_port(), free_port()
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "kvmweb.settings",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "KVMWEB_VAR": str(var),
            "KVMWEB_SECRET_KEY": secrets.token_urlsafe(32),
            "KVMWEB_PORT": str(port),
            "KVMWEB_GATEWAY_PORT": str(gateway_port),
            "KVMWEB_GATEWAY_URL": f"ws://127.0.0.1:{gateway_port}/websockify",
            "REDIS_URL": f"unix://{var}/redis.sock",
            "DATABASE_URL": f"sqlite:///{var}/kvmweb.sqlite3",
        }
        site = Site(port, gateway_port, environment)
        stack.callback(_stop, site.processes)
        (var / "run").mkdir()
        _start(site, redis_command(var / "redis.sock", var))
        _manage(site, "migrate", "--verbosity", "0")
        if with_pages:
            _manage(site, "collectstatic", "--noinput", "--verbosity", "0")
        _start(
            site,
            [sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1", "--port", str(port),
             "--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio",
             "--ws-per-message-deflate", "false", "--no-access-log"],
        )  # fmt: skip
        _start(site, [sys.executable, *gateway])
        for listening in (port, gateway_port):
            wait_for_port(listening, site.processes)
        yield site


def redis_command(unix_socket: Path, directory: Path) -> list[str]:
    """A Redis that only this machine's user reaches, and that keeps nothing."""
    return ["redis-server", "--port", "0", "--unixsocket", str(unix_socket), "--dir", str(directory), "--save", ""]


def wait_for_port(port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert all(process.poll() is None for process in processes), "a process of the site ended early"
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port} after {START_S} s")


def _start(site: Site, command: list[str]) -> None:
    output = None if os.environ.get("KVMWEB_TEST_VERBOSE") else subprocess.DEVNULL
    site.processes.append(
        subprocess.Popen(command, cwd=ROOT, env=site.environment, stdout=output, stderr=output, start_new_session=True)
    )


def _manage(site: Site, *words: str) -> None:
    command = [sys.executable, "manage.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in reversed(processes):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in reversed(processes):
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
