"""A 1 GiB upload through the web process against cp and fsync of the same file, and what the process grows by."""

import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

from tests.stack import Stack, running_stack

from .table import Row, at_most
from .token import token_of

SIZE = 2**30
ROUNDS = 3
MIB = 2**20


def main() -> list[Row]:
    with running_stack() as stack, _file(stack.iso_dir) as source:
        token = token_of(stack)
        copies, uploads, growths = [], [], []
        for number in range(ROUNDS + 1):
            copy_s = _copy(source, stack.iso_dir)
            upload_s, growth = _upload(stack, token, source, f"bench-{number}.iso")
            if number:  # the first round warms up
                copies.append(copy_s)
                uploads.append(upload_s)
                growths.append(growth)
        ratio = statistics.median(u / c for u, c in zip(uploads, copies, strict=True))
    return [
        Row(what="cp and fsync of 1 GiB", figure=f"{statistics.median(copies):.2f} s"),
        Row(what="upload of 1 GiB by curl, until it has its name", figure=f"{statistics.median(uploads):.2f} s"),
        at_most("upload against cp and fsync", ratio, 2),
        at_most("growth of the web process", max(growths), 32, "MiB"),
    ]


@contextmanager
def _file(near: Path) -> Iterator[Path]:
    """1 GiB that does not compress, on the file system that the upload goes to."""
    with tempfile.TemporaryDirectory(dir=near.parent) as directory:
        path = Path(directory) / "source"
        block = os.urandom(16 * MIB)
        with path.open("wb") as out:
            for _ in range(SIZE // len(block)):
                out.write(block)
            os.fsync(out.fileno())
        yield path


def _copy(source: Path, near: Path) -> float:
    target = near.parent / "copy"
    start = time.perf_counter()
    shutil.copyfile(source, target)
    with target.open("rb+") as copied:
        os.fsync(copied.fileno())
    took = time.perf_counter() - start
    target.unlink()
    return took


def _upload(stack: Stack, token: str, source: Path, name: str) -> tuple[float, float]:
    """Seconds, and the most that the web process grew by in MiB."""
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    filename = b64encode(name.encode()).decode()
    create = urllib.request.Request(
        f"{stack.base_url}api/v1/uploads",
        method="POST",
        headers={**headers, "Upload-Length": str(SIZE), "Upload-Metadata": f"filename {filename}"},
    )
    with urllib.request.urlopen(create, timeout=30) as answer:
        location = answer.headers["Location"]
    url = urljoin(stack.base_url, location)
    lines = [f"-H{key}: {value}" for key, value in headers.items()]
    watch = _Growth(stack.pid("web"))
    start = time.perf_counter()
    subprocess.run(
        ["curl", "-sSf", "-X", "PATCH", *lines, "-HContent-Type: application/offset+octet-stream", "-HUpload-Offset: 0",
         "-HExpect:", "-T", str(source), url],
        check=True, timeout=300,
    )  # fmt: skip
    took = time.perf_counter() - start
    assert (stack.iso_dir / name).stat().st_size == SIZE
    growth = watch.stop()
    (stack.iso_dir / name).unlink()
    return took, growth


class _Growth(threading.Thread):
    """Watches the resident memory of a process."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.ended = pid, threading.Event()
        self.first = self.most = self.now()
        self.start()

    def now(self) -> float:
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / MIB

    def run(self) -> None:
        while not self.ended.wait(0.05):
            self.most = max(self.most, self.now())

    def stop(self) -> float:
        self.ended.set()
        self.join()
        return self.most - self.first
