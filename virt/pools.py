"""Storage pools. https://libvirt.org/storage.html"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import libvirt

from virt import validate
from virt.connection import Connection
from virt.errors import PoolExists, PoolNotFound, WrongState
from virt.libvirt_errors import from_libvirt
from virt.pool_xml import stable_xml
from virt.types import PoolInfo
from virt.xmltree import E, dump, parse, text

T = TypeVar("T")

LOOK_PREFIX = "kvmweb-look-"
"""Pools of this name are ours, live for an instant (`virt.pool_reach`), and appear in no list."""

START_TIMEOUT_S = 120.0  # network file systems and volume groups are slow to come
BUILD_TIMEOUT_S = 1800.0  # large file systems take their time to be made
REFRESH_TIMEOUT_S = 120.0  # libvirt opens every image of the pool


def on_pool(
    conn: Connection,
    pool: str,
    verb: str,
    action: Callable[[libvirt.virStoragePool], T],
    *,
    timeout_s: float | None = None,
) -> T:
    """Look the pool up and run `action` on it. `verb` completes "Could not …"."""

    def work(handle: libvirt.virConnect) -> T:
        found = handle.storagePoolLookupByName(pool)
        try:
            return action(found)
        except libvirt.libvirtError as exc:
            raise from_libvirt(exc, verb) from exc

    return conn.call(work, verb, timeout_s=timeout_s)


def list_pools(conn: Connection) -> list[PoolInfo]:
    """All pools, active or not, sorted by name. Sizes are as of each pool's last refresh."""

    def work(handle: libvirt.virConnect) -> list[PoolInfo]:
        found = []
        for pool in handle.listAllStoragePools(0):
            try:
                if not pool.name().startswith(LOOK_PREFIX):
                    found.append(_info(pool))
            except libvirt.libvirtError as exc:
                if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:  # it went away while we were reading
                    raise
        return found

    return sorted(conn.call(work, "list the storage pools"), key=lambda info: info.name)


def pool_info(conn: Connection, pool: str) -> PoolInfo:
    """One pool. Raises PoolNotFound."""
    return on_pool(conn, pool, f"read pool {pool}", _info)


def find_pool(conn: Connection, pool: str) -> PoolInfo | None:
    """One pool, or None."""
    try:
        return pool_info(conn, pool)
    except PoolNotFound:
        return None


def ensure_dir_pool(conn: Connection, name: str, path: str) -> PoolInfo:
    """Have a directory pool of that name at that path: defined, built, started, started with the host. Changes nothing
    that is so.

    The directory is made, as root's, where it does not exist. Raises PoolExists when the name belongs to a pool
    elsewhere or the path to another pool, PermissionRefused or VirtError when the directory cannot be made.
    """
    validate.pool_name(name)
    path = validate.absolute_path(path)
    for pool in list_pools(conn):
        if pool.name == name and (pool.path != path or pool.type != "dir"):
            raise PoolExists(
                f"The host has a {pool.type} pool named {name} at {pool.path}. Choose another name.", field="name"
            )
        if pool.name != name and pool.type == "dir" and pool.path == path:
            raise PoolExists(f"The directory {path} is pool {pool.name} already.", field="path")

    def work(handle: libvirt.virConnect) -> PoolInfo:
        found = _lookup_or_define(handle, name, path)
        if not found.isActive():
            found.build(0)
            found.create(0)
        if not found.autostart():
            found.setAutostart(1)
        return _info(found)

    return conn.call(work, f"set up pool {name} at {path}", timeout_s=START_TIMEOUT_S)


def define_pool(conn: Connection, xml: str) -> PoolInfo:
    """Define a pool or redefine it (same uuid), checked against libvirt's schema. An active one goes on as it is until
    it is started anew. Raises PoolExists (name or source belong to another) or DefinitionRefused.
    """
    flags = libvirt.VIR_STORAGE_POOL_DEFINE_VALIDATE
    return conn.call(lambda handle: _info(handle.storagePoolDefineXML(xml, flags)), "define the pool")


def build_pool(conn: Connection, pool: str, *, overwrite: bool = False) -> None:
    """Make what the pool lies on: its directory, file system, volume group or partition table.

    What is on a device already is only destroyed with `overwrite`. Raises WrongState while it is active, PoolExists
    where something is there.
    """

    def action(found: libvirt.virStoragePool) -> None:
        kind = str(parse(found.XMLDesc(0)).get("type"))
        flags = 0
        if kind in ("fs", "disk", "logical"):
            flags = (
                libvirt.VIR_STORAGE_POOL_BUILD_OVERWRITE if overwrite else libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE
            )
        found.build(flags)

    on_pool(conn, pool, f"build pool {pool}", action, timeout_s=BUILD_TIMEOUT_S)


def start_pool(conn: Connection, pool: str) -> bool:
    """Activate a pool. False: it is active. Raises PoolNotFound, or VirtError when its source is not there."""

    def action(found: libvirt.virStoragePool) -> bool:
        if found.isActive():
            return False
        found.create(0)
        return True

    return on_pool(conn, pool, f"start pool {pool}", action, timeout_s=START_TIMEOUT_S)


def stop_pool(conn: Connection, pool: str) -> bool:
    """Deactivate a pool; its content stays, and guests that have volumes of it open keep them. False: it is
    inactive.
    """

    def action(found: libvirt.virStoragePool) -> bool:
        if not found.isActive():
            return False
        found.destroy()
        return True

    return on_pool(conn, pool, f"stop pool {pool}", action, timeout_s=START_TIMEOUT_S)


def refresh_pool(conn: Connection, pool: str) -> PoolInfo:
    """Let libvirt look again at what the pool holds and how full it is.

    Raises WrongState while it is inactive, PoolBusy while a volume is being made in it.
    """

    def action(found: libvirt.virStoragePool) -> PoolInfo:
        found.refresh(0)
        return _info(found)

    return on_pool(conn, pool, f"refresh pool {pool}", action, timeout_s=REFRESH_TIMEOUT_S)


def refresh_if_idle(found: libvirt.virStoragePool) -> None:
    """As `refresh_pool`, left out while libvirt makes a volume in the pool: it refuses to look then."""
    try:
        found.refresh(0)
    except libvirt.libvirtError:
        if not found.isActive():  # a look that failed for good ends with the pool inactive
            raise


def set_pool_autostart(conn: Connection, pool: str, on: bool) -> None:
    """Start the pool with libvirt, or no longer."""
    on_pool(conn, pool, f"set autostart of pool {pool}", lambda found: found.setAutostart(int(on)))


def delete_pool(conn: Connection, pool: str, *, delete_files: bool = False) -> bool:
    """Stop a pool and forget it. False: there is none. With `delete_files` its directory goes too, which must be empty.

    Raises WrongState when the directory holds anything: volumes are deleted one by one, by somebody who means it.
    """

    def action(found: libvirt.virStoragePool) -> bool:
        if delete_files:
            if not found.isActive():
                found.create(0)
            found.refresh(0)
            if count := found.numOfVolumes():
                raise WrongState(f"Pool {pool} holds {count} volumes. Delete them first.")
        if found.isActive():
            found.destroy()
        if delete_files:
            found.delete(0)
        if found.isPersistent():
            found.undefine()
        return True

    try:
        return on_pool(conn, pool, f"delete pool {pool}", action, timeout_s=START_TIMEOUT_S)
    except PoolNotFound:
        return False


def _lookup_or_define(handle: libvirt.virConnect, name: str, path: str) -> libvirt.virStoragePool:
    try:
        return handle.storagePoolLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
    return handle.storagePoolDefineXML(dump(E.pool(E.name(name), E.target(E.path(path)), type="dir")), 0)


def _info(pool: libvirt.virStoragePool) -> PoolInfo:
    root = parse(pool.XMLDesc(0))
    _state, capacity, allocation, available = pool.info()
    return PoolInfo(
        uuid=pool.UUIDString(),
        name=pool.name(),
        type=str(root.get("type", "")),
        is_active=bool(pool.isActive()),
        is_persistent=bool(pool.isPersistent()),
        autostart=bool(pool.autostart()) if pool.isPersistent() else False,
        path=text(root, "target/path"),
        capacity_bytes=capacity,
        allocation_bytes=allocation,
        available_bytes=available,
        xml=stable_xml(_definition(pool)),
    )


def _definition(pool: libvirt.virStoragePool) -> str:
    try:
        return str(pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE if pool.isPersistent() else 0))
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_INVALID_ARG:
            raise
    return str(pool.XMLDesc(0))  # libvirt's test driver knows no flag
