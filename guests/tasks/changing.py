"""Changing one thing of a guest's definition, and what it was before."""

from typing import Any

from virt import domains
from virt.connection import Connection
from virt.domain_summary import parse_domain
from virt.domain_xml import DomainXML
from virt.errors import NotSupported, WrongState

CHANGES = ("name", "title", "description", "autostart", "vcpus", "memory_mib")
TEXTS = ("title", "description")


def apply_change(conn: Connection, uuid: str, name: str, value: Any, *, live: bool) -> bool:
    """Change one of CHANGES; with `live` at once where the running guest can. False: it waits for the next start."""
    if name == "name":
        domains.rename(conn, uuid, value)
    elif name == "autostart":
        domains.set_autostart(conn, uuid, value)
    elif name in TEXTS:
        document = DomainXML(domains.domain_xml(conn, uuid, secure=True))
        setattr(document, name, value)
        domains.define(conn, document.to_xml())
    elif name == "vcpus":
        return _now_or_later(conn, uuid, domains.set_vcpus, value, live)
    elif name == "memory_mib":
        return _now_or_later(conn, uuid, domains.set_memory, value, live)
    else:
        raise ValueError(f"{name!r} is not one of {', '.join(CHANGES)}")
    return True


def current_values(conn: Connection, uuid: str, names: list[str]) -> dict[str, Any]:
    """What the guest's definition has for each of CHANGES named."""
    info = domains.domain_info(conn, uuid)
    summary = parse_domain(info.xml)
    values = {
        "name": info.name,
        "title": summary.title,
        "description": summary.description,
        "autostart": info.autostart,
        "vcpus": summary.vcpus,
        "memory_mib": summary.memory_mib,
    }
    return {name: values[name] for name in names}


def _now_or_later(conn: Connection, uuid: str, change: Any, value: int, live: bool) -> bool:
    if live:
        try:
            change(conn, uuid, value, live=True)
        except (WrongState, NotSupported):
            change(conn, uuid, value)
            return False
        return True
    change(conn, uuid, value)
    return not domains.domain_info(conn, uuid).is_active
