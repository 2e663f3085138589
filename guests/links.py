"""Which volume a disk is and which network or bridge a card is on: found by path and name among the host's rows."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from django.db.models import Q

from hosts.models import Host
from networking.models import Bridge, Network
from storage.models import Volume
from virt.types import DiskSummary, NicSummary

from .models import Disk, Nic

CHUNK = 500  # rows in one update
FEW = 50  # sources that are asked for by name; to look for more takes longer than to read all volumes of the host


class Volumes:
    """The volumes of a host by path and by "pool/volume": those that `sources` name, or all."""

    def __init__(self, host: Host, sources: Collection[str] | None = None) -> None:
        self._by_source: dict[str, int] = {}
        found = Volume.objects.filter(pool__host=host)
        if sources is not None and len(sources) <= FEW:
            names = {source.partition("/")[2] for source in sources if not source.startswith("/")}
            found = found.filter(Q(path__in=list(sources)) | Q(name__in=list(names)))
        # Two pools may show one file; a volume that is there wins over a missing one.
        found = found.order_by("-missing_since", "-pk")
        for path, pk, missing, pool, name in found.values_list("path", "pk", "missing_since", "pool__name", "name"):
            for source in (path, f"{pool}/{name}"):
                if not missing or source not in self._by_source:
                    self._by_source[source] = pk

    def find(self, source: str) -> int | None:
        """The row id of the volume that `source` (a path, or "pool/volume") is, or None."""
        return self._by_source.get(source)


class Places:
    """What disks and network cards of a host may be on, each kind asked for once, when it is needed."""

    def __init__(self, host: Host, sources: Collection[str] | None = None) -> None:
        """`sources`: those of the disks, if it is not about all guests of the host."""
        self._host, self._sources = host, sources

    @cached_property
    def volumes(self) -> Volumes:
        return Volumes(self._host, self._sources)

    @cached_property
    def networks(self) -> Mapping[str, int]:
        """Row ids by name; of two networks that had one name, the one that is there."""
        found = Network.objects.filter(host=self._host).values_list("name", "pk", "missing_since")
        return {name: pk for name, pk, _missing in sorted(found, key=lambda row: (row[2] is None, row[1]))}

    @cached_property
    def bridges(self) -> Mapping[str, int]:
        """Row ids by name."""
        return dict(Bridge.objects.filter(host=self._host).values_list("name", "pk"))


DISK_COLUMNS = ("target", "bus", "device", "source", "volume_id", "format", "is_readonly", "boot_order")
NIC_COLUMNS = ("position", "mac", "kind", "source", "network_id", "bridge_id", "model", "is_link_up")


def disk_values(disk: DiskSummary, places: Places) -> tuple[Any, ...]:
    """What DISK_COLUMNS hold of a disk."""
    volume = places.volumes.find(disk.source) if disk.source else None
    format_ = disk.format or ""
    return disk.target, disk.bus, disk.device, disk.source, volume, format_, disk.readonly, disk.boot_order


def nic_values(nics: Iterable[NicSummary], places: Places) -> list[tuple[Any, ...]]:
    """What NIC_COLUMNS hold of a guest's network cards."""
    return [
        (
            position,
            nic.mac,
            nic.kind,
            nic.source,
            places.networks.get(nic.source) if nic.kind == "network" else None,
            places.bridges.get(nic.source) if nic.kind == "bridge" else None,
            nic.model or "",
            nic.link_up,
        )
        for position, nic in enumerate(nics)
    ]


def link_late(host: Host) -> None:
    """Link disks and cards whose volume, network or bridge became known after they did."""
    loose = Disk.objects.filter(guest__host=host, volume=None).exclude(source="").order_by()
    sources = dict(loose.values_list("pk", "source"))
    places = Places(host, set(sources.values()))
    if sources:
        volumes = places.volumes
        found = [Disk(pk=pk, volume_id=volume) for pk, source in sources.items() if (volume := volumes.find(source))]
        Disk.objects.bulk_update(found, ["volume"], batch_size=CHUNK)
    for field, known in (("network", places.networks), ("bridge", places.bridges)):
        cards = Nic.objects.filter(guest__host=host, kind=field, **{field: None})
        for name in set(cards.values_list("source", flat=True)) & set(known):
            cards.filter(source=name).update(**{field: known[name]})
