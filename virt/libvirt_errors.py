"""What libvirt's errors mean. https://libvirt.org/html/libvirt-virterror.html"""

from __future__ import annotations

import re

import libvirt

from virt.errors import (
    AgentMissing,
    DefinitionRefused,
    GuestBusy,
    GuestExists,
    GuestNotFound,
    HostKeyRefused,
    HostUnreachable,
    NetworkExists,
    NetworkNotFound,
    NotEnoughMemory,
    NotSupported,
    PermissionRefused,
    PoolBusy,
    PoolExists,
    PoolFull,
    PoolNotFound,
    SecretExists,
    SecretMissing,
    VirtError,
    VolumeExists,
    VolumeInUse,
    VolumeNotFound,
    WrongPassphrase,
    WrongState,
)
from virt.storage_errors import STORAGE, Meaning

_FULL: Meaning = (PoolFull, "the storage is full. Free some space or use another pool")
_NO_MEMORY: Meaning = (NotEnoughMemory, "the host has too little free memory. Shut a guest down or ask for less")
_NO_SECRET: Meaning = (
    SecretMissing,
    "the host does not have the passphrase of an encrypted disk, or the login of a pool or disk, any more. "
    "Give the passphrase again on the page of the volume",
)
_WRONG_PASSPHRASE: Meaning = (
    WrongPassphrase,
    "the passphrase that the host has does not open the encrypted disk. Give the right one on the page of the volume",
)
_DISK_OPEN: Meaning = (VolumeInUse, "a running guest has one of its disks open. Shut that guest down first")
_TAKEN: Meaning = (GuestExists, "the host has another guest with that name or UUID. Choose another name")
_POOL_BUSY: Meaning = (PoolBusy, "a volume is being made in the pool. Try again when that is done")
_NETWORK_TAKEN: Meaning = (NetworkExists, "the host has a virtual network of that name. Choose another name")
_NO_AGENT: Meaning = (AgentMissing, "the guest agent does not run in it. Install and start qemu-guest-agent there")
_NO_CHANNEL: Meaning = (AgentMissing, "the guest has no channel for the guest agent")
_NO_BALLOON: Meaning = (WrongState, "it runs without a memory balloon. Change its memory for its next start instead")
_BROKEN: Meaning = (HostUnreachable, "the connection to libvirt broke")
_SILENT: Meaning = (HostUnreachable, "the host stopped answering")
_NO_POLKIT: Meaning = (
    PermissionRefused,
    "libvirt has nobody to ask (no polkit on the host). Set auth_unix_rw in its libvirtd.conf",
)
_UNSUPPORTED: Meaning = (NotSupported, "libvirt or QEMU on this host cannot do it")
_REFUSED: Meaning = (DefinitionRefused, "libvirt refuses its definition")


# What ssh says before libvirt is reached at all.
_BY_SSH: list[tuple[str, Meaning]] = [
    (
        "host key verification failed|identification has changed|no .* host key is known",
        (
            HostKeyRefused,
            "the machine at its address shows another SSH key than the one that was confirmed. "
            "Try the connection of the host in kvmweb to see both keys",
        ),
    ),
    (
        r"permission denied \((publickey|password|keyboard|gssapi)",
        (PermissionRefused, "the host refuses kvmweb's SSH key. Add the key to authorized_keys of the user there"),
    ),
    ("could not resolve hostname", (HostUnreachable, "the name of the host is not known. Check its address and DNS")),
    (
        r"connect to host .* connection refused",
        (HostUnreachable, "no SSH server listens there. Start sshd on the host, or check the port"),
    ),
    (
        r"connect to (host|address) |connection timed out during banner|kex_exchange_identification",
        (HostUnreachable, "its SSH server does not answer. Is the host on, and is its address right"),
    ),
    (
        r"(nc|netcat|virt-ssh-helper|virsh): (command )?not found",
        (HostUnreachable, "libvirt is not installed there. Install libvirt-daemon-system (libvirt on RHEL) on it"),
    ),
]


# What the text says (in small letters) is surer than the code where libvirt uses a general one ("operation failed").
_BY_TEXT: list[tuple[str, Meaning]] = [
    ("no space left on device", _FULL),
    ("disk quota exceeded", (PoolFull, "the disk quota of the storage is used up")),
    ("cannot allocate memory", _NO_MEMORY),
    ("cannot set up guest memory", _NO_MEMORY),
    ('failed to get "write" lock', _DISK_OPEN),
    ('failed to get shared "write" lock', _DISK_OPEN),
    ('failed to get "consistent read" lock', _DISK_OPEN),
    (r"invalid password, cannot unlock any keyslot", _WRONG_PASSPHRASE),
    (r"no secret with matching (usage|uuid)|secret .* does not have a value|secret not found", _NO_SECRET),
    (r"secret .* already defined", (SecretExists, "the host has a secret for that use already. Give that one a value")),
    (r"domain .* (already exists|is already defined)", _TAKEN),
    (r"has asynchronous jobs running", _POOL_BUSY),
    (r"virstoragepoolrefresh\(\) failed$", _POOL_BUSY),  # without words of its own: a file came or went meanwhile
    (r"cannot access storage file", (VolumeNotFound, "one of its images is not where its definition says")),
    (r"network .* is not active", (WrongState, "its virtual network is not active. Start the network first")),
    (r"cannot get interface mtu", (NetworkNotFound, "the host has no bridge of the name that its definition says")),
    (r"unable to find .* firmware", (NotSupported, "the host has no such firmware. Install ovmf (edk2-ovmf on RHEL)")),
    (r"unable to find 'swtpm", (NotSupported, "the host cannot emulate a TPM. Install the package swtpm on it")),
    (r"could not access kvm|failed to initialize kvm", (NotSupported, "KVM does not work on this host")),
    (r"pool .* already exists", (PoolExists, "the host has another pool of that name. Choose another name")),
    (r"network .* already exists", _NETWORK_TAKEN),
    (r"network is already in use by interface", (NetworkExists, "its addresses are those of an interface of the host")),
    (r"bridge name .* already in use", (NetworkExists, "the host has a bridge of that name already")),
    ("without the balloon device", _NO_BALLOON),
    ("agent is not configured", _NO_CHANNEL),
    ("agent is not connected", _NO_AGENT),
    ("agent not available", _NO_AGENT),
    ("client socket is closed", _BROKEN),
    ("end of file while reading data", _BROKEN),
    ("connection closed due to keepalive timeout", _SILENT),
    ("authentication unavailable: no polkit agent", _NO_POLKIT),
    ("error connecting to agent", _NO_POLKIT),
]

_BY_CODE: dict[int, Meaning] = {
    libvirt.VIR_ERR_NO_DOMAIN: (GuestNotFound, "the host has no such guest (any more)"),
    libvirt.VIR_ERR_DOM_EXIST: _TAKEN,
    libvirt.VIR_ERR_NO_STORAGE_POOL: (PoolNotFound, "the host has no such storage pool"),
    libvirt.VIR_ERR_NO_STORAGE_VOL: (VolumeNotFound, "there is no such volume in the pool"),
    libvirt.VIR_ERR_STORAGE_VOL_EXIST: (VolumeExists, "the pool has a volume of that name. Choose another name"),
    libvirt.VIR_ERR_NO_NETWORK: (NetworkNotFound, "the host has no such virtual network"),
    libvirt.VIR_ERR_NETWORK_EXIST: _NETWORK_TAKEN,
    libvirt.VIR_ERR_OPERATION_INVALID: (WrongState, "its present state does not allow it"),
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: _NO_AGENT,
    libvirt.VIR_ERR_NO_SUPPORT: _UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: _UNSUPPORTED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: _UNSUPPORTED,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: _UNSUPPORTED,
    libvirt.VIR_ERR_AUTH_FAILED: (PermissionRefused, "libvirt refused the login. Check the host's credentials"),
    libvirt.VIR_ERR_AUTH_CANCELLED: (PermissionRefused, "libvirt asked for credentials and got none"),
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: _NO_POLKIT,
    libvirt.VIR_ERR_ACCESS_DENIED: (PermissionRefused, "libvirt's access rules forbid it"),
    libvirt.VIR_ERR_OPERATION_DENIED: (PermissionRefused, "libvirt lets this connection read only"),
    libvirt.VIR_ERR_NO_CONNECT: (HostUnreachable, "there is no libvirt at that address"),
    libvirt.VIR_ERR_INVALID_CONN: _BROKEN,
    libvirt.VIR_ERR_RPC: _BROKEN,
    libvirt.VIR_ERR_OPERATION_TIMEOUT: (GuestBusy, "another operation holds it. Try again when that is done"),
    libvirt.VIR_ERR_NO_MEMORY: _NO_MEMORY,
    libvirt.VIR_ERR_DEVICE_MISSING: (WrongState, "it has no such device (any more)"),
    libvirt.VIR_ERR_NO_NAME: _REFUSED,
    libvirt.VIR_ERR_NO_SOURCE: _REFUSED,
    libvirt.VIR_ERR_NO_TARGET: _REFUSED,
    libvirt.VIR_ERR_OS_TYPE: _REFUSED,
    libvirt.VIR_ERR_XML_ERROR: _REFUSED,
    libvirt.VIR_ERR_XML_DETAIL: _REFUSED,
    libvirt.VIR_ERR_XML_INVALID_SCHEMA: (DefinitionRefused, "its definition does not follow libvirt's schema"),
    libvirt.VIR_ERR_INVALID_ARG: (DefinitionRefused, "libvirt refuses one of the values"),
}

_TRANSPORT_DOMAINS = {libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE}


def from_ssh(words: str, what: str) -> VirtError:
    """The error of ours that says why ssh got nowhere; `words` are its own. `what` is what was tried."""
    kind, why = next(
        (meaning for part, meaning in _BY_SSH if re.search(part, words.lower())),
        (HostUnreachable, "ssh could not reach the host. Its own words are in the details"),
    )
    return kind(f"Could not {what}: {why}.", details=words)


def from_libvirt(exc: libvirt.libvirtError, what: str) -> VirtError:
    """The error of ours that says what libvirt's `exc` means. `what` is what was tried: "start guest web-01"."""
    words = str(exc)
    kind, why = _meaning(exc, words.lower())
    return kind(f"Could not {what}: {why}.", details=words)


def _meaning(exc: libvirt.libvirtError, words: str) -> Meaning:
    for part, meaning in (*_BY_SSH, *_BY_TEXT, *STORAGE):
        if re.search(part, words):
            return meaning
    code = exc.get_error_code()
    if code == libvirt.VIR_ERR_SYSTEM_ERROR and exc.get_error_domain() in _TRANSPORT_DOMAINS:
        return _transport(words)
    return _BY_CODE.get(code, (VirtError, "libvirt reported an error. Its own words are in the details"))


def _transport(words: str) -> Meaning:
    if "permission denied" in words:
        why = "this process may not open libvirt's socket. Add its user to the group that owns the socket"
        return PermissionRefused, why
    if "no such file or directory" in words or "connection refused" in words:
        return HostUnreachable, "libvirt does not run there. Start libvirtd on that host"
    return HostUnreachable, "the host cannot be reached. Is it switched on, and is its address right"


def _drop(_context: object, _error: object) -> None:
    """libvirt prints every error to stderr unless somebody takes it; we raise it instead."""


libvirt.registerErrorHandler(_drop, None)
