"""What a connection to a host needs besides its address: a login, a program in place of ssh, certificates."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

import libvirt

from virt.errors import HostTimeout

SSH_TRANSPORTS = ("ssh", "libssh", "libssh2")
DEFAULT_PORTS = {"tcp": 16509, "tls": 16514}
_NAME_KINDS = (libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_USERNAME, libvirt.VIR_CRED_ECHOPROMPT)
_SECRET_KINDS = (libvirt.VIR_CRED_PASSPHRASE, libvirt.VIR_CRED_NOECHOPROMPT)

# "Which ways to log in do you know?", to which every libvirtd answers before anything else. All fields are 32 bit:
# length, program, version, procedure, type, serial, status. https://libvirt.org/kbase/internals/rpc.html
_AUTH_LIST = struct.pack(">7I", 28, 0x20008086, 1, 66, 0, 0, 0)

_LOGINS = {0: "none", 1: "sasl", 2: "polkit"}


@dataclass(frozen=True, kw_only=True)
class Access:
    """`username` and `password` are for libvirt's own login (SASL). `ssh_command` is a program called as ssh is,
    `pki_path` a directory with cacert.pem, clientcert.pem and clientkey.pem. Empty is libvirt's default each time.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    ssh_command: str = ""
    pki_path: str = ""


NO_ACCESS = Access()


def transport_of(uri: str) -> str:
    """The part after the plus of "qemu+ssh://…"; "" for a plain local one, "tls" where libvirt means that."""
    parts = urlsplit(uri)
    named = parts.scheme.partition("+")[2]
    return named or ("tls" if parts.hostname else "")


def with_access(uri: str, access: Access) -> str:
    """`uri` as libvirt has to get it: never asking on the server's terminal, with our programs and files.

    https://libvirt.org/uri.html#uri-extra-parameters
    """
    parts = urlsplit(uri)
    transport, given = transport_of(uri), parse_qs(parts.query)
    wanted: dict[str, str] = {}
    if transport in SSH_TRANSPORTS and "no_tty" not in given:
        wanted["no_tty"] = "1"  # ssh would ask for a password there and wait for ever
    if transport == "ssh" and access.ssh_command:
        wanted["command"] = access.ssh_command
    if transport == "tls" and access.pki_path:
        wanted["pkipath"] = access.pki_path
    added = [f"{name}={quote(value, safe='/')}" for name, value in wanted.items()]
    return parts._replace(query="&".join(filter(None, [parts.query, *added]))).geturl() if added else uri


def open_libvirt(uri: str, access: Access) -> libvirt.virConnect:
    """Open it, answering libvirt's questions from `access`; a question without an answer ends the attempt.

    https://libvirt.org/html/libvirt-libvirt-host.html#virConnectOpenAuth
    """

    def answer(credentials: list[list[Any]], _opaque: object) -> int:
        for credential in credentials:
            value = access.username if credential[0] in _NAME_KINDS else access.password
            if not value:
                return -1
            credential[4] = value
        return 0

    return libvirt.openAuth(with_access(uri, access), [[*_NAME_KINDS, *_SECRET_KINDS], answer, None], 0)


def offered_logins(hostname: str, port: int, timeout_s: float) -> set[str]:
    """How libvirtd on a TCP port wants to be logged in to: some of "none", "sasl", "polkit"; empty: it is no libvirtd.

    Raises TimeoutError when nothing answers, or another OSError.
    """
    with socket.create_connection((hostname, port), timeout=timeout_s) as plain:
        plain.sendall(_AUTH_LIST)
        answer = plain.recv(1024)
    if len(answer) < 32 or answer[4:8] != _AUTH_LIST[4:8]:
        return set()
    (count,) = struct.unpack(">I", answer[28:32])
    kinds = struct.unpack(f">{count}I", answer[32 : 32 + 4 * count]) if len(answer) >= 32 + 4 * count else ()
    return {_LOGINS[kind] for kind in kinds if kind in _LOGINS}


def require_answer(uri: str, access: Access, timeout_s: float) -> None:
    """Raise HostTimeout when libvirt's port takes a connection and then says nothing, while we can still let go of it.

    libvirt itself would wait there without end, and a thread with it. Whatever else is wrong, libvirt finds and names.
    """
    transport, parts = transport_of(uri), urlsplit(uri)
    if transport not in DEFAULT_PORTS or not parts.hostname:
        return
    try:
        address = (parts.hostname, parts.port or DEFAULT_PORTS[transport])
        with socket.create_connection(address, timeout=timeout_s) as plain:
            if transport == "tcp":
                plain.sendall(_AUTH_LIST)
                plain.recv(4)
                return
            with _tls(parts, access).wrap_socket(plain, server_hostname=parts.hostname) as safe:
                safe.recv(1)  # libvirt's own word that it likes our certificate
    except TimeoutError as exc:
        raise HostTimeout(
            f"Could not connect to {uri}: it did not answer within {timeout_s:g} s. "
            "It may be overloaded or off the network, or another service listens on that port."
        ) from exc
    except OSError:
        return


def _tls(parts: SplitResult, access: Access) -> ssl.SSLContext:
    """Verifies nothing: it is asked only whether somebody answers, and libvirt verifies for itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    directory = access.pki_path or parse_qs(parts.query).get("pkipath", [""])[0] or "/etc/pki/libvirt"
    certificate, key = Path(directory, "clientcert.pem"), Path(directory, "clientkey.pem")
    if not access.pki_path and not certificate.exists():
        key = Path(directory, "private", "clientkey.pem")
    if certificate.exists() and key.exists():
        context.load_cert_chain(certificate, key)
    return context
