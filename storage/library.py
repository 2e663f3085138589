"""The library: what kind each image is, and how one whose content is known gets in."""

import re
from typing import Any

from django.utils import timezone

from accounts.models import User
from jobs.live import publish
from virt import image_guard
from virt.connection import Connection

from . import media
from .models import Iso, Volume

_DRIVERS = re.compile(r"virtio-?win|vmware.?tools|guest.?additions", re.IGNORECASE)
_EDITIONS = (
    (r"netinst|netboot|net-?install", "Netinst"),
    (r"boot(?!able)|minimal|mini", "Minimal"),
    (r"live.?server|server", "Server"),
    (r"desktop|workstation|live", "Desktop"),
    (r"generic-?cloud|genericcloud|cloud", "Cloud"),
    (r"dvd|everything", "DVD"),
)
_IMPORTED = frozenset({"vmdk", "vhd", "vhdx", "vdi", "tar", "qed"})


def look(image: media.Image, name: str) -> dict[str, Any]:
    """What an image says of itself, as columns of Iso."""
    found = media.facts(image)
    return found | _kind(image, name, found)


def _kind(image: media.Image, name: str, facts: dict[str, Any]) -> dict[str, Any]:
    words = f"{facts.get('label', '')} {name}"
    edition = next((text for pattern, text in _EDITIONS if re.search(pattern, words, re.IGNORECASE)), "")
    if facts.get("is_iso9660"):
        kind = Iso.Kind.DRIVERS if _DRIVERS.search(words) else Iso.Kind.ISO
        return {"kind": kind, "edition": edition if kind == Iso.Kind.ISO else ""}
    found = image_guard.kind_of(image.read(0, image_guard.HEAD_BYTES))
    if found in ("qcow2", "disk"):
        return {"kind": Iso.Kind.CLOUD, "edition": edition}
    if found in _IMPORTED or name.lower().endswith(".ovf"):
        return {"kind": Iso.Kind.APPLIANCE, "edition": ""}
    return {"kind": Iso.Kind.OTHER, "edition": ""}


def _file_bytes(image: media.Image, volume: Volume, sha256: str) -> int | None:
    """How large the file is; where libvirt cannot say (a qcow2 on another host), as large as one with that content."""
    if isinstance(image, media.LocalImage) or volume.format in media.PLAIN:
        return image.size
    return Iso.objects.filter(sha256=sha256).exclude(file_bytes=None).values_list("file_bytes", flat=True).first()


def add_image(
    conn: Connection,
    volume: Volume,
    sha256: str,
    *,
    expected: str = "",
    signed_by: str = "",
    source_url: str = "",
    entry: str = "",
    published: str = "",
    by: User | None = None,
) -> Iso:
    """Put a volume that was just written, and whose SHA-256 is known from that, into the library."""
    with media.open_image(conn, volume) as image:
        found = look(image, volume.name) | {"file_bytes": _file_bytes(image, volume, sha256)}
    iso, _made = Iso.objects.update_or_create(
        volume=volume,
        defaults={
            **found,
            "sha256": sha256,
            "sha256_expected": expected,
            "signed_by": signed_by,
            "source_url": source_url[:2000],
            "entry": entry,
            "published": published,
            "os_set_by_hand": False,
            "inspected_at": timezone.now(),
            "checked_bytes": volume.capacity_bytes,
            "added_by": by,
            "added_at": timezone.now(),
        },
    )
    publish(f"iso-{iso.pk}", "isos")
    return iso
