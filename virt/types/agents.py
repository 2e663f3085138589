"""What the agent inside a guest says of it."""

from __future__ import annotations

from dataclasses import dataclass

from virt.types.guests import GuestAddress


@dataclass(frozen=True, kw_only=True)
class GuestFilesystem:
    """A mounted filesystem. The sizes are None where the agent does not tell them, as with network filesystems."""

    mountpoint: str
    type: str
    name: str
    total_bytes: int | None
    used_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class GuestUser:
    """Somebody who is logged in. `since` is a Unix time by the guest's own clock."""

    name: str
    domain: str
    since: float | None


@dataclass(frozen=True, kw_only=True)
class AgentReport:
    """What it does not know is empty. All texts are the guest's own words: cut short, and never to be trusted."""

    hostname: str = ""
    os_id: str = ""
    os_name: str = ""
    os_version: str = ""
    kernel: str = ""
    timezone: str = ""
    utc_offset_s: int | None = None
    users: tuple[GuestUser, ...] = ()
    filesystems: tuple[GuestFilesystem, ...] = ()
    addresses: tuple[GuestAddress, ...] = ()
