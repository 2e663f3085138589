"""Pools and volumes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PoolInfo:
    """A storage pool. Sizes are as of its last refresh and 0 while it is inactive."""

    uuid: str
    name: str
    type: str  # dir, fs, netfs, logical …
    is_active: bool
    is_persistent: bool
    autostart: bool
    path: str
    capacity_bytes: int
    allocation_bytes: int
    available_bytes: int
    xml: str = ""  # its definition, without the sizes


@dataclass(frozen=True, kw_only=True)
class VolumeInfo:
    """A volume. `format` is raw, qcow2, iso …, below its encryption; `backing_path` what a qcow2 overlay lies on."""

    pool: str
    name: str
    key: str
    path: str
    type: str  # file, block, dir, network
    format: str | None
    capacity_bytes: int
    allocation_bytes: int
    backing_path: str | None
    encryption: str = ""  # luks; "": it is not encrypted
