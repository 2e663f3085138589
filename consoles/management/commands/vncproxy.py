"""`manage.py vncproxy`: the console gateway, a process per viewer."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Serve consoles over WebSockets, a process per viewer, at /websockify?token=TICKET."
    requires_system_checks: list[str] = []  # they may open the database, and this process forks

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default=settings.BIND, help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.GATEWAY_PORT, help="default: %(default)s")

    def handle(self, *args: Any, bind: str, port: int, **options: Any) -> None:
        # websockify loads numpy, which would start a thread per core: none may run where processes fork.
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        from consoles.gateway import serve

        self.stdout.write(f"Console gateway on {bind}:{port}")
        try:
            serve(bind, port)
        except OSError as error:
            raise CommandError(
                f"The gateway cannot listen on {bind}:{port}: {error.strerror}. Is one running?"
            ) from error
