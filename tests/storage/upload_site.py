"""A kvmweb for the upload tests: an own database, own pools, the upload application in a real uvicorn."""

import atexit
import base64
import functools
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tests.settings",
    "KVMWEB_SECRET_KEY": "only for tests",
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
}
UPLOADS = "/api/v1/uploads"


def _environment() -> dict[str, str]:
    """The site copies a SQLite file for each test, also where the tests themselves run on PostgreSQL."""
    return {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}


class Site:
    """`start` and `kill` it as often as needed: the database and the pools stay."""

    def __init__(
        self, directory: Path, small_pool: Path, *, helper_socket: str = "", run_as: list[str] | None = None
    ) -> None:
        self.directory, self.small = directory, small_pool
        self.iso = directory / "iso"
        self.iso.mkdir()
        self.run_as = run_as or []
        var = str(directory / "var")
        own = {"KVMWEB_VAR": var, "KVMWEB_HELPER_SOCKET": helper_socket, "KVMWEB_ISO_DIR": str(self.iso)}
        self.environment = {**_environment(), **SETTINGS, **own}
        (directory / "var").mkdir()
        database, facts = prepared()
        shutil.copy(database, directory / "var" / "kvmweb.sqlite3")
        for name, path in (("iso", self.iso), ("small", small_pool)):
            self.sql("UPDATE storage_pool SET target_path = ? WHERE id = ?", str(path), facts["pools"][name])
        self.pools, self.tokens, self.cookies = facts["pools"], facts["tokens"], facts["cookies"]
        self.read_token, self.images = facts["read_token"], facts["images"]
        self.process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{UPLOADS}"

    def start(self) -> None:
        command = [
            *self.run_as,
            *(sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), "upload_server:application"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--loop", "uvloop", "--http", "httptools"),
            *("--log-level", "warning"),
        ]
        self.process = subprocess.Popen(command, env=self.environment, cwd=ROOT)
        deadline = time.monotonic() + 60
        while True:
            try:
                assert requests.options(self.url, timeout=5).status_code == 204
                return
            except requests.ConnectionError:
                assert self.process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.05)

    def kill(self, with_signal: int = signal.SIGKILL) -> None:
        if self.process:
            self.process.send_signal(with_signal)
            self.process.wait(20)
            self.process = None

    def ask(self, method: str, path: str = "", *, by: str = "ann", **options: Any) -> requests.Response:
        """A request with the token of `by` ("" for none) and tus's version; a header that is None is left out."""
        headers = CaseInsensitiveDict[str | None]({"Tus-Resumable": "1.0.0"})
        if by:
            headers["Authorization"] = f"Bearer {self.tokens.get(by, by)}"
        headers.update(options.pop("headers", {}))
        if method == "PATCH":
            headers.setdefault("Content-Type", "application/offset+octet-stream")
        sent = {key: value for key, value in headers.items() if value is not None}
        target = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path or UPLOADS}"
        return requests.request(method, target, headers=sent, timeout=60, **options)

    def create(self, name: str, size: int, *, by: str = "ann", **metadata: str) -> requests.Response:
        headers = {"Upload-Length": str(size), "Upload-Metadata": pairs(filename=name, **metadata)}
        return self.ask("POST", by=by, headers=headers)

    def new(self, name: str, size: int, *, by: str = "ann", **metadata: str) -> str:
        """Create an upload; its path."""
        answer = self.create(name, size, by=by, **metadata)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def patch(self, path: str, offset: int, data: Any, *, by: str = "ann", **headers: str | None) -> requests.Response:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.ask("PATCH", path, by=by, data=data, headers={"Upload-Offset": str(offset), **named})

    def offset(self, path: str, by: str = "ann") -> int:
        return int(self.ask("HEAD", path, by=by).headers["Upload-Offset"])

    def json(self, path: str, by: str = "ann") -> dict[str, Any]:
        answer = self.ask("GET", path, by=by)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.directory / "var" / "kvmweb.sqlite3", timeout=20) as connection:
            return connection.execute(statement, values).fetchall()

    def parts(self) -> list[Path]:
        return sorted(self.iso.glob(".kvmweb-*.part"))

    def part(self, path: str) -> Path:
        """The part file of the upload at `path`."""
        return self.iso / f".kvmweb-{path.rpartition('/')[2]}.part"

    def resident_kib(self) -> int:
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


@functools.cache
def prepared() -> tuple[Path, dict[str, Any]]:
    """A database with users, tokens and pools, made once in a test run, and what `upload_setup` says of it."""
    directory = Path(tempfile.mkdtemp(prefix="kvmweb-upload-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    environment = {**_environment(), **SETTINGS, "KVMWEB_VAR": str(directory)}
    command = [sys.executable, str(HERE / "upload_setup.py")]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=120
    )
    return directory / "kvmweb.sqlite3", json.loads(done.stdout.splitlines()[-1])


def pairs(**values: str) -> str:
    """Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
