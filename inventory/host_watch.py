"""One host, looked after for as long as it is enabled: one session after the other, with pauses while it is away."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
from django.db import Error as DatabaseError

from hosts import inventory as hosts
from hosts.models import Host
from virt.errors import UserError

from .lane import Lane
from .lease import LeaseLost
from .session import Session

log = structlog.get_logger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 0.3, 15.0
REFUSED_RETRY_S, REFUSED_WITHIN_S = 4.0, 1.0  # a host that says no at once costs little, and is often back at once
LANES = ("guests", "pools", "samples", "agents")


class HostWatch:
    """Keeps the rows of one host true. `run` ends only when it is cancelled."""

    def __init__(self, host: Host, confirm: Callable[[], None]) -> None:
        """`confirm` is called before anything is done, and raises when it must not be done any more."""
        self.host = host
        self._lanes = tuple(Lane(f"{what} {host.pk}", before=confirm) for what in LANES)
        self._session: Session | None = None
        self._again = asyncio.Event()

    def look_again(self) -> None:
        """Compare everything now, and connect first where there is no connection."""
        self._again.set()
        if self._session:
            self._session.look_again()

    def is_still_for(self, row: Host) -> bool:
        """Whether nobody changed its address, enabled it or changed its login since the connection was made."""
        answered = self._session.answered if self._session else None
        waits_anew = row.state == Host.State.CONNECTING and answered not in (None, row.state_since)
        return row.uri == self.host.uri and not waits_anew

    async def run(self) -> None:
        retry_s = FIRST_RETRY_S
        try:
            while True:
                begin = time.monotonic()
                await self._attempt()
                took_s = time.monotonic() - begin
                most_s = REFUSED_RETRY_S if took_s < REFUSED_WITHIN_S else LAST_RETRY_S
                retry_s = FIRST_RETRY_S if took_s > LAST_RETRY_S else min(most_s, retry_s * 2)
                await self._pause(retry_s * random.uniform(0.6, 1.0))  # noqa: S311 - so that many hosts take turns
        finally:
            for lane in self._lanes:
                lane.shutdown()

    async def _attempt(self) -> None:
        """One session, to its end, and a note of why it ended."""
        self._again.clear()
        self._session = Session(self.host, self._lanes)
        try:
            await self._session.run()
        except UserError as error:
            log.info("no contact", host=self.host.name, error=str(error), details=error.details)
            with suppress(DatabaseError):  # noted at the next attempt
                await self._lanes[0].run(hosts.record_state, self.host, Host.State.UNREACHABLE, error)
        except DatabaseError as error:
            log.warning("database does not answer", host=self.host.name, error=str(error))
        except LeaseLost:
            raise
        except Exception:
            log.exception("watching failed, starting again", host=self.host.name)
        finally:
            self._session = None

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._again.wait()
