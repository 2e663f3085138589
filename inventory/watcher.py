"""The watcher: while it holds the lease it looks after every enabled host, each on its own."""

import asyncio
from contextlib import suppress

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from hosts.models import Host
from jobs.heartbeat import INTERVAL_S, beat

from .host_watch import HostWatch
from .lane import Lane
from .lease import Lease, LeaseLost

log = structlog.get_logger(__name__)
HOSTS_EVERY_S = 1.0


class Watcher:
    """`run` ends only when it is cancelled. Two watchers may run: the second waits until the first is gone."""

    def __init__(self) -> None:
        self._database = Lane("database")
        self._watches: dict[int, tuple[HostWatch, asyncio.Task[None]]] = {}
        self._asked_at: dict[int, object] = {}

    async def run(self) -> None:
        lease = Lease(settings.TICKETS_URL)
        try:
            while True:
                await lease.acquire()
                log.info("watching", holder=lease.holder)
                try:
                    await self._look_after_hosts(lease)
                except* LeaseLost:
                    log.warning("another watcher took over while this one was silent")
        finally:
            self._database.shutdown()
            await lease.release()

    async def _look_after_hosts(self, lease: Lease) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(lease.keep())
                group.create_task(_beat())
                group.create_task(self._follow_host_rows(lease))
        finally:
            await self._stop(list(self._watches))

    async def _follow_host_rows(self, lease: Lease) -> None:
        """Start and stop watches as rows come, go, move, are enabled and disabled."""
        while True:
            try:
                hosts = await self._database.run(_enabled_hosts)
            except DatabaseError as error:
                log.warning("database does not answer, hosts stay as known", error=str(error))
            else:
                await self._match(hosts, lease)
            await asyncio.sleep(HOSTS_EVERY_S)

    async def _match(self, hosts: dict[int, Host], lease: Lease) -> None:
        kept = {
            pk
            for pk, (watch, task) in self._watches.items()
            if not task.done() and pk in hosts and watch.is_still_for(hosts[pk])
        }
        await self._stop([pk for pk in self._watches if pk not in kept])
        for pk, host in hosts.items():
            if pk not in self._watches:
                log.info("host", name=host.name, uri=host.uri)
                watch = HostWatch(host, lease.confirm)
                self._watches[pk] = (watch, asyncio.create_task(watch.run(), name=f"host {host.name}"))
            elif self._asked_at.get(pk) != host.check_requested_at:
                self._watches[pk][0].look_again()
            self._asked_at[pk] = host.check_requested_at

    async def _stop(self, pks: list[int]) -> None:
        tasks = [self._watches.pop(pk)[1] for pk in pks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _enabled_hosts() -> dict[int, Host]:
    return {host.pk: host for host in Host.objects.exclude(state=Host.State.DISABLED)}


async def _beat() -> None:
    """From the loop that does the work: when it hangs, /readyz has to say so."""
    while True:
        with suppress(RedisError, OSError):  # Redis away: /readyz says so itself
            await asyncio.to_thread(beat, "watcher")
        await asyncio.sleep(INTERVAL_S)
