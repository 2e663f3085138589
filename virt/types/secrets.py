"""Secrets that libvirt keeps for a host's disks and pools."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SecretInfo:
    """A libvirt secret, without its value, which nobody reads back. `usage` is what it is for (volume, ceph, iscsi,
    tls, vtpm, or "" for nothing in particular), `usage_id` which one: a path, or a name that whoever uses it gives.
    """

    uuid: str
    usage: str
    usage_id: str
    description: str
    is_ephemeral: bool  # only in libvirtd's memory: gone when it is restarted
    is_private: bool  # libvirt itself shows its value to nobody
