"""Values that a user may give, checked before libvirt sees them.

Each function returns the value (cleaned where that is harmless) or raises Invalid with a sentence and the name of its
field.
"""

from __future__ import annotations

import re
import unicodedata
from uuid import UUID

from virt.errors import Invalid

MAX_VCPUS = 710  # what QEMU takes for one guest at most
MIN_MEMORY_MIB = 16
MAX_MEMORY_MIB = 64 * 1024 * 1024  # 64 TiB, above what any host here can have
MIN_DISK_BYTES = 1024 * 1024
MAX_DISK_BYTES = 2**60  # 1 EiB; libvirt's own numbers end at 2**63
MAX_GUEST_NAME_BYTES = (
    200  # libvirt 9.0 fails above 247 ("<name>.xml.new" is a file name); leaves room for "-vda.qcow2"
)
MAX_FILE_NAME_BYTES = 255

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_DEVICE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", re.ASCII)


def guest_name(value: str, *, field: str = "name") -> str:
    """A name for a guest. Blanks around it are cut off; other scripts, quotes, & and < > are fine, libvirt takes them.

    Refused are what is no file name (slash, control characters, "." and "..": libvirt 9.0 deletes its own state
    directory when it fails to define a guest named ".."), what cannot be seen or typed, and a leading dot or dash.
    """
    name = _visible_name(value, field, "guest")
    _fits(name, MAX_GUEST_NAME_BYTES, field, "guest")
    return name


def volume_name(value: str, *, field: str = "name") -> str:
    """A file name in a pool: as for guests, and none of the characters that make trouble in shells, URLs and on other
    systems.
    """
    name = _visible_name(value, field, "volume")
    bad = sorted(set(name) & set('"<>|*?\\:'))
    if bad:
        raise Invalid(f"The name must not contain {' '.join(bad)}. Use letters, digits, dots and dashes.", field=field)
    if name.endswith("."):
        raise Invalid("The name must not end with a dot.", field=field)
    _fits(name, MAX_FILE_NAME_BYTES, field, "volume")
    return name


def pool_name(value: str, *, field: str = "name") -> str:
    """A name for a storage pool: letters, digits, dots, dashes and underscores, at most 64."""
    return _plain_name(value, field, "pool")


def network_name(value: str, *, field: str = "name") -> str:
    """A name for a virtual network: letters, digits, dots, dashes and underscores, at most 64."""
    return _plain_name(value, field, "network")


def device_name(value: str, *, field: str = "bridge") -> str:
    """The name of a network device of the host, at most 15 characters, as Linux has it."""
    if not _DEVICE_NAME.fullmatch(value):
        raise Invalid(
            "This is not the name of a network device: at most 15 letters, digits, dots and dashes.", field=field
        )
    return value


def vcpus(value: int, *, host_max: int | None = None, field: str = "vcpus") -> int:
    """A number of vCPUs, from 1 to what the host takes (its CompatSheet.max_vcpus). libvirtd 9.0 aborts on -1."""
    limit = min(MAX_VCPUS, host_max) if host_max else MAX_VCPUS
    if not 1 <= value <= limit:
        raise Invalid(f"A guest can have from 1 to {limit} vCPUs on this host, not {value}.", field=field)
    return value


def memory_mib(value: int, *, host_mib: int | None = None, field: str = "memory_mib") -> int:
    """Memory in MiB, at least 16 and at most what the host has."""
    if value < MIN_MEMORY_MIB:
        raise Invalid(f"A guest needs at least {MIN_MEMORY_MIB} MiB of memory, not {value} MiB.", field=field)
    if host_mib and value > host_mib:
        raise Invalid(f"The host has {host_mib} MiB of memory; {value} MiB is more than that.", field=field)
    if value > MAX_MEMORY_MIB:
        raise Invalid(f"{value} MiB of memory is more than any host has.", field=field)
    return value


def disk_bytes(value: int, *, available_bytes: int | None = None, field: str = "capacity_bytes") -> int:
    """The size of a disk, from 1 MiB to 1 EiB, and to `available_bytes` where the disk takes its space at once."""
    if value < MIN_DISK_BYTES:
        raise Invalid("A disk must have at least 1 MiB.", field=field)
    if value > MAX_DISK_BYTES:
        raise Invalid("A disk can have at most 1 EiB.", field=field)
    if available_bytes is not None and value > available_bytes:
        raise Invalid(
            f"The pool has {available_bytes / 2**30:.1f} GiB left; a disk of {value / 2**30:.1f} GiB does not fit.",
            field=field,
        )
    return value


def mac(value: str, *, field: str = "mac") -> str:
    """A unicast hardware address in lower case with colons. Dashes are taken for colons."""
    address = value.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(address):
        raise Invalid("A MAC address looks like 52:54:00:12:34:56.", field=field)
    if int(address[:2], 16) & 1:
        raise Invalid("This MAC address is a multicast one. The second digit must be even.", field=field)
    if address == "00:00:00:00:00:00":
        raise Invalid("A MAC address of zeros only belongs to nobody.", field=field)
    return address


def uuid(value: str | UUID, *, field: str = "uuid") -> str:
    """A UUID in libvirt's way of writing it."""
    try:
        return str(value if isinstance(value, UUID) else UUID(value))
    except ValueError as exc:
        raise Invalid("This is not a UUID.", field=field) from exc


def xml_text(value: str, *, field: str) -> str:
    """Free text for a title or a description: several lines, but no control characters, which XML cannot hold."""
    for character in value:
        if character not in "\n\t\r" and not _fits_xml(character):
            raise Invalid("The text has a control character that cannot be stored.", field=field)
    return value


def absolute_path(value: str, *, field: str = "path") -> str:
    """A path on the host: absolute, without control characters, dot-dot or double slashes."""
    if not value.startswith("/") or not all(_fits_xml(c) and c.isprintable() for c in value):
        raise Invalid("Give the full path on the host, starting with a slash.", field=field)
    if any(part in ("", ".", "..") for part in value.rstrip("/").split("/")[1:]):
        raise Invalid('The path must not have empty, "." or ".." parts.', field=field)
    return value.rstrip("/")


def _visible_name(value: str, field: str, what: str) -> str:
    name = value.strip()
    if not name:
        raise Invalid(f"Give the {what} a name.", field=field)
    if "/" in name:
        raise Invalid("The name must not contain a slash.", field=field)
    if name.startswith((".", "-")):
        raise Invalid("The name must not start with a dot or a dash.", field=field)
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp") or not _fits_xml(c) for c in name):
        raise Invalid("The name must not contain control characters or line breaks.", field=field)
    return name


def _fits_xml(character: str) -> bool:
    """Whether XML 1.0 has the character at all. https://www.w3.org/TR/xml/#charsets"""
    return (
        character in "\t\n\r"
        or " " <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character > "\uffff"
    )


def _fits(name: str, limit: int, field: str, what: str) -> None:
    if len(name.encode()) > limit:
        raise Invalid(
            f"The name of a {what} can have {limit} bytes: {limit} Latin letters or {limit // 3} Chinese characters.",
            field=field,
        )


def _plain_name(value: str, field: str, what: str) -> str:
    name = value.strip()
    if not _PLAIN_NAME.fullmatch(name) or len(name) > 64:
        raise Invalid(
            f"The name of a {what} is made of letters, digits, dots, dashes and underscores, at most 64, "
            "and starts with a letter or a digit.",
            field=field,
        )
    return name
