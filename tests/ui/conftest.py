"""A browser on pages of this process. The live socket is played by the test: what it sends is what the page hears."""

import copy
import json
import os
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in the thread of the tests
expect.set_options(timeout=15_000)  # a busy machine is no failure
SITE = Path(__file__).resolve().parent / "site"


class Socket:
    """The server's end of /ws/live/."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.is_down = False
        self._route: WebSocketRoute | None = None

    def opened(self, route: WebSocketRoute) -> None:
        if self.is_down:
            route.close()
            return
        self._route = route
        route.on_message(self._received)

    def _received(self, message: str | bytes) -> None:
        self.topics = json.loads(message)["subscribe"]
        self._send({"subscribed": self.topics})

    def tell(self, topic: str) -> None:
        """This topic changed."""
        self._send({"topic": topic})

    def go_down(self) -> None:
        self.is_down = True
        if self._route:
            self._route.close()

    def _send(self, message: dict[str, object]) -> None:
        assert self._route, "the page has not opened its socket"
        self._route.send(json.dumps(message))


@pytest.fixture(autouse=True)
def no_channel_layer(monkeypatch):
    """The test plays the socket: what models publish goes nowhere, and async_to_sync cannot run beside Playwright."""
    monkeypatch.setattr("jobs.live._send", lambda topics: None)


@pytest.fixture
def socket() -> Socket:
    return Socket()


@pytest.fixture
def site(live_server, settings):
    """The address of kvmweb with the pages of tests/ui/site."""
    settings.ROOT_URLCONF = "tests.ui.site.urls"
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"].append(SITE / "templates")
    settings.TEMPLATES = templates
    return live_server.url


@pytest.fixture
def page(chromium: Browser, site: str, socket: Socket, admin, client):
    """A page of an administrator who is logged in. At its end no script has failed and the CSP has refused nothing."""
    client.force_login(admin)
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=site)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": site}])
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.route_web_socket("**/ws/live/", socket.opened)
    complaints = watch(page)
    yield page
    context.close()
    assert complaints == []


def watch(page: Page) -> list[str]:
    """What the browser complains about on `page`, but for answers that are errors on purpose."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and "the server responded with a status of 4" not in message.text
            else None
        ),
    )
    return complaints
