"""A browser apart from the machine's network: guests' interfaces come and go without it taking notice.

Chromium gives up what it is loading (ERR_NETWORK_CHANGED) when an interface of its machine gets an address, as it does
whenever a guest starts. No user's browser runs on the host, so here it gets a network namespace with a loopback only,
and reaches the machine's 127.0.0.1 through a SOCKS proxy (RFC 1928) whose one door stands in that namespace.
"""

import asyncio
import ctypes
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PROGRAM = Path(__file__).parent / "lab/browser-apart"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
CLONE_NEWNET = 0x40000000  # sched.h; os.unshare comes with Python 3.12


class Namespace:
    """A network namespace of a thread's own, `path`, with its loopback up and a socket that listens in it."""

    def __init__(self) -> None:
        self._made, self._over = threading.Event(), threading.Event()
        self.path = ""
        self.door: socket.socket | None = None
        self._thread = threading.Thread(target=self._stay, daemon=True)
        self._thread.start()
        self._made.wait(10)
        assert self.door, "no network namespace for the browser: these tests run as root"

    def _stay(self) -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            self.path = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
            self.door = socket.create_server(("127.0.0.1", 0))
        finally:
            self._made.set()
        self._over.wait()

    def close(self) -> None:
        self._over.set()
        self._thread.join()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: no password, CONNECT, and always to this machine's own loopback."""
    try:
        _version, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        _version, _command, _reserved, kind = await reader.readexactly(4)
        length = 4 if kind == 1 else (await reader.readexactly(1))[0]  # an IPv4 address, or a name
        await reader.readexactly(length)
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        try:
            to_us, to_them = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.write(b"\x05\x05\x00\x01" + bytes(6))  # connection refused
            return writer.close()
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(_pass_on(reader, to_them), _pass_on(to_us, writer))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@contextmanager
def network_apart() -> Iterator[tuple[str, str]]:
    """The path of a namespace to enter with nsenter, and the proxy's address in it."""
    namespace = Namespace()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.start_server(_serve, sock=namespace.door), loop).result(10)
    try:
        yield namespace.path, f"socks5://127.0.0.1:{namespace.door.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        namespace.door.close()
        namespace.close()


@contextmanager
def chromium_apart() -> Iterator[Browser]:
    """Debian's Chromium in such a network; the sites of this machine's loopback have their own addresses there."""
    with network_apart() as (namespace, proxy), sync_playwright() as playwright:
        flags = [*FLAGS, f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>"]
        environment = {**os.environ, "KVMWEB_TEST_NETWORK": namespace}
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=flags, env=environment)
        try:
            yield browser
        finally:
            browser.close()
