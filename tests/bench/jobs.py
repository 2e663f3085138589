"""What a job costs on top of the libvirt call that it makes: pause and resume a guest over REST, and directly."""

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.stack import Stack, running_stack

from .table import Row, median_ms
from .token import token_of

NAME = "kvt-bench-jobs"
XML = f"""<domain type='qemu'><name>{NAME}</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices/></domain>"""


def main() -> list[Row]:
    with running_stack() as stack, _guest():
        api = _Api(stack)
        guest = api.wait_for_guest(NAME)
        verbs = iter(_alternate("suspend", "resume"))
        over_rest = median_ms(lambda: api.change(guest, next(verbs)), runs=20)
        verbs = iter(_alternate("suspend", "resume"))
        direct = median_ms(
            lambda: subprocess.run(["virsh", "-q", next(verbs), NAME], check=True, capture_output=True), runs=20
        )
    return [
        Row(what="virsh suspend / resume, a process each", figure=f"{direct:.0f} ms"),
        Row(what="the same as a job over REST, until it has ended", figure=f"{over_rest:.0f} ms"),
        Row(what="job against virsh", figure=f"{over_rest / direct:.1f} x"),
    ]


def _alternate(*words: str) -> Iterator[str]:
    while True:
        yield from words


@contextlib.contextmanager
def _guest() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        subprocess.run(["virsh", "-q", "create", "/dev/stdin"], input=XML.encode(), check=True, capture_output=True)
        stack.callback(subprocess.run, ["virsh", "-q", "destroy", NAME], check=False, capture_output=True)
        yield


class _Api:
    """As much of a REST client as a measurement needs."""

    def __init__(self, stack: Stack) -> None:
        self.base = f"{stack.base_url}api/v1"
        self.headers = {"Authorization": f"Bearer {token_of(stack)}", "Content-Type": "application/json"}

    def call(self, method: str, path: str) -> Any:
        request = urllib.request.Request(self.base + path, method=method, headers=self.headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def wait_for_guest(self, name: str) -> Any:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if found := self.call("GET", f"/guests?search={name}")["items"]:
                return found[0]["id"]
            time.sleep(0.2)
        raise TimeoutError(f"{name} did not show up within 20 s")

    def change(self, guest: int, verb: str) -> None:
        job = self.call("POST", f"/guests/{guest}/{verb}")
        ended = self.call("GET", f"/jobs/{job['id']}?wait=30")
        assert ended["status"] == "succeeded", ended["error"]
