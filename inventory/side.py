"""A lane with a connection of its own, for what may be slow or hang without the host being away."""

from collections.abc import Callable

import structlog
from django.db import Error as DatabaseError

from hosts.models import Host
from virt.connection import Connection
from virt.errors import UserError

from .lane import Lane
from .lease import LeaseLost

log = structlog.get_logger(__name__)


class Side:
    """What fails here is missed and tried again at its next turn: whether the host answers is for others to say."""

    def __init__(self, host: Host, lane: Lane) -> None:
        self.host, self._lane = host, lane
        self._conn: Connection | None = None

    async def run(self, what: str, work: Callable[[Connection], object]) -> bool:
        """Do it on the lane; whether it went well."""
        return await self.run_alone(what, lambda: work(self._connected()))

    async def run_alone(self, what: str, work: Callable[[], object]) -> bool:
        """The same for what needs no connection."""
        try:
            await self._lane.run(work)
        except UserError as error:
            log.info(f"no {what}", host=self.host.name, error=str(error), details=error.details)
        except DatabaseError as error:
            log.warning("database does not answer", host=self.host.name, error=str(error))
        except LeaseLost:
            log.info("another watcher does it now", host=self.host.name, what=what)
        except Exception:
            log.exception(f"no {what}", host=self.host.name)
        else:
            return True
        return False

    def close(self) -> None:
        """Let go of the connection, once the lane gets to it."""
        self._lane.submit(self._disconnect)

    def _connected(self) -> Connection:
        if self._conn is None or not self._conn.is_alive:
            self._disconnect()
            self._conn = self.host.open()
        return self._conn

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
