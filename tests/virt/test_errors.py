"""libvirt's errors become sentences of the right kind, with its own words in the details."""

from __future__ import annotations

import libvirt
import pytest

from virt.errors import (
    AgentMissing,
    GuestBusy,
    GuestExists,
    GuestNotFound,
    HostUnreachable,
    Invalid,
    NetworkExists,
    NetworkNotFound,
    NotEnoughMemory,
    NotSupported,
    PermissionRefused,
    PoolExists,
    PoolFull,
    UserError,
    VirtError,
    VolumeInUse,
    VolumeNotFound,
    WrongState,
)
from virt.libvirt_errors import from_libvirt


class Said(libvirt.libvirtError):
    """An error as the library raises it, without the library."""

    def __init__(self, words: str, code: int = libvirt.VIR_ERR_OPERATION_FAILED, domain: int = 0) -> None:
        Exception.__init__(self, words)
        self.err = (code, domain, words, 2, None, None, None, 0, 0)


RPC = {"code": libvirt.VIR_ERR_SYSTEM_ERROR, "domain": libvirt.VIR_FROM_RPC}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Said("Domain not found: no domain with matching uuid", libvirt.VIR_ERR_NO_DOMAIN), GuestNotFound),
        (Said("operation failed: domain 'a' already exists with uuid 1"), GuestExists),
        (Said("domain with name 'already exists' already exists", libvirt.VIR_ERR_OPERATION_INVALID), GuestExists),
        (Said("operation failed: pool 'a' already exists with uuid 1"), PoolExists),
        (Said("operation failed: network 'a' already exists with uuid 1"), NetworkExists),
        (Said("internal error: Network is already in use by interface virbr0"), NetworkExists),
        (Said("cannot allocate 9 bytes in file '/x': No space left on device"), PoolFull),
        (Said("internal error: qemu-img: /x: error while writing: No space left on device"), PoolFull),
        (Said("cannot set up guest memory 'pc.ram': Cannot allocate memory"), NotEnoughMemory),
        (Said('internal error: process exited: Failed to get "write" lock'), VolumeInUse),
        (Said("Guest agent is not responding: QEMU guest agent is not connected"), AgentMissing),
        (Said("QEMU guest agent is not configured", libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED), AgentMissing),
        (Said("Timed out: cannot acquire state change lock", libvirt.VIR_ERR_OPERATION_TIMEOUT), GuestBusy),
        (Said("Failed to connect socket to '/run/x': Permission denied", **RPC), PermissionRefused),
        (Said("Failed to connect socket to '/run/x': No such file or directory", **RPC), HostUnreachable),
        (Said("unable to connect to server at 'a:16509': No route to host", **RPC), HostUnreachable),
        (Said("Cannot access storage file '/x/a.qcow2': No such file or directory"), VolumeNotFound),
        (
            Said(
                "internal error: Child process (/usr/bin/iscsiadm --mode discovery --type sendtargets) unexpected exit "
                "status 12: iscsiadm: Could not insert module tcp. Kmod error -2\n"
                "iscsiadm: iSCSI driver tcp is not loaded. Load the module then retry the command."
            ),
            NotSupported,
        ),
        (
            Said(
                "internal error: Child process (/usr/bin/iscsiadm --mode node --login) unexpected exit status 20: "
                "iscsiadm: initiator reported error (20 - could not connect to iscsid)"
            ),
            WrongState,
        ),
        (
            Said("internal error: Failed to login: Failed to log in to target. Status: Authentication failure(513)"),
            PermissionRefused,
        ),
        (Said("mount.nfs: access denied by server while mounting 10.0.0.1:/x"), PermissionRefused),
        (Said("mount.nfs: mounting 10.0.0.1:/x failed, reason given by server: No such file or directory"), WrongState),
        (Said("mount.nfs: Connection refused"), WrongState),
        (Said("mount error(13): Permission denied\nRefer to the mount.cifs(8) manual page"), PermissionRefused),
        (Said("mount error(113): could not connect to 10.0.0.1\nRefer to the mount.cifs(8) manual page"), WrongState),
        (Said("mount: /mnt: unknown filesystem type 'cifs'."), NotSupported),
        (Said("mount: /mnt: bad option; you might need a /sbin/mount.<type> helper program."), NotSupported),
        (Said("network 'default' is not active", libvirt.VIR_ERR_OPERATION_INVALID), WrongState),
        (Said("Cannot get interface MTU on 'br9': No such device"), NetworkNotFound),
        (Said("Unable to find any firmware to satisfy 'efi'"), NotSupported),
        (Said("internal error: client socket is closed", libvirt.VIR_ERR_INTERNAL_ERROR), HostUnreachable),
        (
            Said("authentication unavailable: no polkit agent available", libvirt.VIR_ERR_AUTH_UNAVAILABLE),
            PermissionRefused,
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_an_error_of_libvirts_becomes_one_of_ours(error, kind):
    mine = from_libvirt(error, "start guest web-01")
    assert type(mine) is kind
    assert str(mine).startswith("Could not start guest web-01: ")
    assert str(mine).endswith(".")
    assert mine.details == str(error)


def test_what_is_not_known_keeps_libvirts_words_for_the_details():
    mine = from_libvirt(Said("some new trouble"), "start guest web-01")
    assert type(mine) is VirtError
    assert "some new trouble" not in str(mine)
    assert mine.details == "some new trouble"


def test_every_error_has_a_code_and_a_status_of_its_own():
    kinds: list[type[UserError]] = [UserError, Invalid, VirtError, *VirtError.__subclasses__()]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(400 <= kind.status < 600 for kind in kinds)


def test_an_invalid_value_names_its_field():
    error = Invalid("A guest can have from 1 to 4 vCPUs on this host, not 9.", field="vcpus")
    assert (error.field, error.status, error.code, error.details) == ("vcpus", 422, "invalid", "")
