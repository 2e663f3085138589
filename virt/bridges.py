"""Bridges of the host, as libvirt's interface driver sees them (udev on Debian, netcf elsewhere)."""

from __future__ import annotations

import libvirt

from virt.connection import Connection
from virt.errors import NotSupported
from virt.networks import list_networks
from virt.types import BridgeInfo
from virt.xmltree import Element, attribute, parse


def list_bridges(conn: Connection) -> list[BridgeInfo]:
    """All bridge devices, sorted by name; those that a virtual network made name it in `network`.

    Empty where the host's libvirt has no interface driver.
    """
    try:
        documents = conn.call(_interface_documents, "list the bridges of the host")
    except NotSupported:
        return []
    owners = {info.bridge: info.name for info in list_networks(conn) if info.bridge and _makes_bridge(info.forward)}
    bridges = [_bridge(root, is_active, owners) for root, is_active in documents if root.get("type") == "bridge"]
    return sorted(bridges, key=lambda bridge: bridge.name)


def _makes_bridge(forward: str) -> bool:
    return forward in ("nat", "route", "open", "isolated")  # "bridge" only names one that is the host's


def _interface_documents(handle: libvirt.virConnect) -> list[tuple[Element, bool]]:
    documents = []
    for interface in handle.listAllInterfaces(0):
        try:
            documents.append((parse(interface.XMLDesc(0)), bool(interface.isActive())))
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_INTERFACE:  # guests' tap devices come and go
                raise
    return documents


def _bridge(root: Element, is_active: bool, owners: dict[str, str]) -> BridgeInfo:
    name = str(root.get("name", ""))
    addresses = [f"{ip.get('address')}/{ip.get('prefix')}" for ip in root.iterfind("protocol/ip") if ip.get("address")]
    return BridgeInfo(
        name=name,
        mac=attribute(root, "mac", "address"),
        is_active=is_active,
        ports=tuple(sorted(str(port.get("name", "")) for port in root.iterfind("bridge/interface"))),
        addresses=tuple(addresses),
        network=owners.get(name),
    )
