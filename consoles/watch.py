"""An open console is watched: it ends when its holder may not look any longer."""

import asyncio
from contextlib import suppress
from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.db import DatabaseError
from redis.exceptions import RedisError

from jobs import live

from . import services
from .announce import topic_of_user
from .closing import Closing
from .tickets import Ticket

ASK_EVERY_S = 30.0  # without being told
ASK_AFTER_S = 1.0  # being told: a busy guest's row changes often, and a logout is announced before it is done


async def until_revoked(ticket: Ticket, session_key: str | None) -> Closing:
    """Return as soon as the holder of `ticket` has lost the right to the console, and why.

    Changes are announced in the channel layer; where that fails, or Redis is away, it takes up to ASK_EVERY_S.
    """
    layer: Any = get_channel_layer()
    groups = [live.group_of(topic) for topic in (f"guest-{ticket.guest_id}", topic_of_user(ticket.user_id))]
    channel = await layer.new_channel("console")
    wait_s = ASK_AFTER_S  # the first time: what was announced before we listened may be done after we asked
    try:
        while True:
            with suppress(RedisError, OSError):
                for group in groups:  # each time: memberships expire, and Redis may have been restarted
                    await layer.group_add(group, channel)
            with suppress(DatabaseError):  # a database that is away for a moment takes nobody's console
                closing: Closing | None = await database_sync_to_async(services.verdict)(ticket, session_key)
                if closing is not None:
                    return closing
            await _told_or_time(layer, channel, wait_s)
            await asyncio.sleep(ASK_AFTER_S)
            wait_s = ASK_EVERY_S
    finally:
        with suppress(RedisError, OSError):
            for group in groups:
                await layer.group_discard(group, channel)


async def _told_or_time(layer: Any, channel: str, wait_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + wait_s
    try:
        async with asyncio.timeout_at(deadline):
            await layer.receive(channel)
    except TimeoutError:
        return
    except (RedisError, OSError):
        await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))
