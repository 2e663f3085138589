"""A web server for the tests of fetching: files with ranges, redirects, connections that break."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(ThreadingHTTPServer):
    """`files` by path; `redirects` by path; `break_after` bytes of a response, so many times as `breaks`.

    `raw` by path: whole answers, sent as they are. `is_replaced`: a range is answered with the whole file.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.raw: dict[str, bytes] = {}
        self.is_replaced = False
        self.break_after, self.breaks = 0, 0
        self.asked: list[tuple[str, str]] = []  # path and range

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        web, wanted = self.server, self.headers.get("Range", "")
        web.asked.append((self.path, wanted))
        if place := web.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", place)
            self.end_headers()
            return
        if answer := web.raw.get(self.path):
            self.wfile.write(answer)
            return
        content = web.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not web.is_replaced else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"one"')
        self.end_headers()
        if web.breaks:
            web.breaks -= 1
            self.wfile.write(content[start : start + web.break_after])
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Web]:
    with Web() as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield web
        finally:
            web.shutdown()
            thread.join()
