"""Rows of secrets from what libvirt says about them."""

from typing import Any
from uuid import UUID

from django.db import transaction

from hosts.models import Host
from jobs.live import publish
from virt import secrets
from virt.connection import Connection
from virt.errors import NotSupported
from virt.types import SecretInfo

from .models import HostSecret


def sync_secrets(host: Host, conn: Connection) -> None:
    """Bring the rows in step with what the host has; an older or another libvirt without secrets has none."""
    try:
        found = {UUID(info.uuid): info for info in secrets.list_secrets(conn)}
    except NotSupported:
        found = {}
    rows = {row.uuid: row for row in HostSecret.objects.filter(host=host)}
    new = [HostSecret(host=host, uuid=uuid, **_columns(info)) for uuid, info in found.items() if uuid not in rows]
    changed = [row for uuid, row in rows.items() if uuid in found and _change(row, found[uuid])]
    gone = [row.pk for uuid, row in rows.items() if uuid not in found]
    if not (new or changed or gone):
        return
    with transaction.atomic():
        HostSecret.objects.bulk_create(new, batch_size=500, ignore_conflicts=True)
        for row in changed:
            row.save()
        HostSecret.objects.filter(pk__in=gone).delete()
        publish(f"host-{host.pk}", "volumes")


def _columns(info: SecretInfo) -> dict[str, Any]:
    return {
        "usage": info.usage[:16],
        "usage_id": info.usage_id[:4096],
        "description": info.description[:1000],
        "is_ephemeral": info.is_ephemeral,
        "is_private": info.is_private,
    }


def _change(row: HostSecret, info: SecretInfo) -> bool:
    values = _columns(info)
    if all(getattr(row, name) == value for name, value in values.items()):
        return False
    for name, value in values.items():
        setattr(row, name, value)
    return True
