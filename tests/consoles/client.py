"""A person at a browser and a script, as far as consoles go: they get tickets and open WebSockets with them."""

import http.client
import json
import struct
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from .site import Site

CSRF = "c" * 32


def ticket_for_page(site: Site, session: str, guest: int, **fields: str) -> tuple[int, dict[str, Any]]:
    """What the console page posts: status and JSON."""
    headers = {
        "Cookie": f"kvmweb_session={session}; kvmweb_csrf={CSRF}",
        "X-CSRFToken": CSRF,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return _post(site, f"/consoles/{guest}/ticket/", headers, urlencode(fields))


def ticket_for_script(site: Site, secret: str, guest: int, **fields: Any) -> tuple[int, dict[str, Any]]:
    """What a script posts to REST: status and JSON."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    return _post(site, f"/api/v1/guests/{guest}/console", headers, json.dumps(fields))


def _post(site: Site, path: str, headers: dict[str, str], body: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if "json" in (answer.getheader("Content-Type") or "") else {}
    finally:
        connection.close()


def open_console(
    site: Site, door: str, entrance: dict[str, Any], *, session: str = "", origin: str | None = None
) -> ClientConnection:
    """Open the WebSocket at one of the two doors, "web" or "gateway". Raises websockets' InvalidStatus when refused."""
    url = entrance["gateway_url"] if door == "gateway" else site.ws_url + entrance["url"]
    return connect(
        url,
        origin=Origin(origin) if origin else None,
        additional_headers={"Cookie": f"kvmweb_session={session}"} if session else {},
        subprotocols=[Subprotocol("binary")],
        compression=None,
        open_timeout=20,
    )


def read(console: ClientConnection, size: int) -> bytes:
    """The next `size` bytes."""
    return Reader(console).read(size)


class Reader:
    """Bytes as they come, however they were cut into messages."""

    def __init__(self, console: ClientConnection) -> None:
        self._console = console
        self._data = b""

    def read(self, size: int) -> bytes:
        while len(self._data) < size:
            self._data += self._console.recv(20, decode=False)
        data, self._data = self._data[:size], self._data[size:]
        return data


def shake_hands(console: ClientConnection) -> tuple[int, int]:
    """RFB up to the picture's width and height."""
    said = Reader(console)
    assert said.read(12) == b"RFB 003.008\n"
    console.send(b"RFB 003.008\n")
    assert said.read(2) == b"\x01\x01", "a display that libvirt passes asks for no password"
    console.send(b"\x01")
    assert said.read(4) == bytes(4)
    console.send(b"\x01")
    init = said.read(24)
    said.read(int.from_bytes(init[20:24], "big"))  # the guest's name
    return int.from_bytes(init[:2], "big"), int.from_bytes(init[2:4], "big")


def press(console: ClientConnection, character: str) -> None:
    """A key goes down and up."""
    for down in (1, 0):
        console.send(struct.pack(">BBxxI", 4, down, ord(character)))
