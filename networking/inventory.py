"""The rows of virtual networks and host bridges, from what libvirt says. Called by the watcher and by jobs."""

from collections.abc import Iterable
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from hosts.models import Host
from jobs.live import publish
from virt import networks as virt_networks
from virt.connection import Connection
from virt.types import BridgeInfo, NetworkInfo

from .models import Bridge, Network

Row = TypeVar("Row", Network, Bridge)


def sync_networks(host: Host, infos: Iterable[NetworkInfo], *, complete: bool) -> list[Network]:
    """Make the rows say what `infos` say; with `complete` those not listed are marked missing. Returns what changed."""
    known = {row.uuid: row for row in Network.objects.filter(host=host)}
    new: list[Network] = []
    changed: list[Network] = []
    for info in infos:
        row = known.pop(UUID(info.uuid), None)
        if row is None:
            new.append(Network(host=host, uuid=UUID(info.uuid), **_network_values(info)))
        elif _update(row, _network_values(info)):
            changed.append(row)
    gone = _mark_missing(known.values()) if complete else []
    return _save(Network, new, changed + gone)


def refresh_network(host: Host, conn: Connection, uuid: UUID | str) -> Network | None:
    """Read one network again; when it is gone its row is marked missing. Returns the row, or None where there is none.

    Raises VirtError when the host does not answer.
    """
    wanted = UUID(str(uuid))
    info = next((info for info in virt_networks.list_networks(conn) if UUID(info.uuid) == wanted), None)
    if info:
        sync_networks(host, [info], complete=False)
    else:
        _save(Network, [], _mark_missing(Network.objects.filter(host=host, uuid=wanted)))
    return Network.objects.filter(host=host, uuid=wanted).first()


def sync_bridges(host: Host, infos: Iterable[BridgeInfo]) -> list[Bridge]:
    """Make the rows say what `infos` say, which are all bridges of the host. Returns what changed.

    A bridge that libvirt made for a virtual network gets no row: guests reach it through that network.
    """
    known = {row.name: row for row in Bridge.objects.filter(host=host)}
    new: list[Bridge] = []
    changed: list[Bridge] = []
    for info in infos:
        if info.network is not None:
            continue
        row = known.pop(info.name, None)
        if row is None:
            new.append(Bridge(host=host, name=info.name, **_bridge_values(info)))
        elif _update(row, _bridge_values(info)):
            changed.append(row)
    return _save(Bridge, new, changed + _mark_missing(known.values()))


def _network_values(info: NetworkInfo) -> dict[str, Any]:
    known = info.forward in Network.Forward.values
    return {
        "name": info.name,
        "is_active": info.is_active,
        "autostart": info.autostart,
        "persistent": info.is_persistent,
        "forward": info.forward if known else Network.Forward.OTHER,
        "bridge": info.bridge or "",
        "cidr": info.ipv4 or "",
        "dhcp_range": f"{info.dhcp_start} – {info.dhcp_end}" if info.dhcp_start else "",
        "xml": info.xml,
        "missing_since": None,
    }


def _bridge_values(info: BridgeInfo) -> dict[str, Any]:
    return {
        "mac": info.mac,
        "is_active": info.is_active,
        "ports": list(info.ports),
        "addresses": list(info.addresses),
        "missing_since": None,
    }


def _update(row: Row, values: dict[str, Any]) -> bool:
    """Set `values` on the row, unsaved; whether any was another before."""
    differs = any(getattr(row, name) != value for name, value in values.items())
    for name, value in values.items():
        setattr(row, name, value)
    return differs


def _mark_missing(rows: Iterable[Row]) -> list[Row]:
    now = timezone.now()
    gone = [row for row in rows if not row.is_missing]
    for row in gone:
        row.missing_since, row.is_active = now, False
    return gone


def _save(model: type[Row], new: list[Row], changed: list[Row]) -> list[Row]:
    """Write what differs, in two statements however much it is, and tell the pages that show it."""
    if not new and not changed:
        return []
    kind = model._meta.model_name
    columns = [field.name for field in model._meta.concrete_fields if field.name not in ("id", "host", "first_seen_at")]
    with transaction.atomic():
        model.objects.bulk_create(new)
        model.objects.bulk_update(changed, columns, batch_size=200)
        publish(f"{kind}s", *(f"{kind}-{row.pk}" for row in new + changed))
    return new + changed
