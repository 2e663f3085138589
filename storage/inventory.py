"""Rows of pools, volumes and images from what libvirt says.

libvirt knows the files of a pool as of the pool's last refresh. Reading that list is cheap and changes nothing; with
`rescan` libvirt looks at the files again first. That makes it send the event "refreshed", so whoever answers that event
must not rescan.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from hosts.models import Host
from jobs.live import publish
from jobs.models import JobObject
from virt import pool_types, pools, volumes
from virt.connection import Connection
from virt.errors import HostTimeout, HostUnreachable, NotSupported, VirtError
from virt.types import PoolInfo, VolumeInfo

from .images import being_written, belongs, check_next
from .models import Iso, Pool, StorageSheet, Volume
from .names import is_part_file
from .secrets.inventory import sync_secrets

log = structlog.get_logger(__name__)
_VOLUME_COLUMNS = (
    "path",
    "format",
    "capacity_bytes",
    "allocation_bytes",
    "backing_path",
    "encryption",
    "missing_since",
)


def sync_storage(host: Host, conn: Connection, *, rescan: bool = False) -> None:
    """Compare all pools and volumes of `host` with libvirt, change the rows that differ and tell open pages of those.

    What vanished is marked missing and comes back under the same row. An image that nobody has looked at is checked by
    a job. A pool that cannot be read keeps its volumes as they were. Raises HostUnreachable or HostTimeout.
    """
    sync_kinds(host, conn)
    infos = pools.list_pools(conn)
    for info in infos:
        _sync_pool(host, conn, info, rescan=rescan)
    gone = Pool.objects.filter(host=host, missing_since=None).exclude(uuid__in=[info.uuid for info in infos])
    for pool in gone:
        _mark_missing(pool)
    sync_secrets(host, conn)
    check_next(host)


def sync_kinds(host: Host, conn: Connection) -> None:
    """Note which types of pools the host can have; libvirt before 5.2 does not tell, and then nothing is noted."""
    try:
        kinds = [asdict(kind) for kind in pool_types.pool_kinds(conn)]
    except NotSupported:
        return
    as_stored = [{**kind, "formats": list(kind["formats"])} for kind in kinds]
    sheet, made = StorageSheet.objects.get_or_create(host=host, defaults={"kinds": as_stored})
    if not made and sheet.kinds != as_stored:
        StorageSheet.objects.filter(pk=sheet.pk).update(kinds=as_stored, read_at=timezone.now())


def refresh_pool(host: Host, conn: Connection, pool: str, *, rescan: bool = False) -> Pool | None:
    """The same for one pool, by uuid or name. Returns its row, or None when the host has no such pool (any more)."""
    info = next((info for info in pools.list_pools(conn) if pool in (info.uuid, info.name)), None)
    if info is None:
        for row in Pool.objects.filter(_by_name_or_uuid(pool), host=host, missing_since=None):
            _mark_missing(row)
        return None
    row = _sync_pool(host, conn, info, rescan=rescan)
    check_next(host)
    return row


def _sync_pool(host: Host, conn: Connection, info: PoolInfo, *, rescan: bool) -> Pool:
    scanned = False
    if rescan and info.is_active:
        info, scanned = _rescan(conn, info)
    found = _read_volumes(conn, info) if info.is_active else None
    with transaction.atomic():
        pool, changed = _pool_row(host, info)
        if scanned:
            Pool.objects.filter(pk=pool.pk).update(refreshed_at=timezone.now())
        if found is not None and _volume_rows(pool, found):
            publish("volumes")
            changed = True
        if changed:
            publish(f"pool-{pool.pk}", "pools")
    return pool


def _rescan(conn: Connection, info: PoolInfo) -> tuple[PoolInfo, bool]:
    """The pool after libvirt looked at its files, and whether it could: not while it makes a volume there, for one."""
    try:
        return pools.refresh_pool(conn, info.name), True
    except (HostUnreachable, HostTimeout):
        raise
    except VirtError as error:
        log.info("pool not rescanned", pool=info.name, error=str(error), details=error.details)
        return pools.find_pool(conn, info.name) or info, False  # libvirt stops a pool whose directory is gone


def _read_volumes(conn: Connection, info: PoolInfo) -> list[VolumeInfo] | None:
    try:
        return volumes.list_volumes(conn, info.name)
    except (HostUnreachable, HostTimeout):
        raise
    except VirtError as error:  # stopped or removed this moment: an event will say so
        log.warning("volumes not read", pool=info.name, error=str(error), details=error.details)
        return None


def _by_name_or_uuid(pool: str) -> Q:
    try:
        return Q(name=pool) | Q(uuid=UUID(pool))
    except ValueError:
        return Q(name=pool)


def _pool_row(host: Host, info: PoolInfo) -> tuple[Pool, bool]:
    """The row, and whether it changed. A pool that was defined anew under its old name keeps its row."""
    values: dict[str, Any] = {
        "name": info.name,
        "type": info.type,
        "is_active": info.is_active,
        "autostart": info.autostart,
        "target_path": info.path,
        "xml": info.xml,
        "missing_since": None,
    }
    if info.is_active:  # else libvirt says 0: what we saw last is nearer to the truth
        values |= {
            "capacity_bytes": info.capacity_bytes,
            "allocation_bytes": info.allocation_bytes,
            "available_bytes": info.available_bytes,
        }
    same = Pool.objects.select_for_update().filter(host=host)
    row = same.filter(uuid=info.uuid).first() or same.filter(name=info.name).first()
    if row is None:
        return Pool.objects.get_or_create(host=host, uuid=info.uuid, defaults=values)
    return row, _change(row, {"uuid": UUID(info.uuid), **values})


def _change(row: Pool, values: dict[str, Any]) -> bool:
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        row.save(update_fields=changed)
    return bool(changed)


def _volume_rows(pool: Pool, infos: Iterable[VolumeInfo]) -> bool:
    """Bring the rows of a pool's volumes in step; whether any changed."""
    known = {row.name: row for row in pool.volumes.all()}
    new: list[Volume] = []
    changed: list[Volume] = []
    other_content: list[Volume] = []
    for info in infos:
        if is_part_file(info.name):
            continue
        values = _columns(info)
        row = known.pop(info.name, None)
        if row is None:
            new.append(Volume(pool=pool, name=info.name, **values))
        elif any(getattr(row, name) != value for name, value in values.items()):
            if row.missing_since or row.capacity_bytes != info.capacity_bytes:
                other_content.append(row)
            for name, value in values.items():
                setattr(row, name, value)
            changed.append(row)
    gone = _without_held([row for row in known.values() if not row.missing_since])
    for row in gone:
        row.missing_since = timezone.now()
    if new:
        Volume.objects.bulk_create(
            new, batch_size=500, update_conflicts=True, unique_fields=["pool", "name"], update_fields=_VOLUME_COLUMNS
        )
    if changed or gone:
        Volume.objects.bulk_update([*changed, *gone], _VOLUME_COLUMNS, batch_size=200)
    _image_rows(pool, [*changed, *gone], other_content)
    return bool(new or changed or gone)


def _columns(info: VolumeInfo) -> dict[str, Any]:
    return {
        "path": info.path,
        "format": info.format or "",
        "capacity_bytes": info.capacity_bytes,
        "allocation_bytes": info.allocation_bytes,
        "backing_path": info.backing_path or "",
        "encryption": info.encryption,
        "missing_since": None,
    }


def _without_held(rows: list[Volume]) -> list[Volume]:
    """Leave out those that an unfinished job holds: libvirt may not know them yet, or just not any more."""
    if not rows:
        return rows
    held = set(JobObject.objects.filter(kind="volume", held=True).values_list("object_id", flat=True))
    return [row for row in rows if row.pk not in held]


def _image_rows(pool: Pool, touched: list[Volume], other_content: list[Volume]) -> None:
    """Add an Iso to each image that has none; forget what was found in those that are not what they were."""
    if other_content:
        stale = Iso.objects.filter(volume__in=[row.pk for row in other_content])
        stale.update(checked_bytes=None, file_bytes=None, sha256="", signed_by="", inspected_at=None)
    bare = list(pool.volumes.filter(belongs(pool), missing_since=None, iso=None))
    if bare:
        unfinished = being_written(pool)
        bare = [row for row in bare if row.name not in unfinished]
    Iso.objects.bulk_create([Iso(volume=row) for row in bare], batch_size=500, ignore_conflicts=True)
    topics = {
        f"iso-{pk}" for pk in Iso.objects.filter(volume__in=[row.pk for row in touched]).values_list("pk", flat=True)
    }
    if bare or topics:
        publish("isos", *topics)


def _mark_missing(pool: Pool) -> None:
    """The pool is gone from the host, and with it the way to its volumes."""
    now = timezone.now()
    with transaction.atomic():
        Pool.objects.filter(pk=pool.pk).update(missing_since=now, is_active=False)
        pool.volumes.filter(missing_since=None).update(missing_since=now)
        publish(f"pool-{pool.pk}", "pools", "volumes", "isos")
