"""All guests of a host with their definitions, in as few round trips as there can be: one each, and four for all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libvirt

from virt.ahead import ahead
from virt.connection import Connection
from virt.domains import domain_state_of, is_probe
from virt.types import DomainInfo, DomainState

AT_ONCE = 250
SECONDS_EACH = 0.5  # that a definition may take, over a slow line too, on top of the connection's own deadline


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """A guest as the lists of the host show it; its definition is still to be read."""

    domain: libvirt.virDomain
    uuid: str
    name: str
    state: DomainState
    reason: str
    is_persistent: bool
    autostart: bool
    has_managed_save: bool


class DomainReader:
    """Looks at once who is there (`uuids`); the definitions come in batches."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._listed = sorted(conn.call(_list, "list the guests"), key=lambda entry: entry.uuid)
        self.uuids = frozenset(entry.uuid for entry in self._listed)

    def batches(self, size: int = AT_ONCE) -> Iterator[list[DomainInfo]]:
        """Guests with their definitions, sorted by UUID. While the caller deals with one batch the next one is read.

        Left out are guests that went away meanwhile, and those whose definition libvirt cannot give.
        """
        parts = (self._listed[start : start + size] for start in range(0, len(self._listed), size))
        return ahead(map(self._read, parts))

    def _read(self, part: Sequence[_Listed]) -> list[DomainInfo]:
        deadline_s = self._conn.timeout_s + SECONDS_EACH * len(part)
        return self._conn.call(lambda _handle: _read(part), "read the guests", timeout_s=deadline_s)


def list_domains(conn: Connection) -> list[DomainInfo]:
    """All guests with their definitions, sorted by name. About 0.2 ms a guest: read it when events say so, not in a
    loop.
    """
    found = [info for batch in DomainReader(conn).batches() for info in batch]
    return sorted(found, key=lambda info: info.name)


def _list(handle: libvirt.virConnect) -> list[_Listed]:
    def which(flag: int) -> set[str]:
        return {domain.UUIDString() for domain in handle.listAllDomains(flag)}

    transient = which(libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)  # few or none, where nearly all are persistent
    autostart = which(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
    saved = which(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    listed = []
    for domain, stats in handle.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0):
        name, uuid = domain.name(), domain.UUIDString()
        if is_probe(name):
            continue
        state, reason = domain_state_of(int(stats["state.state"]), int(stats["state.reason"]))
        is_persistent = uuid not in transient
        listed.append(
            _Listed(
                domain=domain,
                uuid=uuid,
                name=name,
                state=state,
                reason=reason,
                is_persistent=is_persistent,
                autostart=is_persistent and uuid in autostart,
                has_managed_save=is_persistent and uuid in saved,
            )
        )
    return listed


def _read(part: Sequence[_Listed]) -> list[DomainInfo]:
    found = []
    read_at = time.time()
    for entry in part:
        try:
            found.append(_info(entry, read_at))
        except libvirt.libvirtError:
            if not entry.domain.connect().isAlive():
                raise
    return found


def _info(entry: _Listed, read_at: float) -> DomainInfo:
    domain, is_active = entry.domain, entry.state.is_active
    live_xml = domain.XMLDesc(0) if is_active else None
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if entry.is_persistent or live_xml is None else live_xml
    return DomainInfo(
        uuid=entry.uuid,
        name=entry.name,
        state=entry.state,
        reason=entry.reason,
        xml=xml,
        live_xml=live_xml,
        is_persistent=entry.is_persistent,
        autostart=entry.autostart,
        has_managed_save=entry.has_managed_save,
        id=domain.ID() if is_active and domain.ID() >= 0 else None,
        read_at=read_at,
    )
