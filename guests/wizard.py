"""The defaults of a new guest, which follow what is chosen in its form (`new_form`)."""

import json
from typing import Any

from django.http import QueryDict

from accounts.models import User
from hosts.models import Host
from storage.models import Iso
from virt.errors import Invalid, UserError
from virt.new_guest import default_firmware

from . import sheets
from .plan import default_memory_mib, default_network, host_for
from .plan_disks import pools_for
from .plan_tree import published
from .sizes import show_mib
from .systems import find_os, suggested_name

# Fields whose defaults follow the system, the disc and the host. A value that somebody typed is left alone.
FOLLOWING = ("os", "name", "vcpus", "memory", "disk", "firmware", "network", "pool", "disk_format")


def chosen_host(user: User, data: QueryDict | dict[str, str]) -> Host | None:
    """The host that the form is about, or None where there is nothing to choose from yet."""
    pk = data.get("host") or ""
    try:
        return host_for(int(pk) if str(pk).isascii() and str(pk).isdigit() and len(str(pk)) < 19 else None, user)
    except Invalid:
        hosts = Host.objects.permitted(user, "create").present()
        return hosts.filter(maintenance_since=None).first() or hosts.first()


def suggestions(user: User, host: Host | None, data: QueryDict | dict[str, str]) -> dict[str, str]:
    """The defaults, as text for the fields of FOLLOWING, that suit what is chosen in `data`."""
    if host is None:
        return {}
    source = data.get("source") or "iso"
    iso = _iso(user, host, data) if source == "iso" else None
    seen = _row(published(user), data.get("tree") or "") if source == "tree" else iso
    suggested = {"os": seen.os_id if seen else ""}
    try:
        os = find_os(data.get("os") or "")
    except Invalid:
        os = find_os("")
    try:
        sheet = sheets.sheet_for(host, os)
        firmware = default_firmware(os, sheet)
        if iso and iso.boots_bios is False and "uefi" in sheet.firmwares and not os.needs_secure_boot:
            firmware = "uefi"
    except UserError:
        firmware = "bios"
    network, pools = default_network(host), pools_for(host, user)
    return suggested | {
        "name": suggested_name(os, host),
        "vcpus": str(min(os.vcpus, max(1, host.cpus))),
        "memory": show_mib(default_memory_mib(os, host)),
        "disk": f"{os.disk_gib} GiB",
        "firmware": firmware,
        "network": f"network:{network.pk}" if network else "none",
        "pool": str(pools[0].pk) if pools else "",
        "disk_format": "qcow2",
    }


def follow(user: User, data: QueryDict) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """The values of the form after its choices changed, the new defaults, and the fields that took one.

    A field follows while it still holds the default that it was given; that stands in the hidden field "suggested".
    """
    values = {name: str(data.get(name, "")) for name in data}
    before = _json(values.get("suggested", ""))
    host = chosen_host(user, values)
    changed: set[str] = set()
    for fields in (("os",), FOLLOWING):  # the system first: the other defaults are those of the system
        new = suggestions(user, host, values)
        for name in fields:
            follows = values.get(name, "") == before.get(name, "")
            if name in new and follows and values.get(name, "") != new[name]:
                values[name] = new[name]
                changed.add(name)
    return values, suggestions(user, host, values), changed


def initial_of(wanted: dict[str, Any]) -> dict[str, str]:
    """The fields' text for a NewGuest that was asked for before (its `as_json`)."""
    source = "iso" if wanted.get("iso") else "volume" if wanted.get("volume") else "none"
    if wanted.get("boots_from_network"):
        source = "network"
    if wanted.get("tree") or wanted.get("tree_url"):
        source = "tree"
    network = "none"
    if wanted.get("has_network", True):
        kind = "bridge" if wanted.get("bridge") else "network"
        network = f"{kind}:{wanted[kind]}" if wanted.get(kind) else ""
    texts = {
        "source": source,
        "network": network,
        "memory": show_mib(wanted["memory_mib"]) if wanted.get("memory_mib") else "",
        "disk": show_mib(round(wanted["disk_gib"] * 1024)) if wanted.get("disk_gib") else "",
        "disk_format": wanted.get("format") or "",
        "encrypt": "on" if wanted.get("encryption") else "",
        "start": "on" if wanted.get("start") else "",
    }
    same = ["name", "os", "vcpus", "firmware", "host", "iso", "volume", "pool"]
    same += ["tree", "tree_url", "tree_base", "tree_arguments"]
    texts |= {name: str(wanted.get(name) or "") for name in same}
    return {name: text for name, text in texts.items() if text}


def _iso(user: User, host: Host, data: QueryDict | dict[str, str]) -> Iso | None:
    return _row(Iso.objects.permitted(user, "view").filter(volume__pool__host=host), data.get("iso") or "")


def _row(isos: Any, pk: str) -> Iso | None:
    """The image of that number, which a browser sent."""
    is_number = pk.isascii() and pk.isdigit() and len(pk) < 19
    found: Iso | None = isos.filter(pk=int(pk)).first() if is_number else None
    return found


def _json(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
