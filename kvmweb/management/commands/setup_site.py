"""`manage.py setup_site`: what a new installation needs in its database. Safe to repeat."""

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts import audit
from accounts.models import Grant, User
from hosts.services import register_local_host

ADMINISTRATOR = "admin"


class Command(BaseCommand):
    help = "Make the first administrator and add the local host; changes nothing that is there."

    def handle(self, *args: Any, **options: Any) -> None:
        self.make_administrator(settings.VAR / "admin-password")
        if settings.LIBVIRT_URI:
            register_local_host(settings.LIBVIRT_URI)

    def make_administrator(self, file: Path) -> None:
        """Make `admin` with a generated password that is printed once and kept in `file` (0600)."""
        if User.objects.exists():
            return
        password = secrets.token_urlsafe(15)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(password + "\n")
        # The file comes before the row: killed in between, the next run makes both anew.
        user = User.objects.create_superuser(ADMINISTRATOR, password=password)
        Grant.objects.create(user=user, role=Grant.Role.ADMINISTRATOR)
        audit.record(
            None, "create_user", kind="user", object_id=user.pk, name=user.username, detail="first administrator"
        )
        self.stdout.write(f"Administrator: {ADMINISTRATOR}\nPassword: {password}")
