"""The document that makes a volume."""

from __future__ import annotations

from dataclasses import dataclass

from virt import validate
from virt.errors import Invalid
from virt.xmltree import E, Element, dump

FORMATS = ("raw", "qcow2")


@dataclass(frozen=True, kw_only=True)
class VolumeXML:
    """A <volume> to create. https://libvirt.org/formatstorage.html#storage-volume-xml

    `backing_path` makes it an overlay of that image (qcow2 only), whose format must then be told: guessing it from the
    image's content would let a guest choose what the host opens. `luks_secret` encrypts it with the passphrase in the
    secret of that UUID, which the host has.
    """

    name: str
    capacity_bytes: int
    format: str = "qcow2"
    allocation_bytes: int = 0
    backing_path: str | None = None
    backing_format: str | None = None
    luks_secret: str = ""

    def to_xml(self) -> str:
        """Raises Invalid for a name, size or format that cannot be."""
        validate.volume_name(self.name)
        validate.disk_bytes(self.capacity_bytes)
        if self.format not in FORMATS:
            raise Invalid(f"A disk image can be {' or '.join(FORMATS)}, not {self.format}.", field="format")
        target: Element = E.target(E.format(type=self.format))
        if self.luks_secret:
            target.append(luks_element(uuid=self.luks_secret))
        volume = E.volume(
            E.name(self.name),
            E.capacity(str(self.capacity_bytes), unit="bytes"),
            E.allocation(str(self.allocation_bytes), unit="bytes"),
            target,
        )
        if self.backing_path:
            if self.format != "qcow2" or not self.backing_format:
                raise Invalid("An overlay is qcow2 and names the format of the image below it.", field="format")
            volume.append(E.backingStore(E.path(self.backing_path), E.format(type=self.backing_format)))
        return dump(volume)


def luks_element(**secret: str) -> Element:
    """The <encryption> of a volume or of a disk's source: the secret by its `uuid`, or by its `usage`, the path.

    https://libvirt.org/formatstorageencryption.html
    """
    found: Element = E.encryption(E.secret(type="passphrase", **secret), format="luks")
    return found
