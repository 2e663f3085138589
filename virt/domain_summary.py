"""What pages show of a domain XML, read in one pass. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from virt.types import DiskSummary, DomainSummary, GraphicsSummary, NicSummary
from virt.xmltree import Element, attribute, number, parse, size_bytes, text

OSINFO_NAMESPACE = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
AGENT_CHANNEL = "org.qemu.guest_agent.0"

_NIC_SOURCES = {
    "network": "network",
    "bridge": "bridge",
    "direct": "dev",
    "hostdev": "dev",
    "vdpa": "dev",
    "udp": "address",
    "vhostuser": "path",
}


def parse_domain(xml: str) -> DomainSummary:
    """The summary of a definition, live or not. Raises Invalid for what is not XML; what is absent reads as empty."""
    root = parse(xml)
    memory = size_bytes(root.find("memory"))
    vcpus = number(text(root, "vcpu", "1"), 1)
    return DomainSummary(
        name=text(root, "name"),
        uuid=text(root, "uuid"),
        title=text(root, "title"),
        description=root.findtext("description") or "",
        domain_type=str(root.get("type", "")),
        memory_mib=memory // 2**20,
        max_memory_mib=max(memory, size_bytes(root.find("maxMemory"))) // 2**20,
        vcpus=number(attribute(root, "vcpu", "current"), vcpus),
        max_vcpus=vcpus,
        os_type=text(root, "os/type"),
        arch=attribute(root, "os/type", "arch"),
        machine=attribute(root, "os/type", "machine"),
        firmware=firmware(root),
        cpu_mode=attribute(root, "cpu", "mode") or None,
        osinfo_id=attribute(root, f"metadata/{{{OSINFO_NAMESPACE}}}libosinfo/{{{OSINFO_NAMESPACE}}}os", "id") or None,
        disks=tuple(_disk(element) for element in root.iterfind("devices/disk")),
        nics=tuple(_nic(element) for element in root.iterfind("devices/interface")),
        graphics=tuple(_graphics(element) for element in root.iterfind("devices/graphics")),
        boot_devices=tuple(str(element.get("dev", "")) for element in root.iterfind("os/boot")),
        has_serial=any(root.find(f"devices/{tag}") is not None for tag in ("serial", "console")),
        has_agent_channel=any(
            target.get("name") == AGENT_CHANNEL for target in root.iterfind("devices/channel/target")
        ),
        has_tpm=root.find("devices/tpm") is not None,
    )


def firmware(root: Element) -> str:
    """bios, uefi or uefi-secure, whether libvirt was asked to choose the build or given its path."""
    system, loader = root.find("os"), root.find("os/loader")
    is_pflash = loader is not None and loader.get("type") == "pflash"
    if system is None or (system.get("firmware") != "efi" and not is_pflash):
        return "bios"
    features = {f.get("name"): f.get("enabled") == "yes" for f in root.iterfind("os/firmware/feature")}
    is_secure = features.get("secure-boot", loader is not None and loader.get("secure") == "yes")
    return "uefi-secure" if is_secure and features.get("enrolled-keys", True) else "uefi"


def _order(element: Element) -> int | None:
    return number(attribute(element, "boot", "order")) or None


def _disk(element: Element) -> DiskSummary:
    kind = str(element.get("type", ""))
    pool = attribute(element, "source", "pool") or None
    volume = attribute(element, "source", "volume") or None
    by_attribute = {"block": "dev", "dir": "dir", "network": "name", "volume": "volume", "nvme": "namespace"}
    source = attribute(element, "source", by_attribute.get(kind, "file"))
    return DiskSummary(
        target=attribute(element, "target", "dev"),
        bus=attribute(element, "target", "bus"),
        device=str(element.get("device", "disk")),
        kind=kind,
        source=f"{pool}/{volume}" if kind == "volume" and volume else source,
        pool=pool,
        volume=volume,
        format=attribute(element, "driver", "type") or None,
        readonly=element.find("readonly") is not None or element.get("device") == "cdrom",
        shareable=element.find("shareable") is not None,
        boot_order=_order(element),
        backing_paths=_backing_paths(element),
    )


def _backing_paths(disk: Element) -> tuple[str, ...]:
    chain = disk.iterfind(".//backingStore")
    paths = (attribute(b, "source", "file") or attribute(b, "source", "dev") for b in chain)
    return tuple(path for path in paths if path)


def _nic(element: Element) -> NicSummary:
    kind = str(element.get("type", ""))
    return NicSummary(
        mac=attribute(element, "mac", "address"),
        kind=kind,
        source=attribute(element, "source", _NIC_SOURCES.get(kind, "network")),
        model=attribute(element, "model", "type") or None,
        target=attribute(element, "target", "dev") or None,
        link_up=attribute(element, "link", "state", "up") != "down",
        boot_order=_order(element),
    )


def _graphics(element: Element) -> GraphicsSummary:
    listen = attribute(element, "listen", "type") or ("socket" if element.get("socket") else "address")
    port = str(element.get("port", ""))
    return GraphicsSummary(
        type=str(element.get("type", "")),
        listen=listen,
        address=attribute(element, "listen", "address") or element.get("listen"),
        port=number(port) or None,
        socket=attribute(element, "listen", "socket") or element.get("socket"),
        has_password=element.get("passwd") is not None,
    )
