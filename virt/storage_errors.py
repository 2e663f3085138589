"""What the tools say by which libvirt runs its pools: file systems, disks, iSCSI and file servers. All of it in small
letters, as it is compared.
"""

from __future__ import annotations

from virt.errors import NotSupported, PermissionRefused, PoolFull, VirtError, WrongState

Meaning = tuple[type[VirtError], str]
"""The error to raise, and why it failed, to complete the sentence."""


def _no_tool(package: str) -> Meaning:
    return NotSupported, f"the host lacks a program that this type of pool needs. Install {package} on it"


_PARTITION_STAYS: Meaning = (
    NotSupported,
    "libvirt deletes partitions only where the pool names the disk by its kernel name and that ends in a letter, as "
    "/dev/sdb does. Delete it on the host with parted, then refresh the pool",
)
_NO_DRIVER: Meaning = (
    NotSupported,
    "its libvirt lacks the driver for this type of pool. Install it there (on Debian the package "
    "libvirt-daemon-driver-storage-… with the name of the type) and restart libvirtd",
)
_NO_BLOCK_MODULE: Meaning = (
    NotSupported,
    "the host's QEMU lacks the module for a disk of that kind. Install qemu-block-extra (Debian) or "
    "qemu-kvm-block-iscsi, -rbd … (RHEL) on it",
)
_CHAP_REFUSED: Meaning = (
    PermissionRefused,
    "the iSCSI target refuses the login. Check the user name of the pool and the value of its secret",
)
_NO_INITIATOR: Meaning = (
    NotSupported,
    "its kernel has no iSCSI initiator (iscsi_tcp). Load the module, or use a pool of the type iscsi-direct",
)
_NO_LABEL: Meaning = (WrongState, "its device has no partition table that libvirt knows. Build the pool to make one")
_NO_FILE_SYSTEM: Meaning = (WrongState, "its device has no file system of that kind. Build the pool to make one")
_NO_DEVICE: Meaning = (WrongState, "the host has no such device")
_NO_DIRECTORY: Meaning = (WrongState, "its directory is not there. Make it, or mount what it lies on, and try again")
_NOT_LET_IN: Meaning = (PermissionRefused, "the file server does not let this host in. Allow it for the export there")
_NO_SERVER: Meaning = (WrongState, "the file server does not answer. Check its name or address, and that it serves")
_NO_EXPORT: Meaning = (WrongState, "the file server has no such export or share. Look which there are")

STORAGE: list[tuple[str, Meaning]] = [
    (r"cannot open (directory|path) '.*': no such file or directory", _NO_DIRECTORY),
    (r"might need a /sbin/mount\.<type> helper", _no_tool("nfs-common, cifs-utils or glusterfs-client")),
    # Devices
    (
        "storage pool already built|valid disk label already present",
        (WrongState, "something is on its device already. To destroy it, say so"),
    ),
    ("requires build( --overwrite)?$", _NO_LABEL),
    (r"device path '.*' doesn't exist|failed to create filesystem probe|special device \S+ does not exist", _NO_DEVICE),
    (r"can't read superblock|wrong fs type|bad superblock", _NO_FILE_SYSTEM),
    (r"could not open '/sys/class/scsi_host/", (WrongState, "the host has no such SCSI adapter. Look which there are")),
    # Partitions
    ("no large enough free extent", (PoolFull, "no free part of the disk is as large. Ask for less")),
    (
        "no extended partition found and no primary",
        (PoolFull, "its partition table has room for four partitions, which are there. Delete one, or use gpt"),
    ),
    (r"parted \S+ rm --script p\d+|did not start with parent pool source device name", _PARTITION_STAYS),
    # iSCSI
    (r"failed to log in to target.*authentication|login failed due to authorization failure", _CHAP_REFUSED),
    (
        "failed to log in to target.*not found",
        (WrongState, "its iSCSI server has no such target. Look which there are"),
    ),
    ("failed to connect: ", (WrongState, "its iSCSI server does not answer. Check its name or address and the port")),
    (r"iscsi driver .* is not loaded|could not insert module .*iscsi", _NO_INITIATOR),
    ("could not connect to iscsid", (WrongState, "its iSCSI service does not run. Start iscsid on the host")),
    (r"module block-\S+ not found|unknown driver '(iscsi|rbd|gluster|ssh|nfs|curl)'", _NO_BLOCK_MODULE),
    # File servers
    (r"mount\.nfs4?: .*access denied|mount error\(13\)", _NOT_LET_IN),
    (r"mount\.nfs4?: .*no such file or directory|mount error\(2\)", _NO_EXPORT),
    (
        r"mount\.nfs4?: .*(refused|timed out|no route|unreachable|failed to resolve)"
        r"|mount error\(1(01|10|11|12|13|15)\)|mount error: could not resolve|no storage pools were found on host",
        _NO_SERVER,
    ),
    # What is not installed
    (r"cannot execute binary .*/(pv|vg|lv)[a-z]+", _no_tool("lvm2")),
    (r"cannot execute binary .*/iscsiadm|/iscsiadm failed .* status '127'", _no_tool("open-iscsi")),
    (r"cannot execute binary .*/(parted|parthelper)|cannot find 'parted'", _no_tool("parted")),
    (r"cannot execute binary .*/(z(fs|pool))", _no_tool("zfsutils-linux")),
    (r"cannot execute binary .*/showmount|unknown filesystem type 'nfs", _no_tool("nfs-common")),
    (r"unknown filesystem type 'cifs", _no_tool("cifs-utils")),
    (r"unknown filesystem type 'glusterfs", _no_tool("glusterfs-client")),
    (r"device-mapper.* not detected|not detected in your kernel", (NotSupported, "its kernel has no device mapper")),
    ("missing backend for pool type", _NO_DRIVER),
]
