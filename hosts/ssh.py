"""The one way in which kvmweb uses SSH: the system's OpenSSH with our own key, pinned host keys and one shared
connection per host, for libvirt, commands and consoles alike. https://man.openbsd.org/ssh_config
"""

import hashlib
import shlex
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from . import files
from .reaching.address import Address

ALIAS = "kvmweb-host"  # the name of the machine in its own known_hosts, however it is addressed
CONNECT_TIMEOUT_S = 10
LONGEST_SOCKET_PATH = 90  # of 107 bytes; while ssh opens it, the name has 17 more


def directory() -> Path:
    return files.private_directory(Path(settings.VAR) / "ssh")


def key_file() -> Path:
    """Our private key, made at the first call. https://man.openbsd.org/ssh-keygen"""
    path = directory() / "id_ed25519"
    if not path.exists():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        files.make_once(
            path, Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        )
    return path


def public_key() -> str:
    """The half of our key that hosts get, as one line of authorized_keys."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    key = load_ssh_private_key(key_file().read_bytes(), password=None).public_key()
    line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"{line} kvmweb@{socket.gethostname().partition('.')[0] or 'localhost'}"


@dataclass(frozen=True, kw_only=True)
class SshClient:
    """How to call ssh for one host: `program` takes ssh's own arguments, `argv` makes a whole command line."""

    address: Address
    home: Path

    @property
    def program(self) -> Path:
        return self.home / "ssh"

    def argv(self, *options: str, command: list[str] | None = None) -> list[str]:
        """ssh with `options`, and on the host `command`, quoted for its shell."""
        words = ["ssh", "-F", str(self.home / "config"), *options, "--", self.address.hostname]
        return [*words, shlex.join(command)] if command else words


def client(label: str, address: Address, host_keys: str) -> SshClient:
    """The client for an SSH address that believes only the `host_keys` ("ssh-ed25519 AAAA…" lines).

    `label` names its files: a host's number, or that of an attempt to reach one.
    """
    home = files.private_directory(directory() / label)
    found = SshClient(address=address, home=home)
    config = home / "config"
    files.keep(home / "known_hosts", "".join(f"{ALIAS} {line}\n" for line in host_keys.splitlines()).encode())
    files.keep(config, _config(home, label, address, host_keys).encode())
    files.keep(found.program, f'#!/bin/sh\nexec ssh -F {shlex.quote(str(config))} "$@"\n'.encode(), mode=0o700)
    return found


def hang_up(known: SshClient) -> None:
    """End the shared connection, and with it all that goes through it."""
    subprocess.run(known.argv("-O", "exit"), capture_output=True, timeout=10, check=False)


def _config(home: Path, label: str, address: Address, host_keys: str) -> str:
    # Another user, address or key is another connection: the old one must not be used for it.
    digest = hashlib.sha256(f"{address.uri} {host_keys}".encode()).hexdigest()[:6]
    shared = str(directory() / f"{label}-{digest}")
    lines = {
        "User": address.user,
        "Port": str(address.actual_port),
        "IdentityFile": _quoted(key_file()),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": _quoted(home / "known_hosts"),
        "GlobalKnownHostsFile": "none",
        "HostKeyAlias": ALIAS,
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "BatchMode": "yes",
        "PreferredAuthentications": "publickey",
        "ConnectTimeout": str(CONNECT_TIMEOUT_S),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ControlMaster": "auto",
        "ControlPath": _quoted(Path(shared)),
        "ControlPersist": "60",
        "RequestTTY": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "StreamLocalBindUnlink": "yes",
        "StreamLocalBindMask": "0177",
        "LogLevel": "ERROR",
    }
    if len(shared.encode()) > LONGEST_SOCKET_PATH:
        lines |= {"ControlMaster": "no", "ControlPath": "none", "ControlPersist": "no"}
    return "Host *\n" + "".join(f"  {name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    """For a value in which ssh expands %-tokens."""
    return '"' + str(path).replace("%", "%%") + '"'
