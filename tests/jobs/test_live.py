"""The live socket tells a page what changed, and only of what its user may see."""

import json

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import AnonymousUser
from django.db import transaction

from accounts.models import Grant, User
from guests.models import Guest
from hosts.models import Host
from jobs import live
from jobs.consumers import LiveConsumer

pytestmark = pytest.mark.django_db(transaction=True)


def make_guest(name):
    host, _ = Host.objects.get_or_create(name="a", uri="test:///default")
    uuid = f"00000000-0000-4000-8000-{Guest.objects.count():012d}"
    return Guest.objects.create(host=host, uuid=uuid, name=name)


def make_user(guest):
    user = User.objects.create_user("lin.wei")
    Grant.objects.create(user=user, role="viewer", scope_kind="guest", scope_id=guest.pk)
    return user


class Page(ApplicationCommunicator):
    """The page's end of the live socket."""

    def __init__(self, user):
        super().__init__(LiveConsumer.as_asgi(), {"type": "websocket", "path": "/ws/live/", "user": user})

    async def connect(self):
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output())["type"] == "websocket.accept"

    async def send(self, content):
        await self.send_input({"type": "websocket.receive", "text": json.dumps(content)})

    async def receive(self):
        return json.loads((await self.receive_output())["text"])

    async def disconnect(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait()


async def connect(user):
    page = Page(user)
    return page, await page.connect()


async def test_nobody_listens_without_a_login():
    _page, connected = await connect(AnonymousUser())
    assert not connected


async def test_a_page_hears_of_what_it_follows_and_may_see():
    mine, other = await sync_to_async(make_guest)("mine"), await sync_to_async(make_guest)("other")
    page, connected = await connect(await sync_to_async(make_user)(mine))
    assert connected
    wanted = [f"guest-{mine.pk}", f"guest-{other.pk}", "guests", "secrets", "guest-1e9", "guest--1", 7]
    await page.send({"subscribe": wanted})
    assert await page.receive() == {"subscribed": [f"guest-{mine.pk}", "guests"]}
    await live.send([f"guest-{other.pk}", f"guest-{mine.pk}"])
    assert await page.receive() == {"topic": f"guest-{mine.pk}"}
    assert await page.receive_nothing()
    await page.disconnect()


async def test_a_new_set_of_topics_replaces_the_old_one():
    guest = await sync_to_async(make_guest)("mine")
    page, _ = await connect(await sync_to_async(make_user)(guest))
    await page.send({"subscribe": [f"guest-{guest.pk}"]})
    await page.receive()
    await page.send({"subscribe": ["jobs"]})
    await page.receive()
    await live.send([f"guest-{guest.pk}", "jobs"])
    assert await page.receive() == {"topic": "jobs"}
    await page.disconnect()


@pytest.mark.parametrize("nonsense", ["[]", '{"subscribe": "guests"}', '{"other": 1}', '"text"', "{not json", ""])
async def test_nonsense_is_passed_over(nonsense):
    guest = await sync_to_async(make_guest)("mine")
    page, _ = await connect(await sync_to_async(make_user)(guest))
    await page.send_input({"type": "websocket.receive", "text": nonsense})
    await page.send({"subscribe": ["guests"]})
    assert await page.receive() == {"subscribed": ["guests"]}
    await page.disconnect()


async def test_a_change_that_is_rolled_back_is_not_announced():
    guest = await sync_to_async(make_guest)("mine")
    page, _ = await connect(await sync_to_async(make_user)(guest))
    await page.send({"subscribe": ["guests"]})
    await page.receive()

    def change_and_regret():
        with transaction.atomic():
            live.publish("guests")
            transaction.set_rollback(True)

    await sync_to_async(change_and_regret)()
    assert await page.receive_nothing()
    await page.disconnect()
