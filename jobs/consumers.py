"""The one live socket of a page: it names the topics that its fragments follow and hears when one changed."""

import json
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from accounts.models import User

from . import live

MOST_TOPICS = 400  # a page follows its rows and its lists; more is not a page


class LiveConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """`{"subscribe": [topics]}` replaces the whole set; `{"topic": "guest-12"}` says that one changed."""

    async def connect(self) -> None:
        self.topics: set[str] = set()
        if not self.scope["user"].is_authenticated:
            await self.close()
        else:
            await self.accept()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        try:
            content = json.loads(text_data or "null")
        except ValueError:
            content = None  # what is not JSON is nobody's subscription
        wanted = content.get("subscribe") if isinstance(content, dict) else None
        if not isinstance(wanted, list):
            return
        names = {topic for topic in wanted[:MOST_TOPICS] if isinstance(topic, str)}
        allowed = await database_sync_to_async(_allowed)(self.scope["user"], names)
        for topic in self.topics - allowed:
            await self.channel_layer.group_discard(live.group_of(topic), self.channel_name)
        for topic in allowed - self.topics:
            await self.channel_layer.group_add(live.group_of(topic), self.channel_name)
        self.topics = allowed
        await self.send_json({"subscribed": sorted(allowed)})

    async def topic_changed(self, event: dict[str, Any]) -> None:
        await self.send_json({"topic": event["topic"]})

    async def disconnect(self, code: int) -> None:
        for topic in self.topics:
            await self.channel_layer.group_discard(live.group_of(topic), self.channel_name)


def _allowed(user: User, topics: set[str]) -> set[str]:
    """The topics that `user` may follow. A list's topic says only "something changed", so any user may."""
    user.refresh_from_db()
    if not user.is_active:
        return set()
    allowed = {topic for topic in topics if topic.endswith("s") and live.model_of(topic[:-1])}
    by_kind: dict[str, set[int]] = {}
    for topic in topics - allowed:
        kind, _, number = topic.rpartition("-")
        if number.isascii() and number.isdigit() and len(number) < 19:
            by_kind.setdefault(kind, set()).add(int(number))
    for kind, numbers in by_kind.items():
        if model := live.model_of(kind):
            seen = model._default_manager.permitted(user, "view").filter(pk__in=numbers)  # type: ignore[attr-defined]
            allowed |= {f"{kind}-{pk}" for pk in seen.values_list("pk", flat=True)}
    return allowed
