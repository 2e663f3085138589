"""One whole kvmweb for all stories, the small guest that boots in ten seconds, and its serial port."""

import json
import os
import select
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.stack import running_stack

CACHE = Path(__file__).resolve().parent.parent / ".cache"


@pytest.fixture(scope="session")
def stack():
    with running_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def test_iso() -> Path:
    """See tests/lab/make-test-iso: a shell on screen and serial port, DHCP, guest agent, ACPI power button."""
    iso = CACHE / "kvmweb-test.iso"
    assert iso.is_file(), f"{iso} is missing. script/test builds it, or: tests/lab/make-test-iso {CACHE}"
    return iso


class Rest:
    """A script's view of kvmweb: JSON in, JSON out, with a token."""

    def __init__(self, stack, secret: str) -> None:
        self.base, self.secret = stack.base_url, secret

    def __call__(self, method: str, path: str, body: object = None, *, expect: int | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.base}api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        if expect is not None:
            assert status == expect, f"{method} {path}: {status} {content[:500]!r}"
        else:
            assert status < 400, f"{method} {path}: {status} {content[:500]!r}"
        return json.loads(content) if content else {}

    def finish(self, job: Any, *, seconds: int = 60) -> Any:
        """Wait for the end of a job; it must succeed."""
        ended = self("GET", f"/jobs/{job['id']}?wait={seconds}")
        assert ended["status"] == "succeeded", f"{ended['title']}: {ended['status']} {ended['error']} {ended['log']}"
        return ended

    def one(self, path: str) -> Any:
        """The one item that a list has; waits until it has one."""
        return wait_for(lambda: self("GET", path)["items"], seconds=20)[0]


@pytest.fixture(scope="session")
def rest(stack) -> Rest:
    return Rest(stack, stack.manage("create_token", "--user", "admin", "--name", "stories").split()[-1])


def wait_for(question, *, seconds: float = 15, pause: float = 0.1):
    """What `question()` answers as soon as that is true."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"did not happen within {seconds} s: {question}"
        time.sleep(pause)
    return answer


class Serial:
    """The serial port of a running guest, through the terminal that QEMU made for it."""

    def __init__(self, guest: str) -> None:
        device = subprocess.run(["virsh", "-q", "ttyconsole", guest], capture_output=True, text=True, check=True)
        self.descriptor = os.open(device.stdout.strip(), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.text = ""

    def wait_for(self, wanted: str, *, seconds: float = 60) -> str:
        """Read until `wanted` was seen."""
        end = time.monotonic() + seconds
        while wanted not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"{wanted!r} was not on the serial port within {seconds} s: {self.text[-2000:]!r}"
            if select.select([self.descriptor], [], [], min(left, 1))[0]:
                self.text += os.read(self.descriptor, 4096).decode(errors="replace")
        return self.text

    def close(self) -> None:
        os.close(self.descriptor)


@pytest.fixture
def serial():
    """`serial(name)` opens the serial port of a guest."""
    opened = []

    def open_port(guest: str) -> Serial:
        opened.append(Serial(guest))
        return opened[-1]

    yield open_port
    for port in opened:
        port.close()
