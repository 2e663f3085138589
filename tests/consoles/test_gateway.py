"""The gateway as a process: it forks for each viewer, so it has to be clean before and tidy after."""

import http.client
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from consoles.gateway import is_page_origin

from .client import open_console, read, ticket_for_script
from .site import ROOT


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def sockets(pid: int) -> int:
    links = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.libvirt
def test_nothing_is_open_before_the_fork_and_nothing_stays_after(site, site_guest, operator_of_site):
    pid = site.gateway.pid
    _status, entrance = ticket_for_script(site, operator_of_site.secret, site_guest[1])
    with open_console(site, "gateway", entrance) as console:
        read(console, 12)
        assert len(children(pid)) == 1
    end = time.monotonic() + 10
    while children(pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert children(pid) == []
    assert "Threads:\t1\n" in Path(f"/proc/{pid}/status").read_text()
    assert sockets(pid) == 1  # the one that it listens on: no libvirt, no Redis, no database server


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 405),
        ("/websockify", {}, 405),
        ("/../etc/passwd", {}, 405),
        ("/elsewhere?token=x", {"Upgrade": "websocket", "Connection": "Upgrade"}, 404),
        ("/websockify", {"Upgrade": "websocket", "Connection": "Upgrade"}, 403),
        ("/websockify?token=", {"Upgrade": "websocket", "Connection": "Upgrade"}, 403),
        ("/websockify?token=a&token=b", {"Upgrade": "websocket", "Connection": "Upgrade"}, 403),
        ("/websockify", {"Upgrade": "websocket", "Cookie": 'kvmweb_session="; \x01='}, 403),
    ],
)
def test_what_is_not_a_console_gets_an_honest_answer(site, path, headers, status):
    connection = http.client.HTTPConnection("127.0.0.1", site.gateway_port, timeout=10)
    connection.request("GET", path, headers=headers)
    assert connection.getresponse().status == status
    connection.close()


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        (None, "kvm:6080", True),  # a program
        ("http://kvm:8000", "kvm:6080", True),  # our page, and the gateway on a port of its own
        ("https://kvm.example", "kvm.example", True),  # both behind one proxy
        ("http://[fd00::5]:8000", "[fd00::5]:6080", True),
        ("https://trusted.example", "kvm:6080", True),
        ("http://kvm:8001", "kvm:6080", False),
        ("http://evil.example", "kvm:6080", False),
        ("http://kvm.evil.example:8000", "kvm:6080", False),
        ("null", "kvm:6080", False),
        ("http://[", "kvm:6080", False),
        ("http://kvm:8000", "[", False),
        ("http://kvm:8000", None, False),
    ],
)
def test_only_our_pages_may_open_consoles(origin, host, ours, settings):
    settings.PORT = 8000
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]
    assert is_page_origin(origin, host) is ours


def test_an_address_that_is_taken_is_said(site):
    command = [sys.executable, "manage.py", "vncproxy", "--port", str(site.gateway_port)]
    second = subprocess.run(command, cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{site.gateway_port}" in second.stderr
