"""A file over HTTP, in pieces: redirects are followed as far as they are allowed, a broken connection goes on."""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

from django.utils.translation import gettext as _

from .addresses import Target, parse_url, resolve
from .errors import FetchFailed, FileMissing

MAX_REDIRECTS = 8
TRIES = 5  # in a row without a byte
TIMEOUT_S = 30.0
CHUNK = 1024 * 1024
MAX_SIZE = 2**62  # what more is announced fits into no pool, and not into the row of a job either
MAX_TEXT = 8 * 1024 * 1024  # of a list of checksums
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MISSING = frozenset({403, 404, 410})  # 403: what object stores say of files that are not there
_HEADERS = {"User-Agent": "kvmweb", "Accept": "*/*", "Accept-Encoding": "identity"}


class Download:
    """A file that is being fetched. `size` in bytes is None where the server does not say; `url` is the last one asked.

    Use it as a context manager; `chunks()` once.
    """

    def __init__(self, url: str, check: Callable[[], None] = lambda: None) -> None:
        """Raises AddressRefused, FetchFailed or Invalid. `check` is called while waiting and may raise to stop."""
        self.url, self._check = url, check
        self._response = self._open(0)
        self.size = _length(self._response)
        self._mark = self._response.headers.get("ETag") or self._response.headers.get("Last-Modified")
        self._can_resume = self._response.headers.get("Accept-Ranges") == "bytes" and self._mark

    def __enter__(self) -> "Download":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def chunks(self) -> Iterator[bytes]:
        """The bytes. After a broken connection it goes on where it was, if the file is still the same one."""
        done, failures = 0, 0
        while True:
            try:
                while chunk := self._response.read1(CHUNK):
                    done, failures = done + len(chunk), 0
                    yield chunk
                if self.size is None or done >= self.size:
                    return
                problem: Exception = http.client.IncompleteRead(b"", self.size - done)
            except (OSError, http.client.HTTPException) as error:
                problem = error
            failures += 1
            self.close()
            if failures >= TRIES or not self._can_resume or self.size is None:
                sentence = _("The connection to %(url)s broke off after %(size)d bytes. Try again.")
                raise FetchFailed(sentence % {"url": self.url, "size": done}, details=repr(problem)) from problem
            self._wait(failures)
            try:
                self._resume(done)
            except FetchChanged:
                raise
            except FetchFailed:  # not back yet: the next round says so
                continue

    def close(self) -> None:
        self._response.close()

    def _wait(self, failures: int) -> None:
        end = time.monotonic() + min(2**failures, 20) / 2
        while time.monotonic() < end:
            self._check()
            time.sleep(0.2)

    def _resume(self, done: int) -> None:
        self._response = self._open(done)
        if self._response.status != 206:
            self.close()
            sentence = _("%(url)s was replaced while it was fetched. Start again.")
            raise FetchChanged(sentence % {"url": self.url})

    def _open(self, offset: int) -> http.client.HTTPResponse:
        headers = dict(_HEADERS)
        if offset:
            headers |= {"Range": f"bytes={offset}-", "If-Range": str(self._mark)}
        for _redirect in range(MAX_REDIRECTS):
            self._check()
            parts = parse_url(self.url)
            response = _request(resolve(parts), headers, self.url)
            if response.status not in _REDIRECTS:
                break
            place = response.headers.get("Location", "")
            response.close()
            self.url = _joined(self.url, place)
            if parts.scheme == "https" and not self.url.startswith("https:"):
                sentence = _("The server sent us from https to %(url)s, which anybody on the way can change.")
                raise FetchFailed(sentence % {"url": self.url}, field="url")
        else:
            raise FetchFailed(_("The server sends us from one address to the next without end."), field="url")
        if response.status != 200 and not (offset and response.status == 206):
            response.close()
            sentence = _("%(url)s answered %(status)d %(reason)s instead of the file. Check the address.")
            words = {"url": self.url, "status": response.status, "reason": response.reason}
            kind = FileMissing if response.status in _MISSING else FetchFailed
            raise kind(sentence % words, field="url")
        return response


class FetchChanged(FetchFailed):
    """The file on the server is another one now."""

    code, status = "fetch_changed", 409


def fetch_bytes(url: str, check: Callable[[], None] = lambda: None) -> bytes:
    """A small file, such as a list of checksums. Raises FetchFailed when it is larger than that."""
    found = bytearray()
    with Download(url, check) as download:
        for chunk in download.chunks():
            found += chunk
            if len(found) > MAX_TEXT:
                raise FetchFailed(_("%(url)s is too large for a list of checksums.") % {"url": url})
    return bytes(found)


def _request(target: Target, headers: dict[str, str], url: str) -> http.client.HTTPResponse:
    connection = _Pinned(target)
    try:
        connection.request("GET", target.path, headers=headers)
        response = connection.getresponse()
    except ssl.SSLError as error:
        connection.close()
        sentence = _("%(host)s has no certificate that this machine trusts, so nothing was fetched from it.")
        raise FetchFailed(sentence % {"host": target.host}, details=str(error), field="url") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        connection.close()
        sentence = _("%(url)s could not be fetched: the server does not answer. Check the address, or try later.")
        raise FetchFailed(sentence % {"url": url}, details=repr(error), field="url") from error
    return response


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was checked, whatever the name means by now."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT_S)
        self._target = target
        self.default_port = 443 if target.scheme == "https" else 80

    def connect(self) -> None:
        sock = socket.create_connection((self._target.address, self._target.port), TIMEOUT_S)
        if self._target.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self._target.host)
        self.sock = sock


def _joined(url: str, place: str) -> str:
    try:
        return urljoin(url, place)
    except ValueError:  # brackets that do not match
        raise FetchFailed(
            _("%(url)s sends us to what is no address. Check the address.") % {"url": url}, field="url"
        ) from None


def _length(response: http.client.HTTPResponse) -> int | None:
    if response.headers.get("Transfer-Encoding", "").lower() == "chunked" or response.length is None:
        return None
    return min(response.length, MAX_SIZE)
