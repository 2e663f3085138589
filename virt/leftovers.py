"""What libvirt keeps beside the definitions of guests, by the names that it gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from virt.connection import Connection
from virt.domain_reader import list_domains
from virt.xmltree import parse, text


@dataclass(frozen=True, kw_only=True)
class KnownGuests:
    """What the files of the guests of a host are named after."""

    names: frozenset[str]
    uuids: frozenset[str]
    nvram: frozenset[str]  # paths of firmware variables

    def owns(self, kind: str, path: str) -> bool:
        """Whether a guest has this file: `kind` is nvram (a file), tpm or snapshots (a directory)."""
        name = PurePosixPath(path).name
        if kind == "nvram":
            # A guest that was never started has no path yet: libvirt will take "<name>_VARS.fd".
            return path in self.nvram or name.rpartition("_VARS.")[0] in self.names
        return name in (self.uuids if kind == "tpm" else self.names)


def known_guests(conn: Connection) -> KnownGuests:
    """All guests of the host, running or not."""
    found = list_domains(conn)
    xmls = [xml for info in found for xml in (info.xml, info.live_xml) if xml]
    return KnownGuests(
        names=frozenset(info.name for info in found),
        uuids=frozenset(info.uuid for info in found),
        nvram=frozenset(text(parse(xml), "os/nvram") for xml in xmls),
    )
