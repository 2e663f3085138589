"""Virtual networks. https://libvirt.org/formatnetwork.html"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TypeVar

import libvirt

from virt.connection import Connection
from virt.errors import NetworkNotFound
from virt.libvirt_errors import from_libvirt
from virt.types import Lease, NetworkInfo
from virt.xmltree import E, Element, attribute, dump, parse

T = TypeVar("T")

START_TIMEOUT_S = 60.0  # firewall rules and dnsmasq
DEFAULT = "default"
# Where `default` goes: libvirt's own choice first, then what is least likely to be a site's LAN.
DEFAULT_SUBNETS = ("192.168.122.0/24", "192.168.123.0/24", "192.168.124.0/24", "10.122.0.0/24", "172.31.122.0/24")


def on_network(
    conn: Connection, name: str, verb: str, action: Callable[[libvirt.virNetwork], T], *, timeout_s: float | None = None
) -> T:
    """Look the network up and run `action` on it. `verb` completes "Could not …"."""

    def work(handle: libvirt.virConnect) -> T:
        found = handle.networkLookupByName(name)
        try:
            return action(found)
        except libvirt.libvirtError as exc:
            raise from_libvirt(exc, verb) from exc

    return conn.call(work, verb, timeout_s=timeout_s)


def list_networks(conn: Connection) -> list[NetworkInfo]:
    """All virtual networks, active or not, sorted by name."""

    def work(handle: libvirt.virConnect) -> list[NetworkInfo]:
        found = []
        for network in handle.listAllNetworks(0):
            try:
                found.append(_info(network))
            except libvirt.libvirtError as exc:
                if exc.get_error_code() != libvirt.VIR_ERR_NO_NETWORK:  # it went away while we were reading
                    raise
        return found

    return sorted(conn.call(work, "list the virtual networks"), key=lambda info: info.name)


def network_info(conn: Connection, name: str) -> NetworkInfo:
    """One virtual network. Raises NetworkNotFound."""
    return on_network(conn, name, f"read network {name}", _info)


def start_network(conn: Connection, name: str) -> bool:
    """Start a network: its bridge, firewall rules and DHCP server. False: it is active.

    Raises NetworkExists (its bridge or addresses are taken) or VirtError with the reason in the details.
    """

    def action(network: libvirt.virNetwork) -> bool:
        if network.isActive():
            return False
        network.create()
        return True

    return on_network(conn, name, f"start network {name}", action, timeout_s=START_TIMEOUT_S)


def stop_network(conn: Connection, name: str) -> bool:
    """Stop a network. False: it is inactive. libvirt does not object when running guests are on it: they lose it."""

    def action(network: libvirt.virNetwork) -> bool:
        if not network.isActive():
            return False
        network.destroy()
        return True

    return on_network(conn, name, f"stop network {name}", action, timeout_s=START_TIMEOUT_S)


def set_network_autostart(conn: Connection, name: str, on: bool) -> None:
    """Start the network with libvirt, or no longer."""
    on_network(conn, name, f"set autostart of network {name}", lambda network: network.setAutostart(int(on)))


def ensure_default(conn: Connection, *, start: bool = True) -> NetworkInfo:
    """Have the NAT network `default`, active and started with libvirt. Changes nothing that is so.

    Where the machine has none, one is defined on the first of DEFAULT_SUBNETS that no network of libvirt's uses.
    Raises VirtError when it cannot be started, such as in a container without rights over the network.
    """
    try:
        info = network_info(conn, DEFAULT)
    except NetworkNotFound:
        xml = _default_xml(_free_subnet(list_networks(conn)))
        conn.call(lambda handle: handle.networkDefineXML(xml), "define network default")
        info = network_info(conn, DEFAULT)
    if start:
        start_network(conn, DEFAULT)
        if not info.autostart:
            set_network_autostart(conn, DEFAULT, True)
    return network_info(conn, DEFAULT)


def leases(conn: Connection, name: str) -> list[Lease]:
    """DHCP leases that an active network gave out; those of guests that are gone stay listed for a while."""

    def action(network: libvirt.virNetwork) -> list[Lease]:
        return [_lease(row) for row in network.DHCPLeases()] if network.isActive() else []

    return on_network(conn, name, f"read the leases of network {name}", action)


def _lease(row: dict[str, object]) -> Lease:
    expires = row.get("expirytime")
    return Lease(
        mac=str(row.get("mac") or ""),
        address=str(row.get("ipaddr") or ""),
        prefix=int(str(row.get("prefix") or 0)),
        hostname=str(row.get("hostname") or ""),
        family="ipv4" if row.get("type") == libvirt.VIR_IP_ADDR_TYPE_IPV4 else "ipv6",
        expires_at=int(str(expires)) if expires else None,
    )


def _info(network: libvirt.virNetwork) -> NetworkInfo:
    is_active, is_persistent = bool(network.isActive()), bool(network.isPersistent())
    xml = network.XMLDesc(0)
    root = parse(xml)
    forward = root.find("forward")
    ipv4 = next((ip for ip in root.iterfind("ip") if ip.get("family", "ipv4") == "ipv4"), None)
    return NetworkInfo(
        uuid=network.UUIDString(),
        name=network.name(),
        bridge=attribute(root, "bridge", "name") or None,
        forward="isolated" if forward is None else str(forward.get("mode", "nat")),
        is_active=is_active,
        is_persistent=is_persistent,
        autostart=is_persistent and bool(network.autostart()),
        ipv4=_cidr(ipv4),
        dhcp_start=(attribute(ipv4, "dhcp/range", "start") or None) if ipv4 is not None else None,
        dhcp_end=(attribute(ipv4, "dhcp/range", "end") or None) if ipv4 is not None else None,
        domain=attribute(root, "domain", "name") or None,
        xml=xml,
    )


def _cidr(ip: Element | None) -> str | None:
    if ip is None or not ip.get("address"):
        return None
    mask = ip.get("prefix") or ip.get("netmask") or "24"
    try:
        return str(ipaddress.ip_interface(f"{ip.get('address')}/{mask}"))
    except ValueError:
        return str(ip.get("address"))


def _free_subnet(networks: list[NetworkInfo]) -> ipaddress.IPv4Network:
    taken = [ipaddress.ip_interface(info.ipv4).network for info in networks if info.ipv4]
    for candidate in map(ipaddress.IPv4Network, DEFAULT_SUBNETS):
        if not any(candidate.overlaps(other) for other in taken if isinstance(other, ipaddress.IPv4Network)):
            return candidate
    return ipaddress.IPv4Network(DEFAULT_SUBNETS[0])  # libvirt says which network is in the way when it is started


def _default_xml(subnet: ipaddress.IPv4Network) -> str:
    dhcp = E.dhcp(E.range(start=str(subnet[2]), end=str(subnet[-2])))
    return dump(
        E.network(
            E.name(DEFAULT),
            E.forward(mode="nat"),
            E.bridge(name="virbr0", stp="on", delay="0"),
            E.ip(dhcp, address=str(subnet[1]), netmask=str(subnet.netmask)),
        )
    )
