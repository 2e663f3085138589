"""One upload of 512 MiB during which the web process is killed 20 times, at moments that nobody chose."""

import hashlib
import random
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.storage.upload_site import Site

from .table import Row, at_most
from .upload import random_file

MIB = 2**20
SIZE = 512 * MIB
KILLS = 20
CHUNK = 64 * MIB  # what the page sends with one request
PIECE = 256 * 1024


def main() -> list[Row]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        top = Path(directory)
        (top / "site").mkdir()
        (top / "small").mkdir()
        source = top / "source"
        random_file(source, SIZE)
        site = Site(top / "site", top / "small")
        site.start()
        try:
            again = _upload_with_kills(site, source)
        finally:
            site.kill()
        same = _digest(site.iso / "killed.iso") == _digest(source)
    return [
        Row(what="the file is the one that was sent", figure="yes" if same else "no", limit="yes", holds=same),
        Row(what="kills of the web process", figure=str(len(again)), limit=f"{KILLS}", holds=len(again) == KILLS),
        at_most("sent again after one kill, the most", max(again) / MIB, CHUNK / MIB, "MiB"),
        Row(what="sent again in all", figure=f"{sum(again) / MIB:.1f} MiB"),
    ]


def _upload_with_kills(site: Site, source: Path) -> list[int]:
    """How many bytes were sent again after each kill."""
    content = source.read_bytes()
    path = site.new("killed.iso", SIZE, sha256=hashlib.sha256(content).hexdigest())
    again: list[int] = []
    offset = 0
    while offset < SIZE:
        end = min(offset + CHUNK, SIZE)
        kill_at = _moment(offset, len(again))
        sent = _Sent(content, offset, end, site, kill_at)
        try:
            answer = site.patch(path, offset, sent.pieces())
            assert answer.status_code == requests.codes.no_content, answer.text
            offset = end
        except requests.RequestException:
            site.kill()
            site.start()
            arrived = site.offset(path)
            assert arrived >= offset, "bytes that had been confirmed are gone"
            again.append(max(sent.until - arrived, 0))
            offset = arrived
    return again


def _moment(offset: int, killed: int) -> float | None:
    """After how many seconds of a request to kill, spread over the file; None: let this one be."""
    wanted = (SIZE - offset) / SIZE * KILLS
    return random.uniform(0.0, 0.06) if killed < KILLS and KILLS - killed >= wanted - 1 else None


class _Sent:
    def __init__(self, content: bytes, offset: int, end: int, site: Site, kill_at: float | None) -> None:
        self.content, self.offset, self.end, self.until = content, offset, end, offset
        self.timer = (
            threading.Timer(kill_at, lambda: site.process.kill() if site.process else None)
            if kill_at is not None
            else None
        )

    def pieces(self) -> Iterator[bytes]:
        if self.timer:
            self.timer.start()
        for at in range(self.offset, self.end, PIECE):
            piece = self.content[at : min(at + PIECE, self.end)]
            self.until = at + len(piece)
            yield piece


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
