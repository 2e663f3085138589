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
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S = 30

# Code comes in as a line of JSON, its answer or its traceback goes out as one: loading Django each time takes a second.
WORKER = """
import json, sys, traceback
import django
django.setup()
for line in sys.stdin:
    answers = []
    try:
        exec(json.loads(line), {"answer": answers.append})
        reply = {"answer": answers[-1] if answers else None}
    except Exception:
        reply = {"error": traceback.format_exc()}
    print(json.dumps(reply), flush=True)
"""


@dataclass
class Site:
    """Where the processes listen. `environment` is what they run with, `application` the ASGI application."""

    port: int
    gateway_port: int
    environment: dict[str, str]
    application: str
    web: subprocess.Popen[bytes] = field(init=False)
    gateway: subprocess.Popen[bytes] = field(init=False)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _worker: subprocess.Popen[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
        """Run Python with the site's settings, in a process beside it; return what the code gives to `answer(...)`."""
        with self._lock:
            worker = self._worker or self._start_worker()
            assert worker.stdin
            assert worker.stdout
            worker.stdin.write(json.dumps(code) + "\n")
            worker.stdin.flush()
            reply = json.loads(worker.stdout.readline())
        assert "error" not in reply, reply["error"]
        return reply["answer"]

    def _start_worker(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER]
        pipe = subprocess.PIPE
        self._worker = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdin=pipe, stdout=pipe, text=True)
        return self._worker

    def start_web(self) -> None:
        """Start the web process with the flags of production, and wait until it listens."""
        self.web = self.start(
            [sys.executable, "-m", "uvicorn", self.application, "--host", "127.0.0.1", "--port", str(self.port),
             "--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio",
             "--ws-per-message-deflate", "false", "--no-access-log"]
        )  # fmt: skip
        wait_for_port(self.port, [self.web])

    def stop_web(self) -> None:
        """Kill the web process, as a crash would."""
        self.processes.remove(self.web)
        self.web.kill()
        self.web.wait(10)

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process of the site; it ends with it. KVMWEB_TEST_VERBOSE shows what it writes."""
        output = None if os.environ.get("KVMWEB_TEST_VERBOSE") else subprocess.DEVNULL
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *command],  # none of it outlives a test run that is killed
            cwd=ROOT,
            env=self.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End every process, the youngest first."""
        if self._worker:
            self._worker.kill()
            self._worker.wait(10)
            for pipe in (self._worker.stdin, self._worker.stdout):
                if pipe:
                    pipe.close()
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


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
    """Start Redis, migrate, start the web and the gateway; remove it all afterwards."""
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
        site = Site(port, gateway_port, environment, application)
        stack.callback(site.stop)
        (var / "run").mkdir()
        site.start(redis_command(var / "redis.sock", var))
        _manage(site, "migrate", "--verbosity", "0")
        if with_pages:
            _manage(site, "collectstatic", "--noinput", "--verbosity", "0")
        site.start_web()
        site.gateway = site.start([sys.executable, *gateway])
        wait_for_port(gateway_port, [site.gateway])
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


def _manage(site: Site, *words: str) -> None:
    command = [sys.executable, "manage.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
