"""Plug devices into guests and out of them, running or not. https://libvirt.org/html/libvirt-libvirt-domain.html"""

from __future__ import annotations

from collections.abc import Callable

import libvirt

from virt.connection import Connection
from virt.domain_xml import DomainXML
from virt.domains import on_guest
from virt.errors import Invalid, WrongState
from virt.types import Uuid
from virt.xmltree import parse

DEVICE_TIMEOUT_S = 60.0  # the guest has a word in it; libvirt itself gives it 5 s

# https://libvirt.org/formatdomain.html#devices
_TAGS = {
    "disk", "controller", "lease", "hostdev", "redirdev", "smartcard", "interface", "input", "hub", "graphics", "video",
    "parallel", "serial", "console", "channel", "sound", "audio", "watchdog", "memballoon", "rng", "tpm", "panic",
    "shmem", "memory", "iommu", "vsock", "filesystem", "crypto",
}  # fmt: skip


def attach_device(conn: Connection, uuid: Uuid, device_xml: str, *, live: bool | None = None) -> None:
    """Plug a device in. `live` None: into the definition, and into the guest if it runs; True or False: only there.

    Raises WrongState (`live` on a guest that is off), DefinitionRefused, or VirtError when the guest has no free slot.
    """
    _change(conn, uuid, "plug a device into guest {}", device_xml, live, libvirt.virDomain.attachDeviceFlags)


def detach_device(conn: Connection, uuid: Uuid, device_xml: str, *, live: bool | None = None) -> None:
    """Unplug a device, named by an XML that identifies it (the MAC, the target). `live` as for `attach_device`.

    A running guest may take its time or refuse: the event device_removed says that the device is gone.
    """
    _change(conn, uuid, "unplug a device from guest {}", device_xml, live, libvirt.virDomain.detachDeviceFlags)


def update_device(conn: Connection, uuid: Uuid, device_xml: str, *, live: bool | None = None) -> None:
    """Change what can be changed of a device in place, such as a card's link or network. `live` as for
    `attach_device`.
    """
    _change(conn, uuid, "change a device of guest {}", device_xml, live, libvirt.virDomain.updateDeviceFlags)


def change_media(conn: Connection, uuid: Uuid, target: str, path: str | None, *, is_block: bool = False) -> None:
    """Put the image at `path` into the CD drive `target`, or with None take out what is in it; now and for later
    starts.

    A guest that has the medium mounted locks the tray. Then the drive is forced open, as a person would with a paper
    clip. Raises Invalid when the guest has no such drive. The first read in the guest after a change may fail once;
    that is normal.
    """

    def action(domain: libvirt.virDomain) -> None:
        if domain.isActive():
            now = _with_media(domain.XMLDesc(0), target, path, is_block)
            try:
                domain.updateDeviceFlags(now, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            except libvirt.libvirtError:
                forced = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
                domain.updateDeviceFlags(now, forced)
        if domain.isPersistent():
            later = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            domain.updateDeviceFlags(_with_media(later, target, path, is_block), libvirt.VIR_DOMAIN_AFFECT_CONFIG)

    on_guest(conn, uuid, "change the medium of guest {}", action, timeout_s=DEVICE_TIMEOUT_S)


def _with_media(xml: str, target: str, path: str | None, is_block: bool) -> str:
    document = DomainXML(xml)
    document.set_media(target, path, is_block=is_block)
    return document.disk_xml(target)


def _change(
    conn: Connection,
    uuid: Uuid,
    verb: str,
    device_xml: str,
    live: bool | None,
    change: Callable[[libvirt.virDomain, str, int], int],
) -> None:
    tag = str(parse(device_xml).tag)
    if tag not in _TAGS:
        raise Invalid(f"<{tag[:40]}> is not a device.", field="xml")

    def action(domain: libvirt.virDomain) -> None:
        change(domain, device_xml, _flags(domain, live))

    on_guest(conn, uuid, verb, action, timeout_s=DEVICE_TIMEOUT_S)


def _flags(domain: libvirt.virDomain, live: bool | None) -> int:
    is_active = bool(domain.isActive())
    if live and not is_active:
        raise WrongState(f"Guest {domain.name()} is off. Start it first, or change its definition only.")
    flags = 0
    if is_active and live is not False:
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    if domain.isPersistent() and not live:
        flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if not flags:
        raise WrongState(f"Guest {domain.name()} is transient: it has no definition to change.")
    return flags
