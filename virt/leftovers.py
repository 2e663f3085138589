"""What libvirt keeps beside the definitions of guests, by the names that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

import libvirt

from virt.connection import Connection
from virt.domain_reader import list_domains
from virt.xmltree import parse, text

SNAPSHOTS_S = 120.0  # that reading all of them may take


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


@dataclass(frozen=True, kw_only=True)
class SnapshotFile:
    """A file without which nobody can go back to a snapshot: its memory, or an image that the guest had then."""

    uuid: str
    guest: str
    snapshot: str
    path: str


def snapshot_files(conn: Connection) -> list[SnapshotFile]:
    """What the external snapshots of all guests of the host need. Of internal ones all is in the guest's own disks.

    https://libvirt.org/formatsnapshot.html
    """

    def read(handle: libvirt.virConnect) -> list[SnapshotFile]:
        found: list[SnapshotFile] = []
        for domain in handle.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT):
            with suppress(libvirt.libvirtError):  # it went away meanwhile
                name, uuid = domain.name(), domain.UUIDString()
                for snapshot in domain.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_EXTERNAL):
                    paths = dict.fromkeys(_paths(snapshot.getXMLDesc()))
                    taken = snapshot.getName()
                    found += [SnapshotFile(uuid=uuid, guest=name, snapshot=taken, path=path) for path in paths]
        return found

    return conn.call(read, "read the snapshots of the guests", timeout_s=conn.timeout_s + SNAPSHOTS_S)


def _paths(xml: str) -> Iterator[str]:
    root = parse(xml)
    yield from (node.get("file", "") for node in root.findall("memory[@snapshot='external']"))
    for source in root.findall("domain/devices/disk[@device='disk']/source"):  # as the guest was then
        yield source.get("file") or source.get("dev") or ""
