"""What goes wrong, as sentences for the user.

`UserError` is the base of every error in kvmweb that a person reads, `VirtError` of those that this room raises.
`str(error)` says what failed, why and what to do; libvirt's own words are in `details`. `code` is for scripts,
`status` is the HTTP status that fits.
"""

from __future__ import annotations

import libvirt


class UserError(Exception):
    """An error whose text is written for the user. `field` names the input that is wrong, where there is one."""

    code = "failed"
    status = 400

    def __init__(self, message: str, *, details: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.field = field


class Invalid(UserError):
    """A value that no host would accept, found before libvirt sees it."""

    code, status = "invalid", 422


class VirtError(UserError):
    """What `virt` raises when libvirt, QEMU or the host says no."""

    code, status = "libvirt_failed", 502


class HostUnreachable(VirtError):
    """No connection to libvirt on that host, or the connection broke."""

    code, status = "host_unreachable", 503


class HostTimeout(VirtError):
    """libvirt did not answer in time. Whether the host did what was asked is unknown."""

    code, status = "host_timeout", 504


class PermissionRefused(VirtError):
    """libvirt answered, but does not let this process do it."""

    code, status = "permission_refused", 502


class GuestNotFound(VirtError):
    """No such guest on the host (any more)."""

    code, status = "guest_not_found", 404


class GuestExists(VirtError):
    """The host has a guest with that name or UUID already."""

    code, status = "guest_exists", 409


class GuestBusy(VirtError):
    """Another operation of libvirt's holds the guest."""

    code, status = "guest_busy", 409


class PoolNotFound(VirtError):
    """No such storage pool on the host."""

    code, status = "pool_not_found", 404


class PoolExists(VirtError):
    """The host has a pool with that name, or another pool already uses that path."""

    code, status = "pool_exists", 409


class PoolFull(VirtError):
    """The storage has no room for what was asked."""

    code, status = "pool_full", 507


class VolumeNotFound(VirtError):
    """No such volume in the pool."""

    code, status = "volume_not_found", 404


class VolumeExists(VirtError):
    """The pool has a volume with that name already."""

    code, status = "volume_exists", 409


class VolumeInUse(VirtError):
    """A guest has the volume open."""

    code, status = "volume_in_use", 409


class NetworkNotFound(VirtError):
    """No such virtual network on the host."""

    code, status = "network_not_found", 404


class NetworkExists(VirtError):
    """The host has a virtual network with that name, or its bridge or addresses are taken."""

    code, status = "network_exists", 409


class WrongState(VirtError):
    """What was asked does not fit the state of the object: it must run, or must not."""

    code, status = "wrong_state", 409


class AgentMissing(VirtError):
    """The guest agent does not run in the guest, or the guest has no channel for it."""

    code, status = "agent_missing", 409


class NotSupported(VirtError):
    """This host's libvirt or QEMU cannot do it."""

    code, status = "not_supported", 501


class NotEnoughMemory(VirtError):
    """The host has too little free memory for the guest."""

    code, status = "not_enough_memory", 507


class DefinitionRefused(VirtError):
    """libvirt refuses the XML of a guest, pool, volume or network."""

    code, status = "definition_refused", 422


# What the text says is surer than the code where libvirt uses a general code ("operation failed", "system error").
_BY_TEXT: list[tuple[str, type[VirtError], str]] = [
    ("No space left on device", PoolFull, "the storage is full. Free some space or use another pool"),
    ("Disk quota exceeded", PoolFull, "the disk quota of the storage is used up"),
    ("Cannot allocate memory", NotEnoughMemory, "the host has too little free memory. Shut a guest down or ask for less"),
    ("cannot set up guest memory", NotEnoughMemory, "the host has too little free memory. Shut a guest down or ask for less"),
    ('Failed to get "write" lock', VolumeInUse, "a running guest has one of its disks open. Shut that guest down first"),
    ('Failed to get shared "write" lock', VolumeInUse, "a running guest has the disk open. Shut that guest down first"),
    ("already exists with uuid", GuestExists, "the host has another one with that name or UUID. Choose another name"),
    ("is already defined with uuid", GuestExists, "the host has another one with that name or UUID. Choose another name"),
    ("agent is not configured", AgentMissing, "the guest has no channel for the guest agent"),
    ("agent is not connected", AgentMissing, "the guest agent does not run in the guest. Install and start qemu-guest-agent there"),
    ("agent not available", AgentMissing, "the guest agent does not run in the guest. Install and start qemu-guest-agent there"),
    ("client socket is closed", HostUnreachable, "the connection to libvirt broke"),
    ("End of file while reading data", HostUnreachable, "libvirt closed the connection. Look at libvirtd's log on the host"),
    ("connection closed due to keepalive timeout", HostUnreachable, "the host stopped answering"),
    ("error connecting to agent", PermissionRefused, "there is no polkit on the host to allow it. Set auth_unix_rw in libvirtd.conf"),
]  # fmt: skip

_BY_CODE: dict[int, tuple[type[VirtError], str]] = {
    libvirt.VIR_ERR_NO_DOMAIN: (GuestNotFound, "the guest is not on the host any more"),
    libvirt.VIR_ERR_DOM_EXIST: (GuestExists, "the host has a guest with that name or UUID. Choose another name"),
    libvirt.VIR_ERR_NO_STORAGE_POOL: (PoolNotFound, "the host has no such storage pool"),
    libvirt.VIR_ERR_NO_STORAGE_VOL: (VolumeNotFound, "there is no such volume in the pool"),
    libvirt.VIR_ERR_STORAGE_VOL_EXIST: (VolumeExists, "the pool has a volume with that name. Choose another name"),
    libvirt.VIR_ERR_NO_NETWORK: (NetworkNotFound, "the host has no such virtual network"),
    libvirt.VIR_ERR_NETWORK_EXIST: (NetworkExists, "the host has a virtual network with that name. Choose another name"),
    libvirt.VIR_ERR_OPERATION_INVALID: (WrongState, "its present state does not allow it"),
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: (AgentMissing, "the guest agent does not answer"),
    libvirt.VIR_ERR_NO_SUPPORT: (NotSupported, "libvirt on this host cannot do it"),
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: (NotSupported, "libvirt on this host cannot do it"),
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: (NotSupported, "libvirt on this host cannot do it"),
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: (NotSupported, "libvirt or QEMU on this host does not support it"),
    libvirt.VIR_ERR_AUTH_FAILED: (PermissionRefused, "libvirt refused the login. Check the credentials of the host"),
    libvirt.VIR_ERR_AUTH_CANCELLED: (PermissionRefused, "libvirt asked for credentials and got none"),
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: (PermissionRefused, "libvirt has nobody to ask (no polkit agent). Add the user to libvirt's group"),
    libvirt.VIR_ERR_ACCESS_DENIED: (PermissionRefused, "libvirt's access rules forbid it"),
    libvirt.VIR_ERR_OPERATION_DENIED: (PermissionRefused, "libvirt allows this connection to read only"),
    libvirt.VIR_ERR_NO_CONNECT: (HostUnreachable, "there is no libvirt at that address"),
    libvirt.VIR_ERR_INVALID_CONN: (HostUnreachable, "the connection to libvirt broke"),
    libvirt.VIR_ERR_RPC: (HostUnreachable, "the connection to libvirt broke"),
    libvirt.VIR_ERR_OPERATION_TIMEOUT: (GuestBusy, "another operation holds it. Try again when that is done"),
    libvirt.VIR_ERR_NO_MEMORY: (NotEnoughMemory, "the host is out of memory"),
    libvirt.VIR_ERR_XML_ERROR: (DefinitionRefused, "libvirt refuses its definition"),
    libvirt.VIR_ERR_XML_DETAIL: (DefinitionRefused, "libvirt refuses its definition"),
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: (DefinitionRefused, "its definition does not follow libvirt's schema"),
    libvirt.VIR_ERR_INVALID_ARG: (DefinitionRefused, "libvirt refuses one of the values"),
}  # fmt: skip


def from_libvirt(exc: libvirt.libvirtError, what: str) -> VirtError:
    """The error of ours that says what libvirt's `exc` means. `what` is what was tried: "start guest web-01".

    https://libvirt.org/html/libvirt-virterror.html
    """
    words = str(exc)
    for part, kind, why in _BY_TEXT:
        if part.lower() in words.lower():
            return kind(f"Could not {what}: {why}.", details=words)
    code = exc.get_error_code()
    if code == libvirt.VIR_ERR_SYSTEM_ERROR and exc.get_error_domain() in _TRANSPORT_DOMAINS:
        return _transport_error(words, what)
    if code in _BY_CODE:
        kind, why = _BY_CODE[code]
        return kind(f"Could not {what}: {why}.", details=words)
    return VirtError(f"Could not {what}: libvirt reported an error. Its own words are in the details.", details=words)


_TRANSPORT_DOMAINS = {libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE}


def _transport_error(words: str, what: str) -> VirtError:
    if "Permission denied" in words and "socket" in words:
        why = "this process may not open libvirt's socket. Add its user to the group that owns the socket"
        return PermissionRefused(f"Could not {what}: {why}.", details=words)
    if "No such file or directory" in words or "Connection refused" in words:
        return HostUnreachable(f"Could not {what}: libvirt does not run there. Start libvirtd on it.", details=words)
    return HostUnreachable(f"Could not {what}: the host cannot be reached. Is it on and its address right?", details=words)


def _drop(_context: object, _error: object) -> None:
    """libvirt prints every error to stderr unless somebody takes it; we raise it instead."""


libvirt.registerErrorHandler(_drop, None)
