"""Live messages: rows that changed → channel layer → open pages, which refetch the fragment that shows them."""

from contextlib import suppress
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import models, transaction
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)
MANY = 20  # topics at once, from which on it pays to ask first who listens at all
_models: dict[str, type[models.Model]] = {}


def register(kind: str, model: type[models.Model]) -> None:
    """Let pages follow `<kind>-<pk>`; whoever subscribes is asked for `model.objects.permitted(user, "view")`."""
    _models[kind] = model


def model_of(kind: str) -> type[models.Model] | None:
    return _models.get(kind)


def group_of(topic: str) -> str:
    """The channel layer's name of a topic."""
    return f"live.{topic}"


def publish(*topics: str) -> None:
    """Tell open pages, once the transaction in hand commits, that these topics changed. Never fails the change."""
    transaction.on_commit(lambda: _send(topics))


def _send(topics: tuple[str, ...]) -> None:
    async_to_sync(send)(topics)


async def send(topics: tuple[str, ...] | list[str]) -> None:
    """The same from asynchronous code that is outside a transaction."""
    layer: Any = get_channel_layer()
    with suppress(RedisError, OSError):  # pages catch up by themselves when they reconnect
        for topic in await _heard(layer, topics):
            await layer.group_send(group_of(topic), {"type": "topic.changed", "topic": topic})


async def _heard(layer: Any, topics: tuple[str, ...] | list[str]) -> tuple[str, ...] | list[str]:
    """Of many topics those that somebody listens to: a sample of 1,000 guests is a thousand, and few are looked at.

    channels_redis keeps who is in a group under a key of its own; another layer gets all of them.
    """
    if len(topics) < MANY or not hasattr(layer, "ring_size"):
        return topics
    listened: set[bytes] = set()
    for shard in range(layer.ring_size):
        listened.update(await layer.connection(shard).keys(f"{layer.prefix}:group:{group_of('*')}"))
    begin = len(f"{layer.prefix}:group:{group_of('')}")
    names = {key.decode()[begin:] for key in listened}
    return [topic for topic in topics if topic in names]
