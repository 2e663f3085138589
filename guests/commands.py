"""The same by other means: what a page shows below "virt-install", "virsh" and "REST"."""

import json
import shlex
from typing import Any

from hosts.reaching.address import vnc_listen

from .models import Guest
from .plan import GuestPlan, NewGuest

API = "https://kvmweb.example/api/v1"


def virt_install(plan: GuestPlan) -> str:
    """A command line that makes about the same guest."""
    words = [
        "virt-install",
        "--name",
        plan.name,
        "--osinfo",
        plan.os.short_id if plan.os.name else "detect=on,require=off",
    ]
    words += ["--virt-type", "qemu" if plan.is_emulated else "kvm", "--vcpus", str(plan.vcpus)]
    words += ["--memory", str(plan.memory_mib)]
    if plan.disk and plan.disk.encryption:  # no option of virt-install makes it
        words += ["--disk", f"vol={plan.disk.pool.name}/{plan.disk.name}"]
    elif plan.disk:
        size = f"{plan.disk.capacity_bytes / 2**30:g}"
        words += ["--disk", f"pool={plan.disk.pool.name},size={size},format={plan.disk.format}"]
    elif plan.volume:
        words += ["--disk", f"vol={plan.volume.pool.name}/{plan.volume.name}"]
    else:
        words += ["--disk", "none"]
    if plan.network:
        words += ["--network", f"network={plan.network.name},mac={plan.mac}"]
    elif plan.bridge:
        words += ["--network", f"bridge={plan.bridge.name},mac={plan.mac}"]
    else:
        words += ["--network", "none"]
    if plan.tree:
        words += ["--location", f"{plan.tree.url}/"]
        words += ["--extra-args", plan.tree.extra] if plan.tree.extra else []
    elif plan.iso:
        words += ["--cdrom", plan.iso.volume.path]
    elif plan.wanted.boots_from_network:
        words += ["--pxe"]
    elif plan.volume:
        words += ["--import"]
    boot = {"uefi": "uefi=on,firmware.feature0.name=secure-boot,firmware.feature0.enabled=no", "uefi-secure": "uefi"}
    if plan.firmware in boot:
        words += ["--boot", boot[plan.firmware]]
    listen = vnc_listen(plan.host.uri)
    words += ["--graphics", f"vnc,listen={'127.0.0.1' if listen == 'loopback' else listen}"]
    return _lines(words)


def rest_body(wanted: NewGuest) -> dict[str, Any]:
    """The body that asks for the same guest: what is left to be chosen is left out."""
    empty = NewGuest(name="")
    body = {key: value for key, value in wanted.as_json().items() if value != getattr(empty, key) or key == "name"}
    if wanted.disk_gib is not None and float(wanted.disk_gib).is_integer():
        body["disk_gib"] = int(wanted.disk_gib)
    if wanted.encryption:
        body |= {"passphrase": "…"}
    return body


def rest(method: str, path: str, body: dict[str, Any] | None = None) -> str:
    """A call of the REST surface with curl."""
    words = ["curl", "-X", method, "-H", "Authorization: Bearer …"]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body, ensure_ascii=False, indent=1)]
    return _lines([*words, f"{API}{path}"])


def for_verb(guest: Guest, virsh: str, verb: str) -> list[tuple[str, str]]:
    """What switches a guest by other means."""
    return [
        ("virsh", shlex.join(["virsh", virsh, guest.name])),
        ("REST", rest("POST", f"/guests/{guest.pk}/{verb}")),
    ]


def _lines(words: list[str]) -> str:
    """One option a line, as one writes it by hand."""
    made = words[0]
    for word in words[1:]:
        made += (" \\\n  " if word.startswith("-") else " ") + shlex.quote(word)
    return made
