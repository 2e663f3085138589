"""Virtual networks and bridges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NetworkInfo:
    """A virtual network. `forward` is nat, route, open, bridge, isolated …; `ipv4` a CIDR like 192.168.122.1/24."""

    uuid: str
    name: str
    bridge: str | None
    forward: str
    is_active: bool
    is_persistent: bool
    autostart: bool
    ipv4: str | None
    dhcp_start: str | None
    dhcp_end: str | None
    domain: str | None
    xml: str


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A DHCP lease that a virtual network gave out. `expires_at` is a Unix time, None for ever."""

    mac: str
    address: str
    prefix: int
    hostname: str
    family: str
    expires_at: int | None


@dataclass(frozen=True, kw_only=True)
class BridgeInfo:
    """A bridge device of the host. `network` is the virtual network it belongs to, None for one that people made."""

    name: str
    mac: str
    is_active: bool
    ports: tuple[str, ...]
    addresses: tuple[str, ...]
    network: str | None
