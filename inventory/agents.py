"""Asking the agents of a host's guests in turn. It blocks, for seconds where one hangs: called on a lane of its own."""

import time
from collections.abc import Iterable
from uuid import UUID

import structlog

from guests.agents import record
from guests.agents.models import AgentReport
from hosts.models import Host
from virt import agent
from virt.connection import Connection
from virt.errors import AgentMissing, GuestNotFound, HostTimeout, VirtError

log = structlog.get_logger(__name__)
LOOK_EVERY_S = 5.0  # whether somebody is to be asked
ASK_EVERY_S, MOST_PER_S = 60.0, 5  # of many guests each is asked less often: an answer costs its QEMU and us a little
ABSENT_EVERY_S = 300.0  # libvirt tells when an agent comes
SILENT_EVERY_S = 600.0
SLOW_S = 2.0  # an agent that takes longer than this to say no hangs
TURN_S = 10.0  # how long one turn may take: agents that hang are asked last, a few at a time


class AgentReader:
    """Remembers when each guest is asked next."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.waiting: dict[UUID, int] = {}  # whom to ask now, with their row ids
        self._due: dict[UUID, float] = {}
        self._pause_s = ASK_EVERY_S
        self._doubtful: set[UUID] = set()  # those that hung when they were last asked
        self._soon: set[UUID] = set()  # from the loop of events, which is another thread

    def ask_soon(self, uuids: Iterable[str]) -> None:
        """Ask these guests at the next turn: their agent came or went."""
        self._soon |= set(map(UUID, uuids))

    def look_who_waits(self) -> None:
        """Find `waiting`: those that are due, the surest first."""
        soon, self._soon = self._soon, set()
        there = record.to_ask(self.host)
        self._pause_s = max(ASK_EVERY_S, len(there) / MOST_PER_S)
        self._due = {uuid: due for uuid, due in self._due.items() if uuid in there and uuid not in soon}
        self._doubtful &= there.keys() - soon
        now = time.monotonic()
        due = [uuid for uuid in there if self._due.get(uuid, 0.0) <= now]
        due.sort(key=lambda uuid: (uuid in self._doubtful, self._due.get(uuid, 0.0)))
        self.waiting = {uuid: there[uuid] for uuid in due}

    def take_turn(self, conn: Connection) -> None:
        """Ask them. Raises VirtError when the host is away or a guest took the connection with it."""
        begin = time.monotonic()
        for uuid, pk in self.waiting.items():
            self._ask(conn, uuid, pk)
            if time.monotonic() - begin > TURN_S:
                break

    def _ask(self, conn: Connection, uuid: UUID, pk: int) -> None:
        begin = time.monotonic()
        try:
            said = agent.agent_report(conn, uuid)
        except GuestNotFound:
            return
        except VirtError as error:
            is_slow = isinstance(error, HostTimeout) or time.monotonic() - begin > SLOW_S
            if not is_slow and not conn.is_alive:
                raise
            is_absent = isinstance(error, AgentMissing) and not is_slow
            state = AgentReport.State.ABSENT if is_absent else AgentReport.State.SILENT
            self._due[uuid] = begin + (SILENT_EVERY_S if is_slow else ABSENT_EVERY_S)
            (self._doubtful.add if is_slow else self._doubtful.discard)(uuid)
            log.info("no word from the agent", host=self.host.name, guest=str(uuid), error=str(error), slow=is_slow)
            record.record_no_answer(self.host, uuid, pk, state)
            if not conn.is_alive:
                raise
        else:
            self._due[uuid] = begin + self._pause_s
            self._doubtful.discard(uuid)
            record.record_answer(self.host, uuid, pk, said)
