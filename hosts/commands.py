"""Commands on a host: here as a process of our own, elsewhere through the host's SSH connection. For workers only."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from django.utils.translation import gettext as _

from virt.errors import HostTimeout, NotSupported, VirtError
from virt.libvirt_errors import from_ssh

from .models import Host
from .reaching.access import ssh_to
from .reaching.address import Address, Transport

MOST_OUTPUT_BYTES = 4 * 2**20
GRACE_S = 5.0  # for the command on the host to end after its time is over
TIMED_OUT = 124  # what timeout(1) returns then
SSH_FAILED = 255


class Done(NamedTuple):
    """How a command ended. Bytes that are no UTF-8 are replaced."""

    code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class CommandFailed(VirtError):
    """A command on the host ended with an error."""

    code = "command_failed"


def can_run(host: Host) -> bool:
    """Whether there is a way to run commands on the host. Asks nobody."""
    return Address.parse(host.uri).transport in (Transport.LOCAL, Transport.SSH)


def run(host: Host, argv: Sequence[str], *, timeout_s: float = 30.0, stdin: str = "", as_root: bool = False) -> Done:
    """Run `argv` on the host and return how it ended, whatever its exit code.

    No shell sees it: each word arrives as it is. `as_root` goes through `sudo -n` where the login is not root's.
    On another machine the command is ended when its time is over; its output is bounded. Raises NotSupported for
    a host that is not reached over SSH, HostUnreachable, HostKeyRefused, PermissionRefused, or HostTimeout.
    """
    address = Address.parse(host.uri)
    is_local = address.transport == Transport.LOCAL
    is_root = os.geteuid() == 0 if is_local else address.user == "root"
    words = ["sudo", "-n", "--", *argv] if as_root and not is_root else list(argv)
    if is_local:
        return run_here(words, timeout_s=timeout_s, stdin=stdin)
    if not address.is_ssh:
        raise NotSupported(
            _("kvmweb runs commands on %(host)s only over SSH. Change its connection to SSH for that.")
            % {"host": host.name}
        )
    limited = ["timeout", "-k", f"{GRACE_S:g}", f"{timeout_s:g}", *words]
    done = run_here(ssh_to(host).argv(command=limited), timeout_s=timeout_s + 2 * GRACE_S, stdin=stdin)
    if done.code == SSH_FAILED:
        raise from_ssh(done.stderr, f"run {argv[0]} on {host.name}")
    if done.code == TIMED_OUT:
        raise _too_slow(argv[0], timeout_s)
    return done


def read(host: Host, argv: Sequence[str], *, timeout_s: float = 30.0, as_root: bool = False) -> str:
    """What the command wrote. Raises CommandFailed when it ended with an error, and what `run` raises."""
    done = run(host, argv, timeout_s=timeout_s, as_root=as_root)
    if not done.ok:
        raise CommandFailed(
            _("The command %(command)s failed on %(host)s with code %(code)d.")
            % {"command": argv[0], "host": host.name, "code": done.code},
            details=done.stderr.strip() or done.stdout.strip(),
        )
    return done.stdout


def run_here(argv: Sequence[str], *, timeout_s: float, stdin: str = "") -> Done:
    """Run `argv` on this machine; it is killed when its time is over.

    Raises HostTimeout, NotSupported when there is no such program, or CommandFailed when it writes more than
    MOST_OUTPUT_BYTES.
    """
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise NotSupported(
            _("This machine has no program %(program)s.") % {"program": argv[0]}, details=str(error)
        ) from error
    try:
        stdout, stderr = _talk(process, stdin.encode(), argv[0], timeout_s)
        return Done(process.wait(GRACE_S), stdout.decode(errors="replace"), stderr.decode(errors="replace"))
    except subprocess.TimeoutExpired as error:
        raise _too_slow(argv[0], timeout_s) from error
    except BaseException:  # with all that it started: nothing of it goes on unseen
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _talk(process: "subprocess.Popen[bytes]", stdin: bytes, program: str, timeout_s: float) -> tuple[bytes, bytes]:
    """Write and read until both outputs are closed. Raises HostTimeout or CommandFailed."""
    until = time.monotonic() + timeout_s
    to, out, err = (pipe.fileno() for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None)
    heard = {out: bytearray(), err: bytearray()}
    with selectors.DefaultSelector() as selector:
        for reading in heard:
            selector.register(reading, selectors.EVENT_READ)
        selector.register(to, selectors.EVENT_WRITE)
        while not selector.get_map().keys().isdisjoint(heard):
            ready = selector.select(until - time.monotonic())
            if time.monotonic() >= until:
                raise _too_slow(program, timeout_s)
            for key, _events in ready:
                if key.fd == to:
                    stdin = _write(to, stdin)
                    if not stdin and process.stdin is not None:
                        selector.unregister(to)
                        process.stdin.close()
                elif piece := os.read(key.fd, 65536):
                    heard[key.fd] += piece
                else:
                    selector.unregister(key.fd)
            if sum(map(len, heard.values())) > MOST_OUTPUT_BYTES:
                raise CommandFailed(_("The command %(program)s writes too much.") % {"program": program})
    return bytes(heard[out]), bytes(heard[err])


def _write(pipe: int, data: bytes) -> bytes:
    """Write a piece and return what is left; nothing is when the command does not read any more."""
    try:
        return data[os.write(pipe, data[:4096]) :]  # no more than a pipe that is ready takes without blocking
    except BrokenPipeError:
        return b""


def _too_slow(program: str, timeout_s: float) -> HostTimeout:
    return HostTimeout(
        _("The command %(program)s took longer than %(seconds)g s.") % {"program": program, "seconds": timeout_s}
    )
