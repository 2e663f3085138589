"""Which volume a disk is and which network or bridge a card is on: found by path and name among the host's rows."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hosts.models import Host
from networking.models import Bridge, Network
from storage.models import Volume
from virt.types import DiskSummary, NicSummary

from .models import Disk, Nic

CHUNK = 500  # names in one query


class Volumes:
    """The volumes of a host that some disks may be, by path and by "pool/volume"."""

    def __init__(self, host: Host, sources: Collection[str]) -> None:
        self._by_source: dict[str, int] = {}
        wanted = sorted(source for source in sources if source)
        names = {source.partition("/")[2] for source in wanted if not source.startswith("/")}
        of_host = Volume.objects.filter(pool__host=host)
        # Two pools may show one file; a volume that is there wins over a missing one.
        order = ("-missing_since", "-pk")
        for chunk in _chunks([source for source in wanted if source.startswith("/")]):
            found = of_host.filter(path__in=chunk).order_by(*order).values_list("path", "pk", "missing_since")
            for path, pk, missing in found:
                if not missing or path not in self._by_source:
                    self._by_source[path] = pk
        for chunk in _chunks(sorted(names)):
            for pool, name, pk in of_host.filter(name__in=chunk).values_list("pool__name", "name", "pk"):
                self._by_source[f"{pool}/{name}"] = pk

    def find(self, source: str) -> int | None:
        """The row id of the volume that `source` (a path, or "pool/volume") is, or None."""
        return self._by_source.get(source)


def networks_of(host: Host) -> Mapping[str, int]:
    """Row ids by name; of two networks that had one name, the one that is there."""
    found = Network.objects.filter(host=host).values_list("name", "pk", "missing_since")
    return {name: pk for name, pk, _missing in sorted(found, key=lambda row: (row[2] is None, row[1]))}


def bridges_of(host: Host) -> Mapping[str, int]:
    return dict(Bridge.objects.filter(host=host).values_list("name", "pk"))


DISK_COLUMNS = ("target", "bus", "device", "source", "volume_id", "format", "is_readonly", "boot_order")
NIC_COLUMNS = ("position", "mac", "kind", "source", "network_id", "bridge_id", "model", "is_link_up")


def disk_values(disk: DiskSummary, volumes: Volumes) -> tuple[Any, ...]:
    """What DISK_COLUMNS hold of a disk."""
    volume = volumes.find(disk.source)
    format_ = disk.format or ""
    return disk.target, disk.bus, disk.device, disk.source, volume, format_, disk.readonly, disk.boot_order


def nic_values(
    nics: Iterable[NicSummary], networks: Mapping[str, int], bridges: Mapping[str, int]
) -> list[tuple[Any, ...]]:
    """What NIC_COLUMNS hold of a guest's network cards."""
    return [
        (
            position,
            nic.mac,
            nic.kind,
            nic.source,
            networks.get(nic.source) if nic.kind == "network" else None,
            bridges.get(nic.source) if nic.kind == "bridge" else None,
            nic.model or "",
            nic.link_up,
        )
        for position, nic in enumerate(nics)
    ]


def link_late(host: Host) -> None:
    """Link disks and cards whose volume, network or bridge became known after they did."""
    loose = Disk.objects.filter(guest__host=host, volume=None).exclude(source="").order_by()
    sources = dict(loose.values_list("pk", "source"))
    if sources:
        volumes = Volumes(host, set(sources.values()))
        found = [Disk(pk=pk, volume_id=volume) for pk, source in sources.items() if (volume := volumes.find(source))]
        Disk.objects.bulk_update(found, ["volume"], batch_size=CHUNK)
    for kind, field, known in (("network", "network", networks_of(host)), ("bridge", "bridge", bridges_of(host))):
        cards = Nic.objects.filter(guest__host=host, kind=kind, **{field: None})
        for name in set(cards.values_list("source", flat=True)) & set(known):
            cards.filter(source=name).update(**{field: known[name]})


def _chunks(names: list[str]) -> Iterable[list[str]]:
    return (names[start : start + CHUNK] for start in range(0, len(names), CHUNK))
