"""Questions to a machine below libvirt: is there such a name, does the port answer, whose certificate is it."""

import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import NamedTuple

RESOLVE_TIMEOUT_S = 8.0
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 5.0


class Silent(OSError):
    """The port takes a connection, and then nothing comes."""


def resolve(hostname: str) -> list[str]:
    """The addresses of a name. Raises OSError (socket.gaierror) or TimeoutError."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="resolve")
    try:
        found = executor.submit(socket.getaddrinfo, hostname, None, type=socket.SOCK_STREAM).result(RESOLVE_TIMEOUT_S)
    except FutureTimeout as error:
        raise TimeoutError("no name server answered") from error
    finally:
        executor.shutdown(wait=False)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(hostname: str, port: int) -> socket.socket:
    """Raises ConnectionRefusedError, TimeoutError or another OSError."""
    return socket.create_connection((hostname, port), timeout=CONNECT_TIMEOUT_S)


def greeting(hostname: str, port: int) -> str:
    """The first line that the service on a port says by itself, as an SSH server does. Raises OSError, or Silent."""
    with connect(hostname, port) as sock:
        sock.settimeout(ANSWER_TIMEOUT_S)
        try:
            return sock.recv(255).split(b"\n")[0].decode(errors="replace").strip()
        except TimeoutError as error:
            raise Silent(str(error)) from error


class Certificates(NamedTuple):
    """Where ours are. libvirt's own places are those of https://libvirt.org/kbase/tlscerts.html"""

    ca: Path = Path("/etc/pki/CA/cacert.pem")
    certificate: Path = Path("/etc/pki/libvirt/clientcert.pem")
    key: Path = Path("/etc/pki/libvirt/private/clientkey.pem")

    @classmethod
    def below(cls, pki: Path) -> "Certificates":
        return cls(pki / "cacert.pem", pki / "clientcert.pem", pki / "clientkey.pem")

    @property
    def exist(self) -> bool:
        """Whether this process can read all three."""
        return all(os.access(path, os.R_OK) for path in self)


def tls_peer(hostname: str, port: int, ours: Certificates) -> str:
    """The name in the certificate of a TLS server that ours trusts and that trusts ours.

    Raises ssl.SSLCertVerificationError when its certificate does not hold, ssl.SSLError when ours does not, Silent or
    another OSError. https://docs.python.org/3/library/ssl.html
    """
    context = ssl.create_default_context(cafile=str(ours.ca))
    context.load_cert_chain(ours.certificate, ours.key)
    with connect(hostname, port) as plain:
        plain.settimeout(ANSWER_TIMEOUT_S)
        try:
            with context.wrap_socket(plain, server_hostname=hostname) as safe:
                subject = (safe.getpeercert() or {}).get("subject", ())
                if safe.recv(1) != b"\1":  # libvirt's word that it likes our certificate
                    raise ssl.SSLError("the server closed the connection after it saw our certificate")
        except TimeoutError as error:
            raise Silent(str(error)) from error
    names = [str(value) for part in subject for name, value in part if name == "commonName"]  # type: ignore[misc, str-unpack, has-type]
    return names[0] if names else ""
