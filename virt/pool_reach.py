"""Can QEMU get at the files of a pool? It runs as a user of its own, who must be allowed to enter every directory on
the way. Looked up through libvirt, so that it works without root's rights here, and for remote hosts.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import libvirt

from virt.connection import Connection
from virt.errors import VirtError
from virt.pools import LOOK_PREFIX, START_TIMEOUT_S
from virt.xmltree import E, dump, parse, text

FILE_TYPES = ("dir", "fs", "netfs", "vstorage")
_LABEL = re.compile(r"\+?(\d+):\+?(\d+)", re.ASCII)
_OWNER_X, _GROUP_X, _OTHER_X = 0o100, 0o010, 0o001


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A directory that QEMU's user may not enter."""

    path: str
    mode: int
    owner: int
    group: int


def closed_on_the_way(conn: Connection, path: str) -> list[Closed]:
    """The directories from / to `path` that QEMU may not enter, the uppermost first. Empty: nothing is in its way.

    Only permissions are looked at: libvirt labels disks for SELinux and AppArmor by itself.
    """
    user, group = _qemu_user(conn)
    if user == 0:
        return []
    parts = path.strip("/").split("/")
    found = []
    for depth in range(1, len(parts) + 1):
        directory = "/" + "/".join(parts[:depth])
        permissions = _permissions(conn, directory)
        if permissions and not _may_enter(permissions, user, group):
            found.append(permissions)
    return found


def open_the_way(conn: Connection, closed: Closed) -> None:
    """Let everybody enter the directory, which is not to say read it. Raises VirtError."""
    mode = f"{closed.mode | _OTHER_X:04o}"

    def work(handle: libvirt.virConnect) -> None:
        permissions = E.permissions(E.mode(mode), E.owner(str(closed.owner)), E.group(str(closed.group)))
        target = E.target(E.path(closed.path), permissions)
        # A pool of a moment: libvirt, which has root's rights, sets the permissions of its directory.
        pool = handle.storagePoolDefineXML(dump(E.pool(E.name(_name()), target, type="dir")), 0)
        try:
            pool.build(0)
        finally:
            pool.undefine()

    existing = _pool_at(conn, closed.path)
    if existing is None:
        conn.call(work, f"open {closed.path} for QEMU", timeout_s=START_TIMEOUT_S)
        return

    def rebuild(handle: libvirt.virConnect) -> None:
        pool = handle.storagePoolLookupByName(existing)
        was_active, root = bool(pool.isActive()), parse(pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE))
        before = root.find("target/permissions")
        target = root.find("target")
        if target is None:
            return
        if before is not None:
            target.remove(before)
        target.append(E.permissions(E.mode(mode), E.owner(str(closed.owner)), E.group(str(closed.group))))
        if was_active:
            pool.destroy()
        try:
            handle.storagePoolDefineXML(dump(root), 0).build(0)
        finally:
            if was_active:
                pool.create(0)

    conn.call(rebuild, f"open {closed.path} for QEMU", timeout_s=START_TIMEOUT_S)


def _permissions(conn: Connection, path: str) -> Closed | None:
    """What libvirt sees of a directory, or None where it sees none."""

    def work(handle: libvirt.virConnect) -> str:
        for pool in handle.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            with suppress(libvirt.libvirtError):
                xml = str(pool.XMLDesc(0))
                if text(parse(xml), "target/path") == path:
                    return xml
        pool = handle.storagePoolCreateXML(dump(E.pool(E.name(_name()), E.target(E.path(path)), type="dir")), 0)
        try:
            return str(pool.XMLDesc(0))
        finally:
            pool.destroy()

    try:
        root = parse(conn.call(work, f"look at {path}", timeout_s=START_TIMEOUT_S))
    except VirtError:
        return None
    permissions = root.find("target/permissions")
    if permissions is None:
        return None
    return Closed(
        path=path,
        mode=int(text(permissions, "mode", "0"), 8),
        owner=int(text(permissions, "owner", "0")),
        group=int(text(permissions, "group", "0")),
    )


def _may_enter(directory: Closed, user: int, group: int) -> bool:
    if directory.owner == user:
        return bool(directory.mode & _OWNER_X)
    if directory.group == group:
        return bool(directory.mode & _GROUP_X)
    return bool(directory.mode & _OTHER_X)


def _qemu_user(conn: Connection) -> tuple[int, int]:
    """As whom libvirt starts guests: (0, 0) where it tells nobody else."""
    xml = conn.call(lambda handle: handle.getCapabilities(), "ask as whom guests run")
    for model in parse(xml).iterfind("host/secmodel"):
        if text(model, "model") == "dac" and (match := _LABEL.fullmatch(text(model, "baselabel"))):
            return int(match[1]), int(match[2])
    return 0, 0


def _pool_at(conn: Connection, path: str) -> str | None:
    def work(handle: libvirt.virConnect) -> str | None:
        for pool in handle.listAllStoragePools(0):
            root = parse(pool.XMLDesc(0))
            if root.get("type") == "dir" and text(root, "target/path") == path and pool.isPersistent():
                return str(pool.name())
        return None

    return conn.call(work, f"look for the pool at {path}")


def _name() -> str:
    return f"{LOOK_PREFIX}{uuid4()}"
