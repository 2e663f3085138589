"""The right to be the one active watcher: a key in Redis that runs out unless it is renewed."""

import asyncio
import os
import secrets
import socket
import time

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

KEY = "kvmweb:lease:watcher"
TTL_S = 6.0
RENEW_S = 2.0
RETRY_S = 0.5  # while another holds it, or Redis is away
LOOK_S = 0.05
GRACE_S = 1.0  # between another's end and our start: longer than a holder that lives takes to find out

# Both act only on our own lease, in one step. https://redis.io/docs/latest/develop/use/patterns/distributed-locks/
_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class LeaseLost(Exception):
    """Another watcher has it now: this one was silent for too long."""


class Lease:
    """At most one holder at a time: one that was silent for too long does nothing more before it has looked."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        self._looked_at, self._is_lost = 0.0, True
        self.holder = f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"

    async def acquire(self) -> None:
        """Wait until it is ours, for as long as that takes."""
        said = ""
        while True:
            try:
                begin = _now()
                if await self._take() and (not said or await self._is_kept()):
                    self._looked_at, self._is_lost = begin, False
                    return
                waiting_for = f"watcher {await self._redis.get(KEY)!r}"
            except (RedisError, OSError) as error:
                waiting_for = f"Redis: {error}"
            if waiting_for != said:
                log.info("waiting", waiting_for=waiting_for)
                said = waiting_for
            await asyncio.sleep(RETRY_S)

    def confirm(self) -> None:
        """For threads, before each piece of work: return when it is ours, which it usually is. Raises LeaseLost.

        A process that was stopped, or whose loop hung, waits here until the loop has looked again.
        """
        while _now() - self._looked_at >= TTL_S and not self._is_lost:
            time.sleep(LOOK_S)
        if self._is_lost:
            raise LeaseLost

    async def keep(self) -> None:
        """Renew it for ever. Raises LeaseLost when another holds it.

        With Redis away nobody can take it either, so the holder goes on and tries again.
        """
        while True:
            begin = _now()
            try:
                if not await self._renew():
                    self._is_lost = True
                    raise LeaseLost
                pause = RENEW_S
            except (RedisError, OSError) as error:
                log.warning("lease not renewed", error=str(error))
                pause = RETRY_S / 2
            self._looked_at = begin
            await asyncio.sleep(pause)

    async def release(self) -> None:
        """Give it back, so that the next one need not wait for it to run out."""
        self._is_lost = True
        try:
            await self._redis.eval(_RELEASE, 1, KEY, self.holder)
        except (RedisError, OSError) as error:
            log.info("lease not given back, it runs out by itself", error=str(error))
        await self._redis.aclose()

    async def _take(self) -> bool:
        return bool(await self._redis.set(KEY, self.holder, nx=True, px=int(TTL_S * 1000)))

    async def _is_kept(self) -> bool:
        """Whether it is still ours after the time that another holder needs to find out."""
        await asyncio.sleep(GRACE_S)
        return await self._renew()

    async def _renew(self) -> bool:
        if await self._redis.eval(_RENEW, 1, KEY, self.holder, int(TTL_S * 1000)):
            return True
        return await self._take()  # it ran out while Redis or we were away, and nobody wanted it


def _now() -> float:
    """Seconds that pass while the process or the whole machine sleeps, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
