"""An older definition of a guest made fit to be put back."""

from __future__ import annotations

from collections.abc import Collection

from virt.errors import Invalid
from virt.xmltree import Element, attribute, dump, parse, text

_SECRET = ("passwd", "passwdValidTo", "connected")  # of <graphics>: in no definition that is kept


def restored_xml(old: str, current: str, *, without_discs: Collection[str] = ()) -> str:
    """`old` with what it must take from `current` (read with secure=True): the name, and passwords of displays.

    A guest keeps the name that it has now. Drives named in `without_discs` (targets) are left empty.
    Raises Invalid when the two are not of one guest.
    """
    root, now = parse(old), parse(current)
    if text(root, "uuid") != text(now, "uuid"):
        raise Invalid("This is the definition of another guest.", field="number")
    name = root.find("name")
    if name is None:
        raise Invalid("The definition has no <name>.", field="xml")
    name.text = now.findtext("name")
    for screen in root.iterfind("devices/graphics"):
        _take_password(screen, now)
    for disk in root.iterfind("devices/disk"):
        source = disk.find("source")
        if source is not None and attribute(disk, "target", "dev") in without_discs:
            disk.remove(source)
    return dump(root)


def _take_password(screen: Element, now: Element) -> None:
    same = next((other for other in now.iterfind("devices/graphics") if other.get("type") == screen.get("type")), None)
    for secret in _SECRET:
        value = same.get(secret) if same is not None else None
        if value is not None:
            screen.set(secret, value)


def open_displays(xml: str) -> list[str]:
    """Displays that listen on the network, as "vnc 0.0.0.0"."""
    found = []
    for screen in parse(xml).iterfind("devices/graphics"):
        address = attribute(screen, "listen", "address") or str(screen.get("listen", ""))
        if address and not address.startswith(("127.", "::1")):
            found.append(f"{screen.get('type', '')} {address}")
    return found
