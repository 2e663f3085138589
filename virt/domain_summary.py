"""What pages show of a domain XML, read in one pass. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from virt.types import DiskSummary, DomainSummary, GraphicsSummary, NicSummary
from virt.xmltree import Element, attribute, number, parse, size_bytes

OSINFO_NAMESPACE = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
AGENT_CHANNEL = "org.qemu.guest_agent.0"

_DEVICES = ("disk", "interface", "graphics", "serial", "console", "channel", "tpm")
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
    """The summary of a definition, live or not. Raises Invalid for what is not XML; what is absent reads as empty.

    A watcher reads thousands in a row: each element's children are looked at once instead of being searched by path.
    """
    root = parse(xml, keep_layout=False)
    top = _first_of_each(root)
    system = _first_of_each(top.get("os"))
    memory = size_bytes(top.get("memory"))
    vcpus = number(_text(top, "vcpu", "1"), 1)
    devices: dict[object, list[Element]] = {}
    for element in top["devices"].iterchildren(*_DEVICES) if "devices" in top else ():
        devices.setdefault(element.tag, []).append(element)
    return DomainSummary(
        name=_text(top, "name"),
        uuid=_text(top, "uuid"),
        title=_text(top, "title"),
        description=(top["description"].text or "") if "description" in top else "",
        domain_type=str(root.get("type", "")),
        memory_mib=memory // 2**20,
        max_memory_mib=max(memory, size_bytes(top.get("maxMemory"))) // 2**20,
        vcpus=number(_of(top, "vcpu", "current"), vcpus),
        max_vcpus=vcpus,
        os_type=_text(system, "type"),
        arch=_of(system, "type", "arch"),
        machine=_of(system, "type", "machine"),
        firmware=_firmware(top.get("os"), system),
        cpu_mode=_of(top, "cpu", "mode") or None,
        osinfo_id=_osinfo_id(top.get("metadata")),
        disks=tuple(_disk(element) for element in devices.get("disk", ())),
        nics=tuple(_nic(element) for element in devices.get("interface", ())),
        graphics=tuple(_graphics(element) for element in devices.get("graphics", ())),
        boot_devices=tuple(str(b.get("dev", "")) for b in top["os"].iterchildren("boot")) if "boot" in system else (),
        has_serial="serial" in devices or "console" in devices,
        has_agent_channel=any(
            target.get("name") == AGENT_CHANNEL
            for channel in devices.get("channel", ())
            for target in channel.iterchildren("target")
        ),
        has_tpm="tpm" in devices,
    )


def _first_of_each(element: Element | None) -> dict[object, Element]:
    """An element's children by their tags; of several with one tag, the first."""
    found: dict[object, Element] = {}
    for child in element if element is not None else ():
        found.setdefault(child.tag, child)
    return found


def _text(children: dict[object, Element], tag: str, default: str = "") -> str:
    element = children.get(tag)
    found = (element.text or "").strip() if element is not None else ""
    return found or default


def _of(children: dict[object, Element], tag: str, name: str, default: str = "") -> str:
    """An attribute of the child with that tag, or `default`."""
    element = children.get(tag)
    return str(element.get(name, default)) if element is not None else default


def _osinfo_id(metadata: Element | None) -> str | None:
    if metadata is None:
        return None
    libosinfo = next(metadata.iterchildren(f"{{{OSINFO_NAMESPACE}}}libosinfo"), None)
    system = next(libosinfo.iterchildren(f"{{{OSINFO_NAMESPACE}}}os"), None) if libosinfo is not None else None
    return str(system.get("id") or "") or None if system is not None else None


def firmware(root: Element) -> str:
    """bios, uefi or uefi-secure, whether libvirt was asked to choose the build or given its path."""
    system = root.find("os")
    return _firmware(system, _first_of_each(system))


def _firmware(system: Element | None, has: dict[object, Element]) -> str:
    loader = has.get("loader")
    is_pflash = loader is not None and loader.get("type") == "pflash"
    if system is None or (system.get("firmware") != "efi" and not is_pflash):
        return "bios"
    features = {f.get("name"): f.get("enabled") == "yes" for f in system.iterfind("firmware/feature")}
    is_secure = features.get("secure-boot", loader is not None and loader.get("secure") == "yes")
    return "uefi-secure" if is_secure and features.get("enrolled-keys", True) else "uefi"


def _order(children: dict[object, Element]) -> int | None:
    return number(_of(children, "boot", "order")) or None


_SOURCES = {"block": "dev", "dir": "dir", "network": "name", "volume": "volume", "nvme": "namespace"}


def _disk(element: Element) -> DiskSummary:
    has = _first_of_each(element)
    kind = str(element.get("type", ""))
    pool = _of(has, "source", "pool") or None
    volume = _of(has, "source", "volume") or None
    source = _of(has, "source", _SOURCES.get(kind, "file"))
    return DiskSummary(
        target=_of(has, "target", "dev"),
        bus=_of(has, "target", "bus"),
        device=str(element.get("device", "disk")),
        kind=kind,
        source=f"{pool}/{volume}" if kind == "volume" and volume else source,
        pool=pool,
        volume=volume,
        format=_of(has, "driver", "type") or None,
        readonly="readonly" in has or element.get("device") == "cdrom",
        shareable="shareable" in has,
        boot_order=_order(has),
        backing_paths=_backing_paths(element) if "backingStore" in has else (),
    )


def _backing_paths(disk: Element) -> tuple[str, ...]:
    chain = disk.iter("backingStore")
    paths = (attribute(b, "source", "file") or attribute(b, "source", "dev") for b in chain)
    return tuple(path for path in paths if path)


def _nic(element: Element) -> NicSummary:
    has = _first_of_each(element)
    kind = str(element.get("type", ""))
    return NicSummary(
        mac=_of(has, "mac", "address"),
        kind=kind,
        source=_of(has, "source", _NIC_SOURCES.get(kind, "network")),
        model=_of(has, "model", "type") or None,
        target=_of(has, "target", "dev") or None,
        link_up=_of(has, "link", "state", "up") != "down",
        boot_order=_order(has),
    )


def _graphics(element: Element) -> GraphicsSummary:
    has = _first_of_each(element)
    listen = _of(has, "listen", "type") or ("socket" if element.get("socket") else "address")
    port = str(element.get("port", ""))
    return GraphicsSummary(
        type=str(element.get("type", "")),
        listen=listen,
        address=_of(has, "listen", "address") or element.get("listen"),
        port=number(port) or None,
        socket=_of(has, "listen", "socket") or element.get("socket"),
        has_password=element.get("passwd") is not None,
    )
