"""The document that makes a storage pool, and which fields each type of pool has.
https://libvirt.org/formatstorage.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from virt import validate
from virt.errors import Invalid
from virt.xmltree import E, Element, dump, indent, parse, text

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]{2,45}\]?", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+:@/-]{0,222}", re.ASCII)
_MODE = re.compile(r"0?[0-7]{3}", re.ASCII)
_VARYING = ("capacity", "allocation", "available")

# What must be told of each type, and what may be. https://libvirt.org/storage.html
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dir": (("path",), ("owner", "group", "mode")),
    "fs": (("device", "path"), ("format", "owner", "group", "mode")),
    "netfs": (("host", "directory", "path"), ("format",)),
    "logical": (("source_name",), ("device",)),
    "disk": (("device",), ("format",)),
    "iscsi": (("host", "target"), ("initiator", "auth_user", "auth_secret")),
    "iscsi-direct": (("host", "target", "initiator"), ("auth_user", "auth_secret")),
    "scsi": (("adapter",), ()),
    "mpath": ((), ()),
    "rbd": (("host", "source_name"), ("auth_user", "auth_secret")),
    "gluster": (("host", "source_name"), ("directory",)),
    "zfs": (("source_name",), ("device",)),
    "vstorage": (("source_name", "path"), ("owner", "group", "mode")),
}
# Where libvirt shows the volumes of types whose place is given by their nature.
_TARGETS = {
    "iscsi": "/dev/disk/by-path",
    "scsi": "/dev/disk/by-path",
    "disk": "/dev",
    "mpath": "/dev/mapper",
    "logical": "/dev/{source_name}",
    "zfs": "/dev/zvol/{source_name}",
}


@dataclass(frozen=True, kw_only=True)
class PoolSpec:
    """A pool to define. FIELDS says which of these a type has; others are left empty.

    `host` is a name or address, with ":port" where it is not the usual one; several, with commas, for rbd.
    `directory` is the export, share or folder there; `device` block devices of the host, with commas for logical and
    zfs; `auth_secret` the UUID of a libvirt secret of the host; `mode` octal, as `chmod` has it.
    """

    name: str
    type: str
    uuid: str = ""
    path: str = ""
    host: str = ""
    directory: str = ""
    device: str = ""
    format: str = ""
    source_name: str = ""
    target: str = ""
    initiator: str = ""
    adapter: str = ""
    auth_user: str = ""
    auth_secret: str = ""
    owner: str = ""
    group: str = ""
    mode: str = ""

    def to_xml(self) -> str:
        """Raises Invalid, with the field, for what is missing, does not belong, or cannot be."""
        self._check()
        pool = E.pool(E.name(self.name), type=self.type)
        if self.uuid:
            pool.append(E.uuid(validate.uuid(self.uuid)))
        source = self._source()
        if len(source):
            pool.append(source)
        path = self.path or _TARGETS.get(self.type, "").format(source_name=self.source_name)
        if path:
            target: Element = E.target(E.path(validate.absolute_path(path)))
            if self.owner or self.group or self.mode:
                target.append(self._permissions())
            pool.append(target)
        return dump(indent(pool))

    @property
    def target_path(self) -> str:
        """Where its volumes will be on the host; "" where they are reached over the network."""
        return self.path or _TARGETS.get(self.type, "").format(source_name=self.source_name)

    def _check(self) -> None:
        validate.pool_name(self.name)
        if self.type not in FIELDS:
            raise Invalid(f"There are no pools of type {self.type}.", field="type")
        required, optional = FIELDS[self.type]
        for name in _ALL_FIELDS:
            value = getattr(self, name)
            if value and name not in (*required, *optional):
                raise Invalid(f"A pool of type {self.type} has no {name.replace('_', ' ')}.", field=name)
            if name in required and not value:
                raise Invalid("This is needed for a pool of that type.", field=name)
            if value:
                _CHECKS[name](value, name)
        if self.type in ("iscsi", "iscsi-direct") and bool(self.auth_user) != bool(self.auth_secret):
            raise Invalid("A login has a name and a secret: give both or none.", field="auth_user")

    def _source(self) -> Element:
        source: Element = E.source()
        source.extend(host_elements(self.host))
        if self.target:
            source.append(E.device(path=self.target))
        for device in filter(None, self.device.split(",")):
            source.append(E.device(path=device.strip()))
        if self.directory:
            source.append(E.dir(path=self.directory))
        if self.adapter:
            source.append(E.adapter(type="scsi_host", name=self.adapter))
        if self.source_name:
            source.append(E.name(self.source_name))
        if self.initiator:
            source.append(E.initiator(E.iqn(name=self.initiator)))
        if self.auth_user:
            kind = "ceph" if self.type == "rbd" else "chap"
            secret = E.secret(uuid=validate.uuid(self.auth_secret, field="auth_secret"))
            source.append(E.auth(secret, type=kind, username=self.auth_user))
        if self.format:
            source.append(E.format(type=self.format))
        elif self.type == "logical":
            source.append(E.format(type="lvm2"))
        return source

    def _permissions(self) -> Element:
        permissions: Element = E.permissions()
        for tag, value in (("mode", self.mode), ("owner", self.owner), ("group", self.group)):
            if value:
                permissions.append(E(tag, value))
        return permissions


def host_elements(hosts: str) -> list[Element]:
    """The <host> of each machine in a list with commas, its port behind a colon where it is not the usual one."""
    found = []
    for host in filter(None, hosts.split(",")):
        name, port = _split_port(host.strip())
        found.append(E.host(name=name, **({"port": port} if port else {})))
    return found


def stable_xml(xml: str) -> str:
    """A pool's definition without what changes by itself: how full it is."""
    root = parse(xml)
    for tag in _VARYING:
        for element in root.findall(tag):
            root.remove(element)
    return dump(root)


def check_edited(xml: str, *, name: str, uuid: str) -> str:
    """The definition as libvirt may get it. Raises Invalid unless it is that of the same pool."""
    root = parse(xml)
    if root.tag != "pool":
        raise Invalid(f"This describes a <{root.tag}>, not a <pool>.", field="xml")
    if text(root, "name") != name or text(root, "uuid") != uuid:
        raise Invalid(f"The name {name} and the UUID {uuid} of a pool cannot be changed.", field="xml")
    if str(root.get("type", "")) not in FIELDS:
        raise Invalid("This is not a type of pool.", field="xml")
    if path := text(root, "target/path"):
        validate.absolute_path(path, field="xml")
    return stable_xml(xml)


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    if colon and port.isascii() and port.isdigit() and "]" not in port and (":" not in name or name.endswith("]")):
        return name.strip("[]"), port
    return host.strip("[]"), ""


def _host(value: str, field: str) -> None:
    for each in value.split(","):
        name, port = _split_port(each.strip())
        if not _HOST.fullmatch(name) or (port and not 0 < int(port) < 65536):
            raise Invalid("This is not the name or address of a machine, with a port behind a colon.", field=field)


def _path(value: str, field: str) -> None:
    validate.absolute_path(value, field=field)


def _paths(value: str, field: str) -> None:
    for each in value.split(","):
        validate.absolute_path(each.strip(), field=field)


def _word(value: str, field: str) -> None:
    if not _WORD.fullmatch(value):
        raise Invalid("This holds characters that do not belong here.", field=field)


def _number(value: str, field: str) -> None:
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise Invalid("Give the number of the user or group.", field=field)


def _mode(value: str, field: str) -> None:
    if not _MODE.fullmatch(value):
        raise Invalid("Permissions are three octal digits, such as 711 or 755.", field=field)


def _share(value: str, field: str) -> None:
    """A path on a file server; a share of Windows has none of a path's slashes."""
    if not value.startswith("/"):
        return _word(value, field)
    return _path(value, field)


_CHECKS = {
    "path": _path,
    "host": _host,
    "directory": _share,
    "device": _paths,
    "format": _word,
    "source_name": _word,
    "target": _word,
    "initiator": _word,
    "adapter": _word,
    "auth_user": _word,
    "auth_secret": lambda value, field: validate.uuid(value, field=field),
    "owner": _number,
    "group": _number,
    "mode": _mode,
}
_ALL_FIELDS = tuple(_CHECKS)
