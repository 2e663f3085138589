"""Uploads of 1 GiB through the web process, one and four at once, against cp and fsync of the same files."""

import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
        rows: list[Row] = []
        for at_once in (1, 4):
            rows += _compare(stack, token, source, at_once)
    return rows


def _compare(stack: Stack, token: str, source: Path, at_once: int) -> list[Row]:
    copies, uploads, growths = [], [], []
    for number in range(ROUNDS + 1):
        copy_s = _together([lambda n=n: _copy(source, stack.iso_dir, n) for n in range(at_once)])  # type: ignore[misc]
        names = [f"bench-{at_once}-{number}-{n}.iso" for n in range(at_once)]
        urls = [_create(stack, token, name) for name in names]
        watch = Growth(stack.pid("web"))
        upload_s = _together([lambda url=url: _upload(token, source, url) for url in urls])  # type: ignore[misc]
        growth = watch.stop()
        for name in names:
            assert (stack.iso_dir / name).stat().st_size == SIZE
            (stack.iso_dir / name).unlink()
        if number:  # the first round warms up
            copies.append(copy_s)
            uploads.append(upload_s)
            growths.append(growth)
    ratio = statistics.median(u / c for u, c in zip(uploads, copies, strict=True))
    return [
        Row(what=f"cp and fsync of 1 GiB, {at_once} at once", figure=f"{statistics.median(copies):.2f} s"),
        Row(
            what=f"upload by curl until it has its name, {at_once} at once",
            figure=f"{statistics.median(uploads):.2f} s",
        ),
        at_most(f"upload against cp and fsync, {at_once} at once", ratio, 1.5),
        at_most(f"growth of the web process, {at_once} at once", max(growths), 32, "MiB"),
    ]


def _together(actions: Sequence[Callable[[], None]]) -> float:
    """Seconds until all of them are done."""
    start = time.perf_counter()
    with ThreadPoolExecutor(len(actions)) as threads:
        for done in [threads.submit(action) for action in actions]:
            done.result()
    return time.perf_counter() - start


@contextmanager
def _file(near: Path) -> Iterator[Path]:
    """1 GiB that does not compress, on the file system that the upload goes to."""
    with tempfile.TemporaryDirectory(dir=near.parent) as directory:
        path = Path(directory) / "source"
        random_file(path, SIZE)
        yield path


def random_file(path: Path, size: int) -> None:
    """Bytes that do not compress, on the disk."""
    block = os.urandom(16 * MIB)
    with path.open("wb") as out:
        for _ in range(size // len(block)):
            out.write(block)
        os.fsync(out.fileno())


def _copy(source: Path, near: Path, number: int) -> None:
    target = near.parent / f"copy-{number}"
    shutil.copyfile(source, target)
    with target.open("rb+") as copied:
        os.fsync(copied.fileno())
    target.unlink()


def _create(stack: Stack, token: str, name: str) -> str:
    filename = b64encode(name.encode()).decode()
    create = urllib.request.Request(
        f"{stack.base_url}api/v1/uploads",
        method="POST",
        headers={**_headers(token), "Upload-Length": str(SIZE), "Upload-Metadata": f"filename {filename}"},
    )
    with urllib.request.urlopen(create, timeout=30) as answer:
        return urljoin(stack.base_url, answer.headers["Location"])


def _upload(token: str, source: Path, url: str) -> None:
    lines = [f"-H{key}: {value}" for key, value in _headers(token).items()]
    subprocess.run(
        ["curl", "-sSf", "-X", "PATCH", *lines, "-HContent-Type: application/offset+octet-stream", "-HUpload-Offset: 0",
         "-HExpect:", "-T", str(source), url],
        check=True, timeout=300,
    )  # fmt: skip


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}


class Growth(threading.Thread):
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
