"""A disk of another hypervisor, opened by a QEMU of our own that never runs anything, to be converted from there.

The same as `disk_copy.at_rest`, for formats that no guest should run on and for images that lie inside another file
(an OVA is a tar archive with the disks in it). https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import libvirt

from virt.connection import Connection
from virt.disk_copy import ABORT_TIMEOUT_S, START_TIMEOUT_S
from virt.domains import COPY_PREFIX, on_guest
from virt.errors import Invalid, NotImportable, VirtError
from virt.host import compat_sheet
from virt.xmltree import E, Element, dump

FORMATS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc"}
"""What can be opened, and what libvirt calls it."""


@dataclass(frozen=True, kw_only=True)
class ForeignDisk:
    """A disk image at `path`, or in it: `length` bytes from `offset`. `format` is told, never guessed by QEMU."""

    path: str
    format: str
    offset: int = 0
    length: int = 0

    def to_element(self) -> Element:
        """The <disk>. Raises Invalid for a format that libvirt has no name for."""
        if self.format not in FORMATS:
            raise Invalid(f"A disk of the format {self.format} cannot be read here.", field="format")
        source = E.source(file=self.path)
        if self.length:
            place = {"offset": str(self.offset), "size": str(self.length)}
            source.append(E.slices(E.slice(type="storage", **place)))
        # "index" 0 and no backing store: QEMU opens nothing that the image may name.
        return E.disk(
            E.driver(name="qemu", type=FORMATS[self.format]),
            source,
            E.backingStore(),
            E.target(dev="vda", bus="virtio"),
            E.readonly(),
            type="file",
            device="disk",
        )


@contextmanager
def opened(conn: Connection, disk: ForeignDisk) -> Iterator[tuple[str, str, int]]:
    """(uuid, target, size in bytes as a guest would see it) for `disk_copy.copy_open_disk`.

    It is gone when the block ends, and when the connection does. Raises NotImportable when QEMU cannot read the image.
    """
    sheet = compat_sheet(conn, machine=None, domain_type="qemu")
    xml = dump(
        E.domain(
            E.name(f"{COPY_PREFIX}{uuid4()}"),
            E.memory("32", unit="MiB"),
            E.vcpu("1"),
            E.os(E.type("hvm", arch=sheet.arch, machine=sheet.machine)),
            E.devices(disk.to_element(), E.memballoon(model="none")),
            type="qemu",
        )
    )
    flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
    what = f"open {disk.path}"
    try:
        domain = conn.call(lambda handle: handle.createXML(xml, flags), what, timeout_s=START_TIMEOUT_S)
    except VirtError as error:
        if type(error) is not VirtError:
            raise
        sentence = "QEMU cannot open the disk: it is damaged, or QEMU may not read it. The details say which."
        raise NotImportable(sentence, details=error.details) from error
    try:
        uuid = domain.UUIDString()
        yield uuid, "vda", on_guest(conn, uuid, what, lambda guest: int(guest.blockInfo("vda")[0]))
    finally:
        with suppress(VirtError):  # its end is the connection's end, too
            conn.call(lambda _handle: domain.destroy(), f"close {disk.path}", timeout_s=ABORT_TIMEOUT_S)
