"""A socket to what listens on a host for the host alone, through the host's shared SSH connection.

https://man.openbsd.org/ssh#O
"""

import secrets
import socket
from pathlib import Path

from django.utils.translation import gettext as _

from hosts import ssh
from hosts.commands import SSH_FAILED, run_here
from hosts.models import Host
from virt.errors import VirtError
from virt.graphics import Listener, Through
from virt.libvirt_errors import from_ssh

from .access import ssh_to
from .address import Address

COMMAND_TIMEOUT_S = 15.0
FIRST_WORD_S = 5.0


def through(host: Host) -> Through | None:
    """How displays of the host's guests are reached from here; None where the host is not reached over SSH."""
    if not Address.parse(host.uri).is_ssh:
        return None
    client = ssh_to(host)
    return lambda listener: connect_through(client, listener, host.name)


def connect_through(client: ssh.SshClient, listener: Listener, name: str) -> socket.socket:
    """Connect to a `listener` that speaks first, as VNC does. `name` is the host's, for sentences.

    ssh listens on a socket of ours for just the moment that it takes. Raises VirtError, HostUnreachable, HostKeyRefused
    or PermissionRefused.
    """
    here = ssh.directory() / f"f{secrets.token_hex(4)}"
    there = _escaped(listener.socket) if listener.socket else f"{_bracketed(listener.address)}:{listener.port}"
    forward = ["-L", f"{_escaped(str(here))}:{there}"]
    _ensure_connected(client, name)
    done = run_here(client.argv("-O", "forward", *forward), timeout_s=COMMAND_TIMEOUT_S)
    if not done.ok:
        raise _refused(name, done.stderr)
    try:
        return _connected(here, name)
    finally:
        run_here(client.argv("-O", "cancel", *forward), timeout_s=COMMAND_TIMEOUT_S)
        here.unlink(missing_ok=True)


def _ensure_connected(client: ssh.SshClient, name: str) -> None:
    if run_here(client.argv("-O", "check"), timeout_s=COMMAND_TIMEOUT_S).ok:
        return
    done = run_here(client.argv(command=["true"]), timeout_s=COMMAND_TIMEOUT_S)
    if done.code == SSH_FAILED:
        raise from_ssh(done.stderr, f"connect to {name}")


def _connected(path: Path, name: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(FIRST_WORD_S)
    try:
        sock.connect(str(path))
        if not sock.recv(1, socket.MSG_PEEK):
            raise _refused(name, "")
    except OSError as error:
        sock.close()
        raise _refused(name, str(error)) from error
    except VirtError:
        sock.close()
        raise
    sock.settimeout(None)
    return sock


def _refused(name: str, details: str) -> VirtError:
    return VirtError(
        _(
            "The SSH server of %(host)s lets nobody through to the display. AllowTcpForwarding and "
            "AllowStreamLocalForwarding in its sshd_config must be yes, and a display that listens on a socket can be "
            "opened by root alone: connect the host as root, or let the display listen on 127.0.0.1."
        )
        % {"host": name},
        details=details,
    )


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
