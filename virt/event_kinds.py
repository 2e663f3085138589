"""Which events exist, what we call them, and what their arguments mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libvirt

Reading = tuple[str, str, dict[str, object]]
"""kind, detail, data."""

Read = Callable[[str, tuple[Any, ...]], Reading]
"""Makes a Reading of the kind that was registered and of what libvirt passed after the object."""

# https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainEventType, each with its details by number
_LIFECYCLE: dict[int, tuple[str, tuple[str, ...]]] = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: ("defined", ("added", "updated", "renamed", "from_snapshot")),
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: ("undefined", ("removed", "renamed")),
    libvirt.VIR_DOMAIN_EVENT_STARTED: ("started", ("booted", "migrated", "restored", "from_snapshot", "wakeup")),
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: (
        "suspended",
        ("paused", "migrated", "io_error", "watchdog", "restored", "from_snapshot", "api_error", "postcopy"),
    ),
    libvirt.VIR_DOMAIN_EVENT_RESUMED: ("resumed", ("unpaused", "migrated", "from_snapshot", "postcopy")),
    libvirt.VIR_DOMAIN_EVENT_STOPPED: (
        "stopped",
        ("shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot"),
    ),
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: ("shutdown", ("finished", "guest", "host")),
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: ("pmsuspended", ("memory", "disk")),
    libvirt.VIR_DOMAIN_EVENT_CRASHED: ("crashed", ("panicked", "crashloaded")),
}

_METADATA = ("description", "title", "element")
_MEMORY_DEVICE_SIZE = libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE
_BLOCK_JOB_STATES = ("completed", "failed", "canceled", "ready")
_BLOCK_JOB_TYPES = ("unknown", "pull", "copy", "commit", "active_commit", "backup")


def _word(words: tuple[str, ...], number: int) -> str:
    return words[number] if 0 <= number < len(words) else "unknown"


def _lifecycle(_kind: str, given: tuple[Any, ...]) -> Reading:
    name, details = _LIFECYCLE.get(given[0], ("changed", ()))
    return name, _word(details, given[1]), {}


def _by_number(*names: str) -> Read:
    """Networks, pools and devices: the event is its number and there is no detail."""
    return lambda _kind, given: (_word(names, given[0]), "", {})


def _plain(*keys: str) -> Read:
    """Arguments under these names, no detail."""
    return lambda kind, given: (kind, "", dict(zip(keys, given, strict=False)))


def _named(detail: str, *keys: str) -> Read:
    """Arguments under these names; the one named `detail` is the detail too."""

    def read(kind: str, given: tuple[Any, ...]) -> Reading:
        data = dict(zip(keys, given, strict=False))
        return kind, str(data.get(detail) or ""), data

    return read


def _words(words: tuple[str, ...], at: int, *keys: str) -> Read:
    """As `_plain`, with the word for the number at place `at` as the detail."""

    def read(kind: str, given: tuple[Any, ...]) -> Reading:
        return kind, _word(words, given[at]), dict(zip(keys, given, strict=False))

    return read


def _block_job(kind: str, given: tuple[Any, ...]) -> Reading:
    disk, job, state = given[:3]
    return kind, _word(_BLOCK_JOB_STATES, state), {"disk": disk, "job": _word(_BLOCK_JOB_TYPES, job)}


DOMAIN: list[tuple[int, str, Read]] = [
    (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, "lifecycle", _lifecycle),
    (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, "rebooted", _plain()),
    (libvirt.VIR_DOMAIN_EVENT_ID_RTC_CHANGE, "rtc_changed", _plain("offset_s")),
    (libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG, "watchdog", _plain("action")),
    (libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, "io_error", _named("reason", "path", "device", "action", "reason")),
    (libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS, "graphics", _words(("connect", "initialize", "disconnect"), 0, "phase")),
    (libvirt.VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, "control_error", _plain()),
    (libvirt.VIR_DOMAIN_EVENT_ID_DISK_CHANGE, "disk_changed", _named("device", "old_path", "new_path", "device")),
    (libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, "tray", _words(("open", "close"), 1, "device")),
    (libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, "balloon", _plain("memory_kib")),
    (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, "device_added", _named("device", "device")),
    (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, "device_removed", _named("device", "device")),
    (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, "device_removal_failed", _named("device", "device")),
    (libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, "block_job", _block_job),
    (libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE, "tunable", _plain("parameters")),
    (libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, "agent", _words(("unknown", "connected", "disconnected"), 0)),
    (libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, "job_completed", _plain("parameters")),
    (libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, "metadata", _words(_METADATA, 0, "type", "uri")),
    (
        libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD,
        "block_threshold",
        _plain("disk", "path", "limit", "excess"),
    ),
    (libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE, "memory_failure", _plain("recipient", "action")),
    (_MEMORY_DEVICE_SIZE, "memory_device_size", _named("device", "device", "size_kib")),
]

NETWORK: list[tuple[int, str, Read]] = [
    (libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, "lifecycle", _by_number("defined", "undefined", "started", "stopped")),
]

POOL: list[tuple[int, str, Read]] = [
    (
        libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE,
        "lifecycle",
        _by_number("defined", "undefined", "started", "stopped", "created", "deleted"),
    ),
    (libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, "refreshed", _plain()),
]

NODE_DEVICE: list[tuple[int, str, Read]] = [
    (libvirt.VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE, "lifecycle", _by_number("created", "deleted", "defined", "undefined")),
    (libvirt.VIR_NODE_DEVICE_EVENT_ID_UPDATE, "updated", _plain()),
]
