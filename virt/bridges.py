"""Bridges of the host, as libvirt's interface driver sees them (udev on Debian, netcf elsewhere)."""

from __future__ import annotations

from typing import NamedTuple

import libvirt

from virt.connection import Connection
from virt.errors import NotSupported
from virt.networks import list_networks
from virt.types import BridgeInfo
from virt.xmltree import Element, parse


def list_bridges(conn: Connection) -> list[BridgeInfo]:
    """All bridge devices, sorted by name; those that a virtual network made name it in `network`.

    Empty where the host's libvirt has no interface driver.
    """
    try:
        documents = conn.call(_interface_documents, "list the bridges of the host")
    except NotSupported:
        return []
    owners = {info.bridge: info.name for info in list_networks(conn) if info.bridge and _makes_bridge(info.forward)}
    bridges = [_bridge(found, owners) for found in documents if found.root.get("type") == "bridge"]
    return sorted(bridges, key=lambda bridge: bridge.name)


def _makes_bridge(forward: str) -> bool:
    return forward in ("nat", "route", "open", "isolated")  # "bridge" only names one that is the host's


class _Interface(NamedTuple):
    root: Element
    is_active: bool
    mac: str


def _interface_documents(handle: libvirt.virConnect) -> list[_Interface]:
    documents = []
    for interface in handle.listAllInterfaces(0):
        try:
            root = parse(interface.XMLDesc(0))
            documents.append(_Interface(root, bool(interface.isActive()), interface.MACString()))
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_INTERFACE:  # guests' tap devices come and go
                raise
    return documents


def _bridge(found: _Interface, owners: dict[str, str]) -> BridgeInfo:
    root = found.root
    name = str(root.get("name", ""))
    addresses = [f"{ip.get('address')}/{ip.get('prefix')}" for ip in root.iterfind("protocol/ip") if ip.get("address")]
    return BridgeInfo(
        name=name,
        mac=found.mac,
        is_active=found.is_active,
        ports=tuple(sorted(str(port.get("name", "")) for port in root.iterfind("bridge/interface"))),
        addresses=tuple(addresses),
        network=owners.get(name),
    )
