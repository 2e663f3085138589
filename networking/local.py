"""What the kernel says about bridges of this machine: libvirt on Debian leaves their addresses and MAC out."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import structlog

from virt.types import BridgeInfo

log = structlog.get_logger(__name__)
TIMEOUT_S = 5


def completed(bridges: Iterable[BridgeInfo]) -> list[BridgeInfo]:
    """The same bridges of the local host, with what iproute2 knows of them. Reads, and never changes anything."""
    links = _links()
    return [_complete(bridge, links[bridge.name]) if bridge.name in links else bridge for bridge in bridges]


def _complete(bridge: BridgeInfo, link: dict[str, Any]) -> BridgeInfo:
    addresses = tuple(
        f"{entry['local']}/{entry['prefixlen']}"
        for entry in link.get("addr_info", [])
        if entry.get("scope") == "global" and "local" in entry
    )
    return replace(
        bridge,
        mac=bridge.mac or str(link.get("address", "")),
        is_active="UP" in link.get("flags", []),
        addresses=bridge.addresses or addresses,
    )


def _links() -> dict[str, dict[str, Any]]:
    try:
        done = subprocess.run(
            ["ip", "-j", "address", "show", "type", "bridge"], capture_output=True, timeout=TIMEOUT_S, check=True
        )
        return {link["ifname"]: link for link in json.loads(done.stdout) if "ifname" in link}
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.info("addresses of bridges not read", error=str(error))
        return {}
