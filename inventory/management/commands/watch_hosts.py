"""`manage.py watch_hosts`: the watcher, until it is stopped."""

import asyncio
import signal
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand

from inventory.watcher import Watcher


class Command(BaseCommand):
    help = "Keep the rows of all hosts in step with libvirt. A second one waits and takes over when the first ends."
    requires_system_checks = []  # they load every page and its templates, which this process never needs

    def handle(self, *args: Any, **options: Any) -> None:
        with suppress(asyncio.CancelledError, KeyboardInterrupt):
            asyncio.run(_until_stopped())


async def _until_stopped() -> None:
    watching = asyncio.create_task(Watcher().run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, watching.cancel)
    await watching
