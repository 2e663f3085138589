"""What libvirt told us, as frozen values. Units are in the names; uuids are lower-case strings."""

from virt.types.agents import AgentReport, GuestFilesystem, GuestUser
from virt.types.definitions import DiskSummary, DomainSummary, GraphicsSummary, NicSummary
from virt.types.devices import (
    DiskDetails,
    MediatedDetails,
    MediatedType,
    NetDetails,
    NodeDevice,
    PciDetails,
)
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
from virt.types.host_details import CacheBank, FirmwareImage, HostDetails, NumaCell, PagePool
from virt.types.hosts import CompatSheet, HostCpuTimes, HostFacts, HostUsage, KvmProbe
from virt.types.networks import BridgeInfo, Lease, NetworkInfo
from virt.types.secrets import SecretInfo
from virt.types.storage import PoolInfo, VolumeInfo
from virt.types.systems import IsoHeader, OsChoice, OsMatch, OsTraits

__all__ = [
    "AgentReport",
    "BlockStats",
    "BridgeInfo",
    "CacheBank",
    "CompatSheet",
    "ConnectionClosed",
    "DiskDetails",
    "DiskSummary",
    "DomainEvent",
    "DomainInfo",
    "DomainState",
    "DomainStats",
    "DomainStatus",
    "DomainSummary",
    "Event",
    "FirmwareImage",
    "GraphicsSummary",
    "GuestAddress",
    "GuestFilesystem",
    "GuestUser",
    "HostCpuTimes",
    "HostDetails",
    "HostFacts",
    "HostUsage",
    "IsoHeader",
    "KvmProbe",
    "Lease",
    "MediatedDetails",
    "MediatedType",
    "NetDetails",
    "NetStats",
    "NetworkEvent",
    "NetworkInfo",
    "NicSummary",
    "NodeDevice",
    "NodeDeviceEvent",
    "NumaCell",
    "OsChoice",
    "OsMatch",
    "OsTraits",
    "PagePool",
    "PciDetails",
    "PoolEvent",
    "PoolInfo",
    "SecretInfo",
    "Uuid",
    "VolumeInfo",
]
