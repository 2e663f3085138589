"""Many topics at once over a real Redis: those that somebody listens to are told, the others cost nothing."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from channels_redis.core import RedisChannelLayer
from redis import Redis

from jobs import live
from tests.inventory.conftest import wait_for


@pytest.fixture
def redis_socket(tmp_path: Path) -> Iterator[Path]:
    socket = tmp_path / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        wait_for(socket.exists)
        yield socket
        server.terminate()


async def test_of_a_thousand_topics_the_one_with_a_listener_is_told(redis_socket, monkeypatch):
    layer = RedisChannelLayer(hosts=[f"unix://{redis_socket}"])
    monkeypatch.setattr(live, "get_channel_layer", lambda: layer)
    page = await layer.new_channel()
    await layer.group_add(live.group_of("guest-7"), page)
    with Redis(unix_socket_path=str(redis_socket)) as redis:
        before = redis.info()["total_commands_processed"]
        await live.send([f"guest-{n}" for n in range(1000)])
        assert redis.info()["total_commands_processed"] - before < 20
    assert await layer.receive(page) == {"type": "topic.changed", "topic": "guest-7"}
    await layer.flush()
    await layer.close_pools()


async def test_redis_that_is_away_fails_nothing(redis_socket, monkeypatch):
    layer = RedisChannelLayer(hosts=[f"unix://{redis_socket}.gone"])
    monkeypatch.setattr(live, "get_channel_layer", lambda: layer)
    await live.send([f"guest-{n}" for n in range(1000)])
