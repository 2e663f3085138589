"""What a file is by its first bytes, and whether it leads to other files of the host.

A disk image may name another file as the one below it, or as where its data lies. From a stranger that is a way to read
/etc/shadow into a guest, so such an image is refused before any tool opens it.
https://www.qemu.org/docs/master/interop/qcow2.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from virt.errors import UserError

HEAD_BYTES = 128 * 1024  # what `kind_of` and `check_references` want to see
_QCOW2_DATA_FILE = 1 << 2
_QCOW2_KNOWN = 0b11111  # dirty, corrupt, data file, compression type, extended L2
_DESCRIPTOR_MAGIC = re.compile(rb"#\s*Disk\s*DescriptorFile", re.IGNORECASE)
_EXTENT = re.compile(rb'^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+\S+(?:\s+"([^"\n]*)")?', re.MULTILINE)
_PARENT = re.compile(rb'parentFileNameHint|parentCID\s*=\s*(?!"?f{8})', re.IGNORECASE)
# Wherever a VMDK's header says that its description is, QEMU and libvirt look for the image below it here.
_PARENT_AT = slice(512, 512 + 20 * 512)


_LIES_ON: dict[str, Callable[[bytes], bool]] = {
    "qed": lambda head: bool(struct.unpack_from("<Q", head, 16)[0] & 1),
    "vhd": lambda head: struct.unpack_from(">I", head, 60)[0] == 4,  # a differencing disk
    "vdi": lambda head: struct.unpack_from("<I", head, 76)[0] not in (1, 2),
}


class ReferenceRefused(UserError):
    """The image names another file of the host."""

    code, status = "reference_refused", 422


def kind_of(head: bytes) -> str:
    """qcow2, vmdk, vhdx, vhd, vdi, tar, iso, disk (bytes of a partitioned disk), qed or ""; none of it is certain."""
    if head.startswith(b"QFI\xfb"):
        return "qcow2"
    if head.startswith((b"KDMV", b"COWD")) or _DESCRIPTOR_MAGIC.match(head):
        return "vmdk"
    if head.startswith(b"vhdxfile"):
        return "vhdx"
    if head.startswith(b"conectix"):
        return "vhd"
    if head.startswith(b"QED\0"):
        return "qed"
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if head[257:262] == b"ustar":
        return "tar"
    if head[32769:32774] in (b"CD001", b"BEA01"):
        return "iso"
    if head[512:520] == b"EFI PART" or (head[510:512] == b"\x55\xaa" and len(head) > 512):
        return "disk"
    return ""


def check_references(head: bytes, name: str) -> None:
    """Raise ReferenceRefused when the image that begins with `head` leads to another file."""
    kind = kind_of(head)
    if kind == "qcow2":
        _check_qcow2(head, name)
    elif kind == "vmdk":
        _check_vmdk(head, name)
    elif kind in _LIES_ON and _LIES_ON[kind](head.ljust(512, b"\0")):
        raise _backed(name)


def _check_qcow2(head: bytes, name: str) -> None:
    if len(head) < 72:
        raise ReferenceRefused(f"{name} is cut off inside its header. Get it again.")
    version, backing = struct.unpack_from(">IQ", head, 4)
    if backing:
        raise _backed(name)
    if version == 1:
        raise ReferenceRefused(f"{name} is in the first qcow format, which is not taken. Convert it to qcow2.")
    features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 and len(head) >= 80 else 0
    if features & _QCOW2_DATA_FILE:
        raise ReferenceRefused(
            f"{name} keeps its data in another file of the host. Such an image is not taken from outside: "
            "convert it into one file that has everything in it."
        )
    if features & ~_QCOW2_KNOWN:
        raise ReferenceRefused(f"{name} uses features of qcow2 that are not known here. Convert it to a plain qcow2.")


def _check_vmdk(head: bytes, name: str) -> None:
    if head.startswith(b"COWD"):
        raise ReferenceRefused(f"{name} is a disk of an old ESX host. Export the machine as an OVA, and import that.")
    if not head.startswith(b"KDMV"):
        raise ReferenceRefused(
            f"{name} is only the description of a VMware disk: the data is in another file. "
            "Bring the machine as an OVA, or the file whose name ends in -flat.vmdk."
        )
    if len(head) < 512:
        raise ReferenceRefused(f"{name} is cut off inside its header. Get it again.")
    capacity, _grain, at, sectors = struct.unpack_from("<QQQQ", head, 12)
    described = head[at * 512 : (at + sectors) * 512] if at and sectors else b""
    if at and sectors and len(described) < min(sectors * 512, 512):
        raise ReferenceRefused(f"{name} hides its description behind its data. Export the machine as an OVA.")
    if _PARENT.search(described) or b"parentFileNameHint" in head[_PARENT_AT]:
        raise _backed(name)
    # QEMU follows an embedded description's names only where the header itself has no size.
    if capacity == 0 or len(_EXTENT.findall(described)) > 1:
        raise ReferenceRefused(f"{name} is one of several files of a disk. Bring the machine as an OVA.")


def _backed(name: str) -> ReferenceRefused:
    return ReferenceRefused(
        f"{name} lies on another image, which it names by a path of the host. Such an image is not taken from outside: "
        "convert it into one that stands alone (qemu-img convert), and bring that."
    )
