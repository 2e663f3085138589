"""A guest's screen, keyboard and serial port."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from tests.virt.helpers import URI, tiny_guest, unique
from virt import domains, power, screen
from virt.connection import connect
from virt.console import open_console
from virt.errors import GuestNotFound, Invalid, NotSupported, WrongState
from virt.graphics import Listener, _from_listener, _there, open_graphics
from virt.types import GraphicsSummary

pytestmark = pytest.mark.libvirt

NOBODY = "00000000-0000-4000-8000-000000000000"
RFB = b"RFB 003.008\n"


@pytest.fixture(scope="module")
def running():
    """A running guest for those who only look."""
    with connect(URI, timeout_s=30) as conn:
        uuid = domains.define(conn, tiny_guest(unique()))
        power.start(conn, uuid)
        yield uuid
        power.destroy(conn, uuid)
        domains.undefine(conn, uuid)


def test_the_display_speaks_rfb_without_a_port(conn, running, virsh):
    with open_graphics(conn.uri, running) as display:
        assert display.recv(12) == RFB
        assert display.family == socket.AF_UNIX
    assert virsh("domdisplay", running, check=False) == ""


def test_two_people_may_watch(conn, running):
    with open_graphics(conn.uri, running) as first, open_graphics(conn.uri, running) as second:
        assert (first.recv(12), second.recv(12)) == (RFB, RFB)


def test_a_vnc_password_is_not_asked_of_those_who_come_through_libvirt(conn, define):
    graphics = '<graphics type="vnc"><listen type="none"/></graphics>'
    uuid = define(tiny_guest(unique()).replace(graphics, graphics.replace('"vnc"', '"vnc" passwd="secret"')))
    power.start(conn, uuid)
    with open_graphics(conn.uri, uuid) as display:
        assert display.recv(12) == RFB
        display.sendall(RFB)
        assert display.recv(2) == b"\x01\x01"  # one kind of security: none


def test_a_screen_that_is_not_there_says_why(conn, guest, define):
    with pytest.raises(WrongState, match="is off"):
        open_graphics(conn.uri, guest)
    with pytest.raises(GuestNotFound):
        open_graphics(conn.uri, NOBODY)
    graphics = '<graphics type="vnc"><listen type="none"/></graphics>'
    blind = define(tiny_guest(unique()).replace(graphics, ""))
    power.start(conn, blind)
    with pytest.raises(WrongState, match="no VNC display"):
        open_graphics(conn.uri, blind)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", None])
def test_a_display_on_a_port_of_this_machine_is_a_fallback(address):
    is_ipv6 = address == "::1"
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    with socket.create_server(("::1" if is_ipv6 else "127.0.0.1", 0), family=family) as server:
        display = _summary(address=address, port=server.getsockname()[1])
        with _from_listener("qemu:///system", "web-01", display) as client:
            assert client.getpeername()[1] == display.port


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", None])
def test_a_display_on_the_loopback_of_another_machine_is_not_reached(address):
    with pytest.raises(NotSupported, match="Connect the host over SSH"):
        _from_listener("qemu+tcp://host/system", "web-01", _summary(address=address, port=5900))


def test_a_display_on_all_addresses_of_another_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        display = _summary(address="0.0.0.0", port=server.getsockname()[1])
        with _from_listener("qemu+tcp://127.0.0.1/system", "web-01", display) as client:
            assert client.getpeername()[1] == display.port


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({"listen": "socket", "socket": "/run/vnc.sock"}, Listener(socket="/run/vnc.sock")),
        ({"address": None, "port": 5901}, Listener(address="127.0.0.1", port=5901)),
        ({"address": "0.0.0.0", "port": 5901}, Listener(address="127.0.0.1", port=5901)),
        ({"address": "::", "port": 5901}, Listener(address="::1", port=5901)),
        ({"address": "192.0.2.7", "port": 5901}, Listener(address="192.0.2.7", port=5901)),
    ],
)
def test_where_a_display_is_for_its_own_host(values, there):
    assert _there("web-01", _summary(**({"address": None, "port": None} | values))) == there


def test_a_display_that_listens_nowhere_is_for_its_own_host_alone():
    with pytest.raises(NotSupported, match="listens nowhere"):
        _there("web-01", _summary(listen="none", address=None, port=None))


def test_a_display_elsewhere_is_not_looked_for_here():
    with pytest.raises(NotSupported):
        _from_listener("qemu:///system", "web-01", _summary(address="192.0.2.7", port=5900))


def _summary(**values):
    return GraphicsSummary(**{"type": "vnc", "listen": "address", "socket": None, "has_password": False} | values)


def test_a_picture_of_the_screen_is_a_png(conn, running, guest):
    picture = screen.screenshot(conn, running)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) >= (640, 400)
    with pytest.raises(WrongState):
        screen.screenshot(conn, guest)


def test_a_picture_of_an_older_qemu_becomes_a_png():
    png = screen._png_from_ppm(b"P6\n2 1\n255\n" + bytes([255, 0, 0, 0, 255, 0]))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (2, 1)


def test_keys_are_pressed(conn, running):
    screen.send_keys(conn, running, ["LEFTCTRL", "leftalt", "KEY_DELETE"])
    screen.send_keys(conn, running, [30])
    for keys in ([], ["NOKEY"], [0], [10**6], ["A"] * 17):
        with pytest.raises(Invalid):
            screen.send_keys(conn, running, keys)


def test_what_the_firmware_writes_is_read_and_a_stopped_guest_ends_the_console(conn, guest):
    power.start(conn, guest, paused=True)
    with open_console(conn.uri, guest) as console:
        power.resume(conn, guest)
        said = b""
        while b"SeaBIOS" not in said:
            said += console.recv(4096, timeout_s=30)
        console.send(b"x" * 5000)
        power.destroy(conn, guest)
        begun = time.monotonic()
        while console.recv(4096, timeout_s=10):
            pass
        assert time.monotonic() - begun < 10


def test_a_silent_guest_does_not_hold_the_reader_for_ever(conn, guest):
    power.start(conn, guest, paused=True)
    with open_console(conn.uri, guest) as console:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            console.recv(100, timeout_s=0.3)
        assert time.monotonic() - begun < 2
        closer = threading.Timer(0.3, console.close)
        closer.start()
        assert console.recv(100) == b""
        closer.join()
        with pytest.raises(WrongState, match="Open it again"):
            console.send(b"x")


def test_whoever_opens_a_console_last_has_it(conn, guest):
    power.start(conn, guest, paused=True)
    with open_console(conn.uri, guest) as first:
        with pytest.raises(Exception, match="Could not open the console"):
            open_console(conn.uri, guest, force=False)
        with open_console(conn.uri, guest) as second:
            power.resume(conn, guest)
            said = b""
            while b"SeaBIOS" not in said:
                said += second.recv(4096, timeout_s=30)
            assert first.recv(100, timeout_s=10) == b""


def test_a_console_that_is_not_there_says_why(conn, guest, define):
    with pytest.raises(WrongState, match="is off"):
        open_console(conn.uri, guest)
    xml = tiny_guest(unique()).replace('<console type="pty"/>', "").replace('<bios useserial="yes"/>', "")
    mute = define(xml)
    power.start(conn, mute, paused=True)
    with pytest.raises(WrongState, match="no serial console"):
        open_console(conn.uri, mute)
