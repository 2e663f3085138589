"""Whoever was silent for too long does nothing more before it knows whether the lease is still its own."""

import asyncio
import threading
import time

import pytest
from redis import Redis

from inventory import lease as leases
from inventory.lease import KEY, Lease, LeaseLost
from tests.inventory.conftest import Site, wait_for


@pytest.fixture
def url(site: Site) -> str:
    return f"unix://{site.redis_socket}?db=3"


def test_work_waits_until_the_lease_was_looked_at_again(url, monkeypatch):
    async def first_and_second() -> None:
        lease = Lease(url)
        with pytest.raises(LeaseLost):
            lease.confirm()  # not ours yet
        await lease.acquire()
        lease.confirm()
        monkeypatch.setattr(lease, "_looked_at", lease._looked_at - leases.TTL_S)  # as after a stop of the process
        went_on = threading.Event()

        def work() -> None:
            lease.confirm()
            went_on.set()

        threading.Thread(target=work, daemon=True).start()
        await asyncio.sleep(0.3)
        assert not went_on.is_set()
        keeping = asyncio.create_task(lease.keep())
        await asyncio.sleep(0.3)
        assert went_on.is_set()

        with Redis.from_url(url) as redis:
            redis.set(KEY, "somebody else")
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(keeping, leases.RENEW_S + 2)
        with pytest.raises(LeaseLost):
            lease.confirm()
        await lease.release()

    asyncio.run(first_and_second())


def test_whoever_waited_starts_only_when_the_other_has_had_time_to_find_out(url):
    async def hand_over() -> float:
        first, second = Lease(url), Lease(url)
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        await asyncio.sleep(leases.RETRY_S * 2)
        begin = time.monotonic()
        await first.release()
        await waiting
        took_s = time.monotonic() - begin
        await second.release()
        return took_s

    took_s = asyncio.run(hand_over())
    assert leases.GRACE_S <= took_s < leases.GRACE_S + leases.RETRY_S + 2
    assert leases.TTL_S + leases.RETRY_S + leases.GRACE_S < 9  # a second watcher takes over within 10 s


def test_the_lease_outlives_a_redis_that_goes_away(site, url):
    async def through_a_gap() -> None:
        lease = Lease(url)
        await lease.acquire()
        keeping = asyncio.create_task(lease.keep())
        site.stop_redis()
        await asyncio.sleep(leases.TTL_S + 1)
        lease.confirm()  # nobody can take it, so the work goes on
        site.start_redis()
        with Redis.from_url(url) as redis:
            await asyncio.to_thread(wait_for, lambda: redis.get(KEY), 5)
        assert not keeping.done()
        keeping.cancel()
        await lease.release()

    asyncio.run(through_a_gap())
