"""How it starts and stops, and what it says when it cannot."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.test_running import eventually, family, status, supervisor
from tests.stack import ROOT, Stack, new_stack, remove_stack

pytestmark = pytest.mark.stack


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Not running."""
    made = new_stack()
    yield made
    remove_stack(made)


def alive(pids: list[int]) -> list[int]:
    """Those that run; one that only waits to be reaped does not."""
    return [pid for pid in pids if re.search(r"\) [^Z]", _stat(pid))]


def _stat(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""


def test_the_first_start_prints_the_password_and_stop_ends_every_process(stack: Stack) -> None:
    said = stack.start()
    assert f"kvmweb is ready: {stack.base_url}" in said
    assert f"Log in as admin with the password {stack.admin_password}" in said
    pids = family(supervisor(stack))
    assert len(pids) >= 9

    assert "Stopped." in stack.stop()
    assert alive(pids) == []
    assert status(stack.base_url + "healthz") == 0
    assert "does not run" in stack.stop()
    assert stack.script("status").returncode == 3

    password = stack.admin_password
    began = time.monotonic()
    said = stack.start()
    assert time.monotonic() - began < 30  # nothing is installed again
    assert password not in said
    assert stack.admin_password == password


def test_ctrl_c_in_the_foreground_stops_everything(stack: Stack) -> None:
    output = stack.home / "output"
    with output.open("w") as out:
        server = subprocess.Popen(
            [ROOT / "script/server", "--no-install"],
            env=stack.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
        )  # fmt: skip
    assert eventually(lambda: "Press Ctrl-C" in output.read_text(), timeout_s=120), output.read_text()
    pids = family(supervisor(stack))
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait(timeout=60) == 0
    assert "libvirtd and the guests go on running" in output.read_text()
    assert alive(pids) == []


def test_after_the_supervisor_was_killed_nothing_runs_twice(stack: Stack) -> None:
    stack.start()
    supervisor_pid, *others = family(supervisor(stack))
    helper = stack.pid("helper")
    os.kill(supervisor_pid, signal.SIGKILL)
    assert eventually(lambda: set(alive(others)) <= {helper}, timeout_s=40), alive(others)
    stack.start()
    assert alive(others) == []
    assert status(stack.base_url + "readyz") == 200


def test_a_busy_port_is_named_before_anything_starts(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", stack.port)):
        done = stack.script("server", "--background", "--no-install")
    assert done.returncode == 1
    assert re.search(rf"Port {stack.port} on 127.0.0.1 is in use \(by \S+, process \d+\)", done.stdout)
    assert stack.script("status").returncode == 3


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("KVMWEB_PORT", "eighty", "KVMWEB_PORT=eighty is no port"),
        ("KVMWEB_PORT", "70000", "Choose a number from 1 to 65535"),
        ("KVMWEB_BIND", "192.0.2.77", "no address of this machine"),
        ("KVMWEB_STORE_DIR", "/var", "belongs to the system"),
        ("KVMWEB_VAR", "/var/tmp/" + "long/" * 20, "longer than 80 characters"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_a_sentence(
    stack: Stack, name: str, value: str, sentence: str
) -> None:
    stack.environment[name] = value
    done = stack.script("server", "--background", "--no-install")
    del stack.environment[name]
    assert done.returncode == 1
    assert sentence in done.stdout


def test_a_directory_with_other_things_in_it_is_left_alone(stack: Stack) -> None:
    stack.var.mkdir(mode=0o755)
    (stack.var / "letters").write_text("mine")
    done = stack.script("server", "--background", "--no-install")
    assert done.returncode == 1
    assert "is not empty and was not made by kvmweb" in done.stdout
    assert [file.name for file in stack.var.iterdir()] == ["letters"]
    assert stack.var.stat().st_mode & 0o7777 == 0o755


def test_without_root_and_sudo_it_says_so(stack: Stack) -> None:
    scripts = stack.home / "script"
    shutil.copytree(ROOT / "script", scripts)
    for name in ("server", "stop", "status", "setup"):
        done = subprocess.run(
            ["setpriv", "--reuid=nobody", "--clear-groups", scripts / name],
            env=stack.environment | {"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 1
        assert f"script/{name} needs root" in done.stderr


def test_a_closed_directory_above_is_opened_for_passing_only_and_closed_again(stack: Stack) -> None:
    """As when root clones kvmweb below /root."""
    closed = stack.home / "closed"
    inside = closed / "inside"
    inside.mkdir(parents=True)
    closed.chmod(0o700)

    def call(function: str) -> str:
        words = f"for p in say settings root access; do . script/lib/$p.sh; done; default_settings; {function}"
        environment = os.environ | {"ROOT": str(ROOT)}
        return subprocess.run(
            ["bash", "-euc", words], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout

    def kvmweb_may(*command: str) -> bool:
        words = ["setpriv", "--reuid=kvmweb", "--regid=kvmweb", "--init-groups", *command]
        return subprocess.run(words, capture_output=True).returncode == 0

    assert not kvmweb_may("test", "-x", str(inside))
    assert f"pass through {closed}" in call(f"open_way {inside}")
    assert kvmweb_may("test", "-x", str(inside))
    assert not kvmweb_may("ls", str(closed))
    assert call(f"open_way {inside}") == ""
    call(f"close_ways {inside}")
    assert not kvmweb_may("test", "-x", str(inside))
    acl = subprocess.run(["getfacl", "-cp", closed], capture_output=True, text=True, check=True).stdout.split()
    assert acl == ["user::rwx", "group::---", "other::---"]
