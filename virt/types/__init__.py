"""What libvirt told us, as frozen values. Units are in the names; uuids are lower-case strings."""

from virt.types.definitions import DiskSummary, DomainSummary, GraphicsSummary, NicSummary
from virt.types.events import ConnectionClosed, DomainEvent, Event, NetworkEvent, NodeDeviceEvent, PoolEvent
from virt.types.guests import (
    BlockStats,
    DomainInfo,
    DomainState,
    DomainStats,
    DomainStatus,
    GuestAddress,
    NetStats,
    Uuid,
)
from virt.types.hosts import CompatSheet, HostCpuTimes, HostFacts, HostUsage, KvmProbe
from virt.types.networks import BridgeInfo, Lease, NetworkInfo
from virt.types.storage import PoolInfo, VolumeInfo
from virt.types.systems import IsoHeader, OsChoice, OsMatch, OsTraits

__all__ = [
    "BlockStats",
    "BridgeInfo",
    "CompatSheet",
    "ConnectionClosed",
    "DiskSummary",
    "DomainEvent",
    "DomainInfo",
    "DomainState",
    "DomainStats",
    "DomainStatus",
    "DomainSummary",
    "Event",
    "GraphicsSummary",
    "GuestAddress",
    "HostCpuTimes",
    "HostFacts",
    "HostUsage",
    "IsoHeader",
    "KvmProbe",
    "Lease",
    "NetStats",
    "NetworkEvent",
    "NetworkInfo",
    "NicSummary",
    "NodeDeviceEvent",
    "OsChoice",
    "OsMatch",
    "OsTraits",
    "PoolEvent",
    "PoolInfo",
    "Uuid",
    "VolumeInfo",
]
