"""Which types of pools a host has, and what its storage offers for them."""

from __future__ import annotations

from dataclasses import dataclass

from virt.connection import Connection
from virt.errors import NotSupported
from virt.pool_xml import FIELDS, host_elements
from virt.xmltree import E, Element, attribute, dump, parse, text

DISCOVER_TIMEOUT_S = 60.0  # a file server that does not answer
NOBODY = "iqn.2000-01.org.example:look"  # as whom an iSCSI server is asked when nobody said
DISCOVERABLE = ("netfs", "logical", "iscsi", "iscsi-direct", "scsi")


@dataclass(frozen=True, kw_only=True)
class PoolKind:
    """A type of pool that libvirt on the host was built with. Whether its tools are installed only starting one tells.

    `formats` are those of the source: file systems, partition tables, kinds of file servers.
    """

    type: str
    formats: tuple[str, ...]
    default_format: str


@dataclass(frozen=True, kw_only=True)
class FoundSource:
    """Something that a pool could be made of: an export, a target, a volume group, an adapter."""

    label: str
    host: str = ""
    directory: str = ""
    source_name: str = ""
    target: str = ""
    initiator: str = ""
    adapter: str = ""
    format: str = ""


def pool_kinds(conn: Connection) -> list[PoolKind]:
    """The types that this host's libvirt has, of those that we know.
    https://libvirt.org/html/libvirt-libvirt-storage.html#virConnectGetStoragePoolCapabilities
    """
    xml = conn.call(lambda handle: handle.getStoragePoolCapabilities(0), "ask which types of pools there are")
    kinds = []
    for pool in parse(xml).iterfind("pool"):
        if pool.get("supported") != "yes" or pool.get("type") not in FIELDS:
            continue
        formats = pool.iterfind("poolOptions/enum[@name='sourceFormatType']/value")
        kinds.append(
            PoolKind(
                type=str(pool.get("type")),
                formats=tuple(each.text or "" for each in formats),
                default_format=attribute(pool, "poolOptions/defaultFormat", "type"),
            )
        )
    return kinds


def find_sources(conn: Connection, pool_type: str, *, host: str = "", initiator: str = "") -> list[FoundSource]:
    """What a pool of that type could be made of: looked for on the host, or on the machine `host` from it.

    Raises NotSupported where libvirt cannot look, VirtError with the tool's own words when it finds nobody.
    https://libvirt.org/html/libvirt-libvirt-storage.html#virConnectFindStoragePoolSources
    """
    if pool_type not in DISCOVERABLE:
        raise NotSupported(f"Sources of pools of type {pool_type} cannot be looked for.", field="type")
    if pool_type == "scsi":
        return _adapters(conn)
    source: Element = E.source()
    source.extend(host_elements(host))
    if initiator or pool_type == "iscsi-direct":
        source.append(E.initiator(E.iqn(name=initiator or NOBODY)))
    xml = dump(source) if len(source) else None
    found = conn.call(
        lambda handle: handle.findStoragePoolSources(pool_type, xml, 0),
        f"look for sources of {pool_type} pools",
        timeout_s=DISCOVER_TIMEOUT_S,
    )
    return [_source(pool_type, each, host, initiator) for each in parse(found).iterfind("source")]


def _source(pool_type: str, source: Element, host: str, initiator: str) -> FoundSource:
    directory, name = attribute(source, "dir", "path"), text(source, "name")
    target = attribute(source, "device", "path") if pool_type.startswith("iscsi") else ""
    where = _server(source) or host
    label = " ".join(filter(None, (name, directory, target)))
    return FoundSource(
        label=f"{where}: {label}" if where else label,
        host=where,
        directory=directory,
        source_name=name if pool_type in ("logical", "gluster") else "",
        target=target,
        initiator=initiator,
        format=attribute(source, "format", "type") if pool_type == "netfs" else "",
    )


def _server(source: Element) -> str:
    """As `PoolSpec.host` has it."""
    name, port = attribute(source, "host", "name"), attribute(source, "host", "port")
    if not port or port == "0":
        return name
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _adapters(conn: Connection) -> list[FoundSource]:
    names = conn.call(lambda handle: handle.listDevices("scsi_host", 0), "list the SCSI adapters")
    hosts = sorted(name.removeprefix("scsi_") for name in names)
    return [FoundSource(label=name, adapter=name) for name in hosts]
