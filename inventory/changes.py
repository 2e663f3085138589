"""What has changed on a host since its rows were last brought up to date."""

from dataclasses import dataclass, field
from typing import Self

from virt.types import DomainEvent, Event, NetworkEvent, NodeDeviceEvent, PoolEvent

# They change nothing that a row holds; some come many times a second.
_IDLE_CHATTER = frozenset(
    {"balloon", "rtc_changed", "job_completed", "block_threshold", "memory_failure", "control_error", "graphics"}
)


@dataclass
class Changes:
    """A set of UUIDs for each kind of object, so that a burst of events about one of them is one refresh."""

    guests: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)  # guests whose agent came or went
    pools: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)
    bridges: bool = False

    def __bool__(self) -> bool:
        return bool(self.guests or self.agents or self.pools or self.networks or self.bridges)

    def note(self, event: Event) -> None:
        """Add what an event of libvirt's is about."""
        match event:
            case DomainEvent(kind=kind) if kind in _IDLE_CHATTER:
                pass
            case DomainEvent(kind="agent"):
                self.agents.add(event.uuid)
            case DomainEvent():
                self.guests.add(event.uuid)
            case NetworkEvent():
                self.networks.add(event.uuid)
                self.bridges = True  # most networks bring a bridge device and take it away
            case PoolEvent():
                self.pools.add(event.uuid)
            case NodeDeviceEvent(name=name) if name.startswith("net_"):
                self.bridges = True

    def add(self, other: Self) -> None:
        """Take in what another set holds: it could not be dealt with yet."""
        self.guests |= other.guests
        self.agents |= other.agents
        self.pools |= other.pools
        self.networks |= other.networks
        self.bridges = self.bridges or other.bridges
