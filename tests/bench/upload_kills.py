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
    killer = _Killer(site)
    again: list[int] = []
    offset = 0
    while offset < SIZE:
        end = min(offset + CHUNK, SIZE)
        try:
            answer = site.patch(path, offset, killer.watched(content, offset, end))
            assert answer.status_code == requests.codes.no_content, answer.text
            offset = end
        except requests.RequestException:
            site.kill()
            site.start()
            killer.is_under_way = False
            arrived = site.offset(path)
            assert arrived >= offset, "bytes that had been confirmed are gone"
            again.append(max(killer.sent - arrived, 0))
            offset = arrived
    return again


class _Killer:
    """Kills the web process a moment after each of KILLS places in the file was sent, whatever it does then."""

    def __init__(self, site: Site) -> None:
        self._site, self.sent, self.is_under_way = site, 0, False
        self._places = sorted(random.sample(range(SIZE - CHUNK), KILLS), reverse=True)

    def watched(self, content: bytes, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end` in pieces."""
        for at in range(start, end, PIECE):
            piece = content[at : min(at + PIECE, end)]
            self.sent = at + len(piece)
            if self._places and self.sent >= self._places[-1] and not self.is_under_way:
                self.is_under_way = True
                self._places.pop()
                threading.Timer(random.uniform(0.0, 0.02), self._kill).start()
            yield piece

    def _kill(self) -> None:
        if self._site.process:
            self._site.process.kill()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
