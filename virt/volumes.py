"""Volumes of storage pools. https://libvirt.org/html/libvirt-libvirt-storage.html"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, TypeVar

import libvirt

from virt import validate
from virt.connection import Connection
from virt.domain_reader import list_domains
from virt.domain_summary import parse_domain
from virt.domains import on_guest
from virt.errors import Invalid, PoolNotFound, VolumeExists, VolumeInUse, VolumeNotFound, WrongState
from virt.libvirt_errors import from_libvirt
from virt.pools import REFRESH_TIMEOUT_S, refresh_if_idle
from virt.types import DomainInfo, VolumeInfo
from virt.volume_xml import VolumeXML
from virt.xmltree import Element, attribute, parse, size_bytes, text

T = TypeVar("T")

Preallocation = Literal["none", "metadata", "full"]

COPY_TIMEOUT_S = 6 * 3600.0  # copying, wiping and full preallocation write the whole disk


def on_volume(
    conn: Connection,
    pool: str,
    name: str,
    verb: str,
    action: Callable[[libvirt.virStorageVol], T],
    *,
    timeout_s: float | None = None,
) -> T:
    """Look the volume up and run `action` on it. `verb` completes "Could not …".

    A name that libvirt has not seen yet (a file made beside it) is looked for once more after a refresh of the pool.
    """

    def work(handle: libvirt.virConnect) -> T:
        found = _lookup(active_pool(handle, pool), name)
        try:
            return action(found)
        except libvirt.libvirtError as exc:
            raise from_libvirt(exc, verb) from exc

    return conn.call(work, verb, timeout_s=timeout_s)


def active_pool(handle: libvirt.virConnect, pool: str) -> libvirt.virStoragePool:
    """libvirt's object of a pool that can be worked with. Raises WrongState when it is inactive."""
    found = handle.storagePoolLookupByName(pool)
    if not found.isActive():
        raise WrongState(f"Pool {pool} is inactive. Start it first.")
    return found


def list_volumes(conn: Connection, pool: str, *, refresh: bool = False) -> list[VolumeInfo]:
    """The volumes of an active pool by name, after a look at the storage itself with `refresh`.

    Files whose names are no text and images that libvirt cannot look at, which anybody may leave in a directory, are
    left out.
    """

    def work(handle: libvirt.virConnect) -> list[VolumeInfo]:
        found = active_pool(handle, pool)
        if refresh:
            refresh_if_idle(found)
        infos = []
        for volume in found.listAllVolumes(0):
            try:
                infos.append(_info(pool, volume))
            except (UnicodeDecodeError, Invalid):
                continue
            except libvirt.libvirtError as exc:
                if not _is_of_one_file(exc):
                    raise
        return infos

    return sorted(
        conn.call(work, f"list the volumes of pool {pool}", timeout_s=REFRESH_TIMEOUT_S), key=lambda info: info.name
    )


def _is_of_one_file(exc: libvirt.libvirtError) -> bool:
    """Whether other volumes can be read all the same: it was deleted this moment, or cannot be opened."""
    code, domain = exc.get_error_code(), exc.get_error_domain()
    cannot_be_read = (code, domain) == (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_STORAGE)
    return bool(cannot_be_read or code == libvirt.VIR_ERR_NO_STORAGE_VOL)


def volume_info(conn: Connection, pool: str, name: str) -> VolumeInfo:
    """One volume. Raises VolumeNotFound, PoolNotFound, or WrongState when the pool is inactive."""
    return on_volume(conn, pool, name, f"read volume {name} of pool {pool}", lambda volume: _info(pool, volume))


def content_version(conn: Connection, pool: str, name: str) -> tuple[int, str]:
    """How many bytes a volume's file or device has (of a qcow2 not what a guest sees of it), and a word in quotes for
    this state of it: another one after it was written to.
    """

    def action(volume: libvirt.virStorageVol) -> tuple[int, str]:
        physical = int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])
        modified = text(parse(volume.XMLDesc(0)), "target/timestamps/mtime", "0")
        kind, capacity, _allocation = volume.info()
        size = capacity if kind == libvirt.VIR_STORAGE_VOL_BLOCK and not physical else physical
        return size, f'"{size:x}-{modified}"'

    return on_volume(conn, pool, name, f"read volume {name} of pool {pool}", action)


def volume_by_path(conn: Connection, path: str) -> VolumeInfo | None:
    """The volume at that path in some active pool, or None."""

    def work(handle: libvirt.virConnect) -> VolumeInfo:
        volume = handle.storageVolLookupByPath(path)
        return _info(volume.storagePoolLookupByVolume().name(), volume)

    try:
        return conn.call(work, f"look up the volume at {path}")
    except VolumeNotFound:
        return None


def create_volume(
    conn: Connection, pool: str, volume: VolumeXML, *, preallocation: Preallocation = "none"
) -> VolumeInfo:
    """Make a volume. "full" takes all its space now, so that it cannot run out later.

    Raises VolumeExists, PoolFull, WrongState (the pool is inactive) or Invalid. What was begun is removed when it
    fails.
    """
    flags, allocation = 0, 0
    if preallocation != "none" and volume.format == "qcow2":
        # Together with the whole capacity as allocation it makes qemu-img take all the space; alone, only the tables'.
        flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA
    if preallocation == "full":
        allocation = volume.capacity_bytes
    xml = replace(volume, allocation_bytes=allocation or volume.allocation_bytes).to_xml()

    def work(handle: libvirt.virConnect) -> VolumeInfo:
        found = active_pool(handle, pool)
        _must_be_free(found, volume.name)
        made = found.createXML(xml, flags)
        # libvirt makes a qcow2 of whole KiB, and QEMU copies nothing into an image that is larger than the original.
        if volume.format == "qcow2" and volume.capacity_bytes % 1024 and not volume.luks_secret:
            made.resize(-(-volume.capacity_bytes // 512) * 512, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
        return _info(pool, made)

    return conn.call(work, f"create volume {volume.name} in pool {pool}", timeout_s=COPY_TIMEOUT_S)


def circle(path: str, below: Mapping[str, str]) -> set[str]:
    """The images of the circle that the one at `path` is part of: each lies on the next, and nothing can read them.

    `below` has the backing file of each; no circle: the empty set.
    """
    passed: list[str] = []
    at = path
    while (at := below.get(at, "")) and at not in passed:
        passed.append(at)
    return set(passed) if path in passed else set()


def delete_volume(conn: Connection, pool: str, name: str) -> bool:
    """Delete a volume and what is on it. False: there is none.

    Raises VolumeInUse while a running guest has it open, or while an overlay in its pool lies on it, but for a circle.
    """
    try:
        path = volume_info(conn, pool, name).path
        _refuse_if_open(conn, path, name)
        beside = list_volumes(conn, pool)
        useless = circle(path, {each.path: each.backing_path or "" for each in beside})
        if overlay := next((v.name for v in beside if v.backing_path == path and v.path not in useless), None):
            raise VolumeInUse(f"Disk {overlay} lies on {name} and cannot do without it. Delete {overlay} first.")
        on_volume(conn, pool, name, f"delete volume {name}", lambda volume: volume.delete(0), timeout_s=COPY_TIMEOUT_S)
    except VolumeNotFound:
        return False
    return True


def remove_volume(conn: Connection, pool: str, name: str) -> None:
    """Delete a volume without asking who needs it: for callers that have asked for all of a pool at once."""
    on_volume(conn, pool, name, f"delete volume {name}", lambda volume: volume.delete(0), timeout_s=COPY_TIMEOUT_S)


def resize_volume(conn: Connection, pool: str, name: str, *, capacity_bytes: int, shrink: bool = False) -> int:
    """Grow a volume that no running guest has open and return its new capacity in bytes, as libvirt reports it.

    libvirt rounds to what the format can hold, so the result may differ from `capacity_bytes`. Making it smaller cuts
    its end off and wants `shrink`: ask `virt.shrinking` first whether anything is there.
    Raises VolumeNotFound, VolumeInUse (a running guest has it open), Invalid or PoolFull.
    https://libvirt.org/html/libvirt-libvirt-storage.html#virStorageVolResize
    """
    validate.disk_bytes(capacity_bytes)
    info = volume_info(conn, pool, name)
    if capacity_bytes < info.capacity_bytes and not shrink:
        raise Invalid(
            f"Disk {name} has {info.capacity_bytes} bytes and can only grow: shrinking would cut off data.",
            field="capacity_bytes",
        )
    _refuse_if_open(conn, info.path, name)
    flags = libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK if capacity_bytes < info.capacity_bytes else 0

    def action(volume: libvirt.virStorageVol) -> int:
        volume.resize(capacity_bytes, flags)
        return int(volume.info()[1])

    return on_volume(conn, pool, name, f"resize volume {name}", action, timeout_s=COPY_TIMEOUT_S)


def grow_open_volume(conn: Connection, pool: str, name: str, *, capacity_bytes: int, uuid: str, target: str) -> int:
    """Grow a volume under the running guest that has it as its disk `target`, which sees the new size at once.

    Returns the new capacity in bytes. A file is grown by QEMU, which has it open; of a block device the volume first.
    https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainBlockResize
    """
    validate.disk_bytes(capacity_bytes)
    info = volume_info(conn, pool, name)
    if capacity_bytes < info.capacity_bytes:
        raise Invalid(f"Disk {name} is open in a running guest and can only grow.", field="capacity_bytes")
    if info.type == "block":
        on_volume(conn, pool, name, f"resize volume {name}", lambda volume: volume.resize(capacity_bytes, 0))

    def action(domain: libvirt.virDomain) -> None:
        domain.blockResize(target, capacity_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)

    on_guest(conn, uuid, f"grow disk {target} of guest {{}}", action, timeout_s=COPY_TIMEOUT_S)
    conn.call(lambda handle: refresh_if_idle(active_pool(handle, pool)), f"refresh pool {pool}")
    return volume_info(conn, pool, name).capacity_bytes


def clone_volume(conn: Connection, pool: str, name: str, copy: VolumeXML, *, to_pool: str | None = None) -> VolumeInfo:
    """Copy a volume, converting its format where `copy` asks for another one.

    It cannot be cancelled half way; poll the copy's allocation on a second connection for progress.
    Raises VolumeExists, VolumeInUse (a running guest writes to it) or PoolFull; what was begun is removed.
    """
    source = volume_info(conn, pool, name)
    _refuse_if_open(conn, source.path, name)
    target = to_pool or pool
    xml = copy.to_xml()

    def work(handle: libvirt.virConnect) -> VolumeInfo:
        into = active_pool(handle, target)
        _must_be_free(into, copy.name)
        original = active_pool(handle, pool).storageVolLookupByName(name)
        return _info(target, into.createXMLFrom(xml, original, 0))

    return conn.call(work, f"copy volume {name} to {copy.name}", timeout_s=COPY_TIMEOUT_S)


def wipe_volume(conn: Connection, pool: str, name: str) -> None:
    """Overwrite a volume with zeros. Raises VolumeInUse while a running guest has it open."""
    _refuse_if_open(conn, volume_info(conn, pool, name).path, name)
    on_volume(conn, pool, name, f"wipe volume {name}", lambda volume: volume.wipe(0), timeout_s=COPY_TIMEOUT_S)


def guests_using(conn: Connection, path: str) -> list[DomainInfo]:
    """Guests of the host, running or not, that have this path as a disk, below one or as a medium.

    A host can only tell about its own guests, not about those of another on shared storage.
    """
    return [info for info in list_domains(conn) if _uses(conn, info, path)]


def _uses(conn: Connection, info: DomainInfo, path: str) -> bool:
    wanted = os.path.normpath(path)
    for xml in {info.xml, info.live_xml or info.xml}:
        for disk in parse_domain(xml).disks:
            source = path_of(conn, disk.pool, disk.volume) if disk.pool and disk.volume else disk.source
            if wanted in map(os.path.normpath, filter(None, (source, *disk.backing_paths))):
                return True
    return False


def path_of(conn: Connection, pool: str, volume: str) -> str:
    """Where a volume is, empty when libvirt does not know: a guest may name what is not there."""

    def work(handle: libvirt.virConnect) -> str:
        return str(handle.storagePoolLookupByName(pool).storageVolLookupByName(volume).path())

    try:
        return conn.call(work, f"look up volume {volume} of pool {pool}")
    except (PoolNotFound, VolumeNotFound, WrongState):
        return ""


def _refuse_if_open(conn: Connection, path: str, name: str) -> None:
    for guest in guests_using(conn, path):
        if guest.is_active:
            raise VolumeInUse(
                f"Disk {name} is open in the running guest {guest.name}. Shut {guest.name} down and try again."
            )


def _lookup(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol:
    try:
        return pool.storageVolLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    refresh_if_idle(pool)
    return pool.storageVolLookupByName(name)


def _must_be_free(pool: libvirt.virStoragePool, name: str) -> None:
    """libvirt asks its own list only, and would overwrite a file that somebody put there since the last refresh."""
    refresh_if_idle(pool)
    if is_listed(pool, name):
        raise VolumeExists(f"Pool {pool.name()} has a volume named {name}. Choose another name.", field="name")


def is_listed(pool: libvirt.virStoragePool, name: str) -> bool:
    """Whether libvirt knows a volume of that name in the pool."""
    try:
        pool.storageVolLookupByName(name)
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
        return False
    return True


# https://libvirt.org/storage.html#valid-disk-volume-format-types; "extended" only holds others
_PARTITIONS = ("none", "linux", "fat16", "fat32", "linux-swap", "linux-lvm", "linux-raid")
_TYPES = {
    libvirt.VIR_STORAGE_VOL_FILE: "file",
    libvirt.VIR_STORAGE_VOL_BLOCK: "block",
    libvirt.VIR_STORAGE_VOL_DIR: "dir",
    libvirt.VIR_STORAGE_VOL_NETWORK: "network",
    libvirt.VIR_STORAGE_VOL_NETDIR: "dir",
    libvirt.VIR_STORAGE_VOL_PLOOP: "ploop",
}


def _info(pool: str, volume: libvirt.virStorageVol) -> VolumeInfo:
    root = parse(volume.XMLDesc(0))
    kind, _capacity, _allocation = volume.info()
    return VolumeInfo(
        pool=pool,
        name=volume.name(),
        key=volume.key(),
        path=volume.path(),
        type=_TYPES.get(kind, "file"),
        format=_format(root),
        # What an image's header promises beyond that is damage or a lie, up to 2**64 - 1, which no database holds.
        capacity_bytes=min(size_bytes(root.find("capacity"), "bytes"), validate.MAX_DISK_BYTES),
        allocation_bytes=min(size_bytes(root.find("allocation"), "bytes"), validate.MAX_DISK_BYTES),
        backing_path=text(root, "backingStore/path") or None,
        encryption=_encryption(root),
    )


def _format(root: Element) -> str | None:
    """Of a partition libvirt tells what it is marked for, of an iSCSI disk nothing: both are read as raw disks."""
    found = attribute(root, "target/format", "type")
    if found in _PARTITIONS or (not found and root.get("type") == "network"):
        return "raw"
    return found or None


def _encryption(root: Element) -> str:
    """What libvirt found in the image's header; the old encryption of qcow, which QEMU has given up, is "qcow"."""
    return attribute(root, "target/encryption", "format")
