"""The document that makes a volume for bytes from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from virt import validate
from virt.xmltree import E, dump


@dataclass(frozen=True, kw_only=True)
class ContentXML:
    """A <volume> that bytes from elsewhere are written into. Its format is what libvirt finds in them afterwards.

    In pools of files the file grows with what is written (`size_bytes` 0), so that it ends where the content does.
    """

    name: str
    size_bytes: int = 0
    mode: str = "0644"  # an image is no secret, and kvmweb's own processes read it

    def to_xml(self) -> str:
        """Raises Invalid for a name that cannot be."""
        validate.volume_name(self.name)
        return dump(
            E.volume(
                E.name(self.name),
                E.capacity(str(self.size_bytes), unit="bytes"),
                E.allocation("0", unit="bytes"),
                E.target(E.format(type="raw"), E.permissions(E.mode(self.mode))),
            )
        )
