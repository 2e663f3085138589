"""Secrets of a host's libvirt: passphrases of encrypted disks, keys and passwords of pools.

A value goes in and never comes back. https://libvirt.org/html/libvirt-libvirt-secret.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from uuid import uuid4

import libvirt

from virt import validate
from virt.connection import Connection
from virt.domain_reader import list_domains
from virt.errors import SecretMissing, VirtError
from virt.secret_xml import SecretXML, read_secret, secrets_named, unnamed_xml
from virt.types import DomainInfo, Uuid
from virt.types.secrets import SecretInfo
from virt.xmltree import attribute, parse

T = TypeVar("T")
_USAGE_TYPES = {
    "volume": libvirt.VIR_SECRET_USAGE_TYPE_VOLUME,
    "ceph": libvirt.VIR_SECRET_USAGE_TYPE_CEPH,
    "iscsi": libvirt.VIR_SECRET_USAGE_TYPE_ISCSI,
    "tls": libvirt.VIR_SECRET_USAGE_TYPE_TLS,
}


def list_secrets(conn: Connection) -> list[SecretInfo]:
    """All that the host has, without their values."""

    def work(handle: libvirt.virConnect) -> list[SecretInfo]:
        found = []
        for secret in handle.listAllSecrets(0):
            with suppress(libvirt.libvirtError):  # undefined while we were reading
                found.append(read_secret(secret.XMLDesc(0)))
        return found

    return conn.call(work, "list the secrets of the host")


def find_secret(conn: Connection, usage: str, usage_id: str) -> SecretInfo | None:
    """The one for that use, or None."""

    def work(handle: libvirt.virConnect) -> SecretInfo:
        return read_secret(handle.secretLookupByUsage(_USAGE_TYPES[usage], usage_id).XMLDesc(0))

    try:
        return conn.call(work, f"look up the secret for {usage_id}")
    except SecretMissing:
        return None


def define_secret(conn: Connection, secret: SecretXML, value: bytes) -> None:
    """Define a secret and give it its value; when the value is not taken, the secret is gone again.

    Raises Invalid, or SecretExists when the host has another one for that use.
    """
    xml = secret.to_xml()

    def work(handle: libvirt.virConnect) -> None:
        made = handle.secretDefineXML(xml, 0)
        try:
            made.setValue(value, 0)
        except libvirt.libvirtError:
            made.undefine()
            raise

    conn.call(work, f"define the secret for {secret.usage_id}")


def set_value(conn: Connection, uuid: Uuid, value: bytes) -> None:
    """Give a secret another value. Raises SecretMissing."""
    _on_secret(conn, uuid, "set the value of secret {}", lambda secret: secret.setValue(value, 0))


def delete_secret(conn: Connection, uuid: Uuid) -> bool:
    """Have the host forget a secret and its value. False: it has none of that UUID."""
    try:
        _on_secret(conn, uuid, "delete secret {}", lambda secret: secret.undefine())
    except SecretMissing:
        return False
    return True


@contextmanager
def for_a_moment(conn: Connection, uuid: Uuid, value: bytes) -> Iterator[str]:
    """A secret for no use in particular, in libvirt's memory only, gone when the block ends: to try a passphrase."""
    xml = unnamed_xml(str(uuid))
    conn.call(lambda handle: handle.secretDefineXML(xml, 0), "define a secret")
    try:
        set_value(conn, uuid, value)
        yield str(uuid)
    finally:
        with suppress(VirtError):
            delete_secret(conn, uuid)


def guests_naming(conn: Connection, secret: SecretInfo) -> list[DomainInfo]:
    """Guests of the host whose definition, now or at their next start, asks for the secret."""
    return [info for info in list_domains(conn) if _names(info, secret)]


def uuid_for_image(conn: Connection, path: str) -> str:
    """The UUID under which guests ask for the passphrase of the image at `path`; a new one where they ask by its path
    or none has it.
    """
    for info in list_domains(conn):
        for disk in parse(info.xml).iterfind("devices/disk"):
            if path in (attribute(disk, "source", "file"), attribute(disk, "source", "dev")):
                for secret in disk.iterfind(".//encryption/secret"):
                    if uuid := secret.get("uuid"):
                        return validate.uuid(str(uuid))
    return str(uuid4())


def _names(info: DomainInfo, secret: SecretInfo) -> bool:
    return any(use.is_for(secret) for xml in filter(None, (info.xml, info.live_xml)) for use in secrets_named(xml))


def _on_secret(conn: Connection, uuid: Uuid, verb: str, action: Callable[[libvirt.virSecret], T]) -> T:
    wanted = validate.uuid(str(uuid))
    return conn.call(lambda handle: action(handle.secretLookupByUUIDString(wanted)), verb.format(wanted))
