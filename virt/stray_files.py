"""What lies in a directory of the host, as libvirt sees it: no command runs there, and no right of ours is needed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import libvirt

from virt.connection import Connection
from virt.errors import Invalid
from virt.pools import LOOK_PREFIX, REFRESH_TIMEOUT_S
from virt.xmltree import E, attribute, dump, parse, text

MOST_FILES = 2000  # of a directory: each of them costs libvirt a look


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file. `format` is raw, qcow2, iso … as libvirt takes it; `changed_s` since 1970, 0 where it does not say."""

    path: str
    name: str
    format: str
    capacity_bytes: int
    allocation_bytes: int
    changed_s: float


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What is in it, and which directories (their paths). `is_cut`: there is more than was looked at."""

    files: list[FoundFile]
    below: list[str]
    is_cut: bool


def look_into(conn: Connection, path: str) -> Directory:
    """Raises VirtError where libvirt cannot: there is no such directory, or it may not read it."""

    def work(handle: libvirt.virConnect) -> Directory:
        for pool in handle.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            with suppress(libvirt.libvirtError):
                root = parse(pool.XMLDesc(0))
                if root.get("type") == "dir" and text(root, "target/path") == path:
                    return _listed(pool)
        # A pool of a moment: libvirt, which has root's rights, reads the directory for us.
        xml = dump(E.pool(E.name(f"{LOOK_PREFIX}{uuid4()}"), E.target(E.path(path)), type="dir"))
        pool = handle.storagePoolCreateXML(xml, 0)
        try:
            return _listed(pool)
        finally:
            pool.destroy()

    return conn.call(work, f"look into {path}", timeout_s=REFRESH_TIMEOUT_S)


def _listed(pool: libvirt.virStoragePool) -> Directory:
    files, below = [], []
    volumes = pool.listAllVolumes(0)
    for volume in volumes[:MOST_FILES]:
        # Gone in this moment, or of a name that is no text.
        with suppress(libvirt.libvirtError, UnicodeDecodeError, Invalid):
            kind, capacity, allocation = volume.info()
            if kind == libvirt.VIR_STORAGE_VOL_DIR:
                below.append(volume.path())
            elif kind == libvirt.VIR_STORAGE_VOL_FILE:
                root = parse(volume.XMLDesc(0))
                files.append(
                    FoundFile(
                        path=volume.path(),
                        name=volume.name(),
                        format=attribute(root, "target/format", "type"),
                        capacity_bytes=capacity,
                        allocation_bytes=allocation,
                        changed_s=float(text(root, "target/timestamps/mtime", "0")),
                    )
                )
    return Directory(files=files, below=sorted(below), is_cut=len(volumes) > MOST_FILES)
