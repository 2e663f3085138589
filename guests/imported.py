"""The form of a new guest for disks that were imported: what was found out about the machine is filled in."""

import re

from accounts.models import User
from storage.importing.made import find_import

from .plan import FIRMWARES
from .sizes import show_mib


def initial_of(user: User, number: str) -> dict[str, str]:
    """The fields' text for the import that the job with that number made; none where `user` sees none."""
    found = find_import(user, number)
    if found is None:
        return {}
    volume, machine = found.volumes[0], found.machine
    texts = {
        "source": "volume",
        "host": str(volume.pool.host_id),
        "volume": str(volume.pk),
        "name": re.sub(r"[^\w.-]+", "-", machine.get("name", "")).strip("-.")[:60],
        "firmware": machine.get("firmware", ""),
        "vcpus": str(machine.get("vcpus") or ""),
        "memory": show_mib(machine["memory_mib"]) if machine.get("memory_mib") else "",
    }
    if texts["firmware"] not in FIRMWARES:
        texts["firmware"] = ""
    return {name: text for name, text in texts.items() if text}
