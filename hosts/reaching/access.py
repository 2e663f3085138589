"""From the rows to what virt needs to connect: files below KVMWEB_VAR, and a login."""

import shutil
from pathlib import Path

from django.conf import settings

from hosts import files, ssh
from hosts.models import Host
from virt.access import NO_ACCESS, Access

from .address import Address, Transport
from .models import Attempt, Credentials, Login


def access_to(host: Host) -> Access:
    """The login of a host. Raises hosts.secrets.SecretLost."""
    address = Address.parse(host.uri)
    if address.transport in (Transport.LOCAL, Transport.TEST):
        return NO_ACCESS
    return _access(str(host.pk), address, _login_of(host))


def access_for(attempt: Attempt) -> Access:
    """The login of an attempt."""
    return _access(_label(attempt), attempt.address, attempt)


def ssh_to(host: Host) -> ssh.SshClient:
    """How to call ssh for a host that is reached over SSH."""
    return ssh.client(str(host.pk), Address.parse(host.uri), _login_of(host).host_keys)


def ssh_for(attempt: Attempt) -> ssh.SshClient:
    return ssh.client(_label(attempt), attempt.address, attempt.host_keys)


def forget(host: Host) -> None:
    """End the shared SSH connection of a host and remove its files; they are made anew when it is reached again."""
    if Address.parse(host.uri).is_ssh:
        _remove(ssh_to(host))
    shutil.rmtree(_pki(str(host.pk)), ignore_errors=True)


def forget_attempt(attempt: Attempt) -> None:
    """The same for an attempt that has ended."""
    if attempt.address.is_ssh:
        _remove(ssh_for(attempt))
    shutil.rmtree(_pki(_label(attempt)), ignore_errors=True)


def pki_for(attempt: Attempt) -> Path:
    """The directory with the certificates of an attempt."""
    return Path(access_for(attempt).pki_path)


def _login_of(host: Host) -> Login:
    return Credentials.objects.filter(host=host).first() or Credentials(host=host)


def _label(attempt: Attempt) -> str:
    return f"try{attempt.pk}"


def _access(label: str, address: Address, login: Login) -> Access:
    if address.is_ssh:
        return Access(ssh_command=str(ssh.client(label, address, login.host_keys).program))
    if address.transport == Transport.TLS and login.tls_ca:
        pki = files.private_directory(_pki(label))
        files.keep(pki / "cacert.pem", login.tls_ca.encode())
        files.keep(pki / "clientcert.pem", login.tls_certificate.encode())
        files.keep(pki / "clientkey.pem", login.tls_key.encode())
        return Access(username=login.username, password=login.password, pki_path=str(pki))
    return Access(username=login.username, password=login.password)


def _pki(label: str) -> Path:
    return Path(settings.VAR) / "pki" / label


def _remove(client: ssh.SshClient) -> None:
    ssh.hang_up(client)
    shutil.rmtree(client.home, ignore_errors=True)
