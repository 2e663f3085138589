"""What happens on a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something happened to an object. `data` has what libvirt added (the device, the reason, the new size)."""

    uuid: str
    name: str
    kind: str
    detail: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DomainEvent(Event):
    """`kind`: defined, undefined, started, suspended, resumed, stopped, shutdown, pmsuspended, crashed (with libvirt's
    reason in `detail`), rebooted, rtc_changed, device_added, device_removed, device_removal_failed, balloon, agent,
    block_job, tray, disk_changed, metadata, io_error, watchdog, graphics, job_completed,
    block_threshold, memory_failure, memory_device_size, control_error, tunable.
    """


@dataclass(frozen=True, kw_only=True)
class NetworkEvent(Event):
    """`kind`: defined, undefined, started, stopped."""


@dataclass(frozen=True, kw_only=True)
class PoolEvent(Event):
    """`kind`: defined, undefined, started, stopped, created, deleted, refreshed."""


@dataclass(frozen=True, kw_only=True)
class NodeDeviceEvent(Event):
    """A device of the host. `kind`: created, deleted, defined, undefined, updated; `uuid` is empty."""


@dataclass(frozen=True, kw_only=True)
class ConnectionClosed(Event):
    """The connection is gone and all registrations with it. `kind`: error, eof, keepalive, client."""
