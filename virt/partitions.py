"""Partitions as volumes, in pools of the type disk. https://libvirt.org/storage.html#disk-pool

libvirt makes one only for somebody who tells it the name that the kernel is going to give it.
"""

from __future__ import annotations

import re

import libvirt

from virt import validate
from virt.connection import Connection
from virt.errors import VirtError
from virt.pools import refresh_if_idle
from virt.types import VolumeInfo
from virt.volumes import COPY_TIMEOUT_S, active_pool, volume_info
from virt.xmltree import E, attribute, dump, parse

_EXPECTED = re.compile(r"invalid partition name '[^']*', expected '([^'/]+)'")
_NUMBERED = re.compile(r"(.+?)(\d+)", re.ASCII)


def deletes_from(device: str) -> bool:
    """Whether libvirt can delete partitions of the disk by that path. Of nvme0n1p1 on nvme0n1 it wants to delete the
    partition "p1", and of sdb1 on a link to sdb it finds no number. Of what a link leads to we know nothing.
    """
    name = device.rpartition("/")[2]
    return device.startswith("/dev/mapper/") or not (name[-1:].isdigit() or device.startswith("/dev/disk/"))


class OtherName(Exception):
    """The partition would be called `name`. `exists`: it is there, as libvirt did not take it back."""

    def __init__(self, name: str, *, exists: bool) -> None:
        super().__init__(name)
        self.name, self.exists = name, exists


def next_name(conn: Connection, pool: str) -> str:
    """What the next partition is most likely called: the first number that is free, behind the name of the disk."""

    def work(handle: libvirt.virConnect) -> str:
        found = active_pool(handle, pool)
        refresh_if_idle(found)
        names = set(found.listVolumes())
        device = _device(found).rpartition("/")[2]
        stem = device + "p" if device[-1:].isdigit() else device
        for name in names:  # the pool may name its disk by a link, of which the kernel knows nothing
            if parts := _NUMBERED.fullmatch(name):
                stem = parts[1]
        return next(f"{stem}{n}" for n in range(1, len(names) + 2) if f"{stem}{n}" not in names)

    return conn.call(work, f"look at the partitions of pool {pool}")


def create_partition(conn: Connection, pool: str, name: str, capacity_bytes: int) -> VolumeInfo:
    """Make a partition of at least `capacity_bytes`, which takes its space at once.

    Raises OtherName when the kernel would call it otherwise, VolumeExists, PoolFull or WrongState.
    """
    validate.disk_bytes(capacity_bytes)
    xml = dump(E.volume(E.name(name), E.capacity(str(capacity_bytes), unit="bytes")))

    def work(handle: libvirt.virConnect) -> None:
        active_pool(handle, pool).createXML(xml, 0)

    try:
        conn.call(work, f"create a partition in pool {pool}", timeout_s=COPY_TIMEOUT_S)
    except VirtError as error:
        if not (expected := _EXPECTED.search(error.details)):
            raise
        raise OtherName(expected[1], exists=_stayed(conn, pool, expected[1])) from error
    return volume_info(conn, pool, name)


def _stayed(conn: Connection, pool: str, name: str) -> bool:
    """libvirt takes back what it made under another name, where it can delete it at all."""

    def work(handle: libvirt.virConnect) -> bool:
        found = active_pool(handle, pool)
        number = name.removeprefix(_device(found).rpartition("/")[2])
        if number != name and number.isdigit():
            return False  # it is gone; if one of that name is there by now, it is somebody else's
        refresh_if_idle(found)
        return name in found.listVolumes()

    return conn.call(work, f"look at the partitions of pool {pool}")


def _device(pool: libvirt.virStoragePool) -> str:
    return attribute(parse(pool.XMLDesc(0)), "source/device", "path")
