"""A domain's definition, edited in place: a setter touches its own element, everything else stays as it was.

https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from virt import validate
from virt.device_xml import DiskSpec, NicSpec, disk_element, free_target, nic_element, source_element
from virt.errors import Invalid, NotSupported
from virt.volume_xml import luks_element
from virt.xmltree import E, Element, attribute, dump, number, parse, size_bytes, text


@dataclass(frozen=True, kw_only=True)
class GivenDisk:
    """A disk for another guest."""

    target: str
    source: str
    xml: str


class DomainXML:
    """A <domain> to edit. Take it from `domains.domain_xml(conn, uuid, secure=True)`, give `to_xml()` to
    `domains.define`.
    """

    def __init__(self, xml: str) -> None:
        self._root = parse(xml)
        if self._root.tag != "domain":
            raise Invalid(f"This describes a <{self._root.tag}>, not a <domain>.", field="xml")

    def to_xml(self) -> str:
        return dump(self._root)

    @property
    def name(self) -> str:
        return text(self._root, "name")

    @name.setter
    def name(self, value: str) -> None:
        self._child("name").text = validate.guest_name(value)

    @property
    def uuid(self) -> str:
        return text(self._root, "uuid")

    @uuid.setter
    def uuid(self, value: str) -> None:
        self._child("uuid", after="name").text = validate.uuid(value)

    @property
    def title(self) -> str:
        """One line for people."""
        return text(self._root, "title")

    @title.setter
    def title(self, value: str) -> None:
        self._set_text("title", validate.xml_text(value, field="title").replace("\n", " ").strip(), after="uuid")

    @property
    def description(self) -> str:
        return self._root.findtext("description") or ""

    @description.setter
    def description(self, value: str) -> None:
        self._set_text("description", validate.xml_text(value, field="description"), after="title")

    @property
    def memory_mib(self) -> int:
        """Memory at start. https://libvirt.org/formatdomain.html#memory-allocation"""
        return size_bytes(self._root.find("memory")) // 2**20

    @memory_mib.setter
    def memory_mib(self, value: int) -> None:
        validate.memory_mib(value)
        if self._root.find("cpu/numa/cell") is not None:
            raise NotSupported(
                "This guest's memory is divided among NUMA cells. Change it in its XML.", field="memory_mib"
            )
        limit = self._root.find("maxMemory")
        if limit is not None and size_bytes(limit) < value * 2**20:
            _set_kib(limit, value)
        _set_kib(self._child("memory", after="uuid"), value)
        current = self._root.find("currentMemory")
        if current is not None:
            _set_kib(current, value)

    @property
    def vcpus(self) -> int:
        """The most that the guest can have; it starts with as many unless `current_vcpus` is lower."""
        return number(text(self._root, "vcpu", "1"), 1)

    @vcpus.setter
    def vcpus(self, value: int) -> None:
        validate.vcpus(value)
        if self._root.find("cpu/numa/cell") is not None:
            raise NotSupported(
                "This guest's vCPUs are divided among NUMA cells. Change them in its XML.", field="vcpus"
            )
        vcpu = self._child("vcpu", after="currentMemory")
        vcpu.text = str(value)
        _drop_attribute(vcpu, "current")
        each = self._root.find("vcpus")
        if each is not None:
            self._root.remove(each)
        topology = self._root.find("cpu/topology")
        if topology is not None:
            _fit_topology(topology, value)

    @property
    def current_vcpus(self) -> int:
        """How many it starts with."""
        return number(attribute(self._root, "vcpu", "current"), self.vcpus)

    @property
    def domain_type(self) -> str:
        """kvm or qemu."""
        return str(self._root.get("type", ""))

    @property
    def boot_order(self) -> tuple[str, ...]:
        """Targets of drives and MACs of cards in the order in which the firmware tries them; empty when <os> says it by
        kind.
        """
        ordered = []
        for device in self._bootable():
            place = number(attribute(device, "boot", "order"))
            if place:
                ordered.append((place, _key(device)))
        return tuple(key for _place, key in sorted(ordered))

    @boot_order.setter
    def boot_order(self, keys: Sequence[str]) -> None:
        devices = {_key(device): device for device in self._bootable()}
        unknown = [key for key in keys if key not in devices]
        if unknown or len(set(keys)) != len(keys):
            raise Invalid(
                "The boot order names a device twice or one that the guest does not have.", field="boot_order"
            )
        for boot in self._root.findall("os/boot"):
            _remove(boot)
        for device in devices.values():
            for boot in device.findall("boot"):
                _remove(boot)
        for place, key in enumerate(keys, start=1):
            _append(devices[key], E.boot(order=str(place)))

    @property
    def disk_targets(self) -> tuple[str, ...]:
        return tuple(attribute(disk, "target", "dev") for disk in self._root.iterfind("devices/disk"))

    @property
    def macs(self) -> tuple[str, ...]:
        return tuple(attribute(nic, "mac", "address").lower() for nic in self._root.iterfind("devices/interface"))

    def add_disk(self, spec: DiskSpec, *, bus: str) -> str:
        """Add a drive on `bus` and return the name of its target, the first free one."""
        target = free_target(bus, self.disk_targets)
        self._add_device(disk_element(spec, bus=bus, target=target), "disk")
        return target

    def remove_disk(self, target: str) -> None:
        """Take a drive out; its image stays. Raises Invalid when there is none of that name."""
        _remove(self._disk(target))

    def add_nic(self, spec: NicSpec, *, model: str) -> str:
        """Add a network card and return its MAC."""
        nic = nic_element(spec, model=model)
        address = attribute(nic, "mac", "address")
        if address in self.macs:
            raise Invalid(f"The guest has a network card with the address {address} already.", field="mac")
        self._add_device(nic, "interface")
        return address

    def remove_nic(self, mac: str) -> None:
        """Take a network card out. Raises Invalid when there is none with that address."""
        _remove(self._nic(mac))

    def set_link(self, mac: str, *, up: bool) -> None:
        """Plug the network cable in or out."""
        nic = self._nic(mac)
        link = nic.find("link")
        if link is None:
            link = _append(nic, E.link())
        link.set("state", "up" if up else "down")

    def set_media(self, target: str, path: str | None, *, is_block: bool = False) -> None:
        """Put the image at `path` into a CD drive, or take out what is in it."""
        disk = self._disk(target)
        if disk.get("device") not in ("cdrom", "floppy"):
            raise Invalid(f"{target} is a disk, not a drive for media.", field="target")
        for element in [*disk.findall("source"), *disk.findall("backingStore")]:
            _remove(element)
        disk.set("type", "block" if is_block and path else "file")
        if path:
            _insert_before(disk, "target", source_element(path, is_block=is_block))

    def set_disk_image(
        self, target: str, path: str, *, image_format: str, is_block: bool = False, is_encrypted: bool = False
    ) -> None:
        """Let a disk be another image; its bus, serial and everything else stay.

        Where the guest's QEMU opened the encryption of the image before, it opens that of an `is_encrypted` one with
        the passphrase that the host has for its path.
        """
        disk = self._disk(target)
        if disk.get("device", "disk") not in ("disk", "lun"):
            raise Invalid(f"{target} is a drive for media, not a disk.", field="target")
        source = source_element(path, is_block=is_block)
        if is_encrypted and (disk.find("source/encryption") is not None or disk.find("encryption") is not None):
            source.append(luks_element(usage=path))
        for name in ("source", "backingStore", "mirror", "encryption"):
            for element in disk.findall(name):
                _remove(element)
        disk.set("type", "block" if is_block else "file")
        _insert_before(disk, "target", source)
        driver = disk.find("driver")
        if driver is None:
            driver = _insert_before(disk, "source", E.driver(name="qemu"))
        driver.set("type", image_format)

    def set_vnc(self, *, listen: str = "none", address: str = "127.0.0.1") -> None:
        """Have one VNC display: "none" is reached through libvirt only, "address" on a TCP port that libvirt picks."""
        if listen not in ("none", "address"):
            raise Invalid("A display listens on none or on an address.", field="graphics")
        display = next((g for g in self._root.iterfind("devices/graphics") if g.get("type") == "vnc"), None)
        if display is None:
            display = self._add_device(E.graphics(type="vnc"), "graphics")
        for name in ("port", "websocket", "listen", "socket", "autoport"):
            _drop_attribute(display, name)
        for element in display.findall("listen"):
            _remove(element)
        if listen == "none":
            _append(display, E.listen(type="none"))
        else:
            display.set("autoport", "yes")
            _append(display, E.listen(type="address", address=address))

    def put_disk(self, xml: str) -> None:
        """Put in a drive as `disk_xml` or `disk_for_another` gave it. Raises Invalid when its name is taken."""
        disk = parse(xml)
        if disk.tag != "disk" or attribute(disk, "target", "dev") in self.disk_targets:
            raise Invalid("The guest has a drive of that name already.", field="target")
        if disk.find("boot") is not None:  # libvirt takes an order by device or by kind, and adds the latter by itself
            for boot in self._root.findall("os/boot"):
                _remove(boot)
        self._add_device(disk, "disk")

    def disk_source(self, target: str) -> str:
        """The path of a drive's image; "" where it is empty, not there, or no path."""
        if target not in self.disk_targets:
            return ""
        disk = self._disk(target)
        return attribute(disk, "source", "file") or attribute(disk, "source", "dev")

    def disk_for_another(self, target: str, taken: Sequence[str]) -> GivenDisk:
        """The same disk as another guest would have it, whose drives are `taken`: without address and boot order."""
        disk = parse(dump(self._disk(target)))
        for tag in ("address", "alias", "boot", "backingStore", "mirror"):
            for element in disk.findall(tag):
                _remove(element)
        bus = attribute(disk, "target", "bus") or "virtio"
        name = free_target(bus, taken)
        for element in disk.findall("target"):
            element.set("dev", name)
        return GivenDisk(target=name, source=self.disk_source(target), xml=dump(disk))

    def disk_xml(self, target: str) -> str:
        """One drive's element, for `devices.detach_device` and its like."""
        return dump(self._disk(target))

    def nic_xml(self, mac: str) -> str:
        """One network card's element."""
        return dump(self._nic(mac))

    def _disk(self, target: str) -> Element:
        for disk in self._root.iterfind("devices/disk"):
            if attribute(disk, "target", "dev") == target:
                return disk
        raise Invalid(f"The guest has no drive {target}.", field="target")

    def _nic(self, mac: str) -> Element:
        for nic in self._root.iterfind("devices/interface"):
            if attribute(nic, "mac", "address").lower() == mac.lower():
                return nic
        raise Invalid(f"The guest has no network card with the address {mac}.", field="mac")

    def _bootable(self) -> list[Element]:
        devices = self._root.find("devices")
        if devices is None:
            return []
        return [device for device in devices if device.tag in ("disk", "interface") and _key(device)]

    def _child(self, tag: str, *, after: str | None = None) -> Element:
        found = self._root.find(tag)
        if found is not None:
            return found
        place = self._root.find(after) if after else None
        at = self._root.index(place) + 1 if place is not None else 0
        return _insert(self._root, at, self._root.makeelement(tag))

    def _set_text(self, tag: str, value: str, *, after: str) -> None:
        if value:
            self._child(tag, after=after).text = value
        elif (found := self._root.find(tag)) is not None:
            _remove(found)

    def _add_device(self, device: Element, beside: str) -> Element:
        devices = self._root.find("devices")
        if devices is None:
            devices = _append(self._root, E.devices())
        same = devices.findall(beside)
        return _insert(devices, devices.index(same[-1]) + 1 if same else len(devices), device)


def _key(device: Element) -> str:
    """What names a device in the boot order."""
    if device.tag == "disk":
        return attribute(device, "target", "dev")
    return attribute(device, "mac", "address").lower()


def _set_kib(element: Element, mib: int) -> None:
    element.text = str(mib * 1024)
    element.set("unit", "KiB")


def _fit_topology(topology: Element, vcpus: int) -> None:
    """Keep the shape where the number allows it, else one socket of that many cores: libvirt refuses any other
    product.
    """
    per_socket = 1
    for name in ("dies", "clusters", "cores", "threads"):
        per_socket *= number(topology.get(name), 1)
    if topology.get("sockets") != "1" and vcpus % per_socket == 0:
        topology.set("sockets", str(vcpus // per_socket))
        return
    for name in ("sockets", "dies", "clusters", "threads"):
        if name in topology.attrib or name in ("sockets", "threads"):
            topology.set(name, "1")
    topology.set("cores", str(vcpus))


def _drop_attribute(element: Element, name: str) -> None:
    if name in element.attrib:
        del element.attrib[name]


def _append(parent: Element, child: Element) -> Element:
    return _insert(parent, len(parent), child)


def _insert_before(parent: Element, tag: str, child: Element) -> Element:
    place = parent.find(tag)
    return _insert(parent, parent.index(place) if place is not None else len(parent), child)


def _insert(parent: Element, at: int, child: Element) -> Element:
    """Insert it on a line of its own where the document is laid out in lines."""
    if at > 0:
        before = parent[at - 1]
        child.tail, before.tail = before.tail, before.tail if at < len(parent) else parent.text
    else:
        child.tail = parent.text
    parent.insert(at, child)
    return child


def _remove(element: Element) -> None:
    """Remove it with its line; the text after it is the layout of the next one."""
    parent = element.getparent()
    if parent is None:
        return
    before = element.getprevious()
    if element.getnext() is None and before is not None:
        before.tail = element.tail
    parent.remove(element)
