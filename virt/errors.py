"""What goes wrong, as sentences for the user.

`UserError` is the base of every error in kvmweb that a person reads, `VirtError` of those that this room raises.
`str(error)` says what failed, why and what to do; libvirt's own words are in `details`. `code` is for scripts,
`status` is the HTTP status that fits.
"""

from __future__ import annotations


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


class NotImportable(Invalid):
    """There is no disk in it that could be imported."""

    code = "not_importable"


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


class HostKeyRefused(VirtError):
    """The machine that answers at the host's address shows another SSH key than the one that was confirmed."""

    code, status = "host_key_refused", 502


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


class PoolBusy(VirtError):
    """libvirt makes or copies a volume in the pool and cannot look at the rest until that is done."""

    code, status = "pool_busy", 409


class PoolFull(VirtError):
    """The storage has no room for what was asked."""

    code, status = "pool_full", 507


class VolumeNotFound(VirtError):
    """No such volume in the pool."""

    code, status = "volume_not_found", 404


class VolumeExists(VirtError):
    """The pool has a volume with that name already."""

    code, status = "volume_exists", 409


class UnsafeImage(VirtError):
    """A disk image refers to files that it has no business with."""

    code, status = "unsafe_image", 422


class VolumeInUse(VirtError):
    """A guest has the volume open."""

    code, status = "volume_in_use", 409


class SecretExists(VirtError):
    """The host has a secret for that use already."""

    code, status = "secret_exists", 409


class SecretInUse(VirtError):
    """A guest or a pool asks for the secret."""

    code, status = "secret_in_use", 409


class SecretMissing(VirtError):
    """The host does not have a passphrase or login (any more) that a disk or a pool asks for."""

    code, status = "secret_missing", 409


class WrongPassphrase(VirtError):
    """The passphrase does not open the disk."""

    code, status = "wrong_passphrase", 422


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


class DisplayOutOfReach(NotSupported):
    """A guest's display listens where only its own host reaches it, and there is no way through that host."""

    code, status = "display_out_of_reach", 409


class NotEnoughMemory(VirtError):
    """The host has too little free memory for the guest."""

    code, status = "not_enough_memory", 507


class DefinitionRefused(VirtError):
    """libvirt refuses the XML of a guest, pool, volume or network."""

    code, status = "definition_refused", 422
