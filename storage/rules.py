"""What must hold before a volume is made, grown or deleted. Asked of rows: before a job starts, and in it once more."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import Count, Exists, FloatField, Min, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Cast
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from virt.errors import NotSupported, PoolFull, PoolNotFound, VolumeInUse, WrongState
from virt.volumes import circle

from .models import FULL_POOLS, Pool, Volume

FORMATS = ("qcow2", "raw")
FILE_POOLS = frozenset({"dir", "fs", "netfs", "gluster", "vstorage"})  # the others hold block devices: raw only
# What libvirt's drivers can do with volumes: the tables at the ends of its src/storage/storage_backend_*.c.
READY_MADE_POOLS = FULL_POOLS | {"gluster"}  # the storage makes their volumes
NETWORK_POOLS = frozenset({"rbd", "gluster", "iscsi-direct"})  # libvirt has no path and no stream for their volumes
DISKLESS_POOLS = frozenset({"rbd", "gluster"})  # by their names in a pool libvirt gives no guest a disk of these
RESIZING_POOLS = frozenset({"dir", "fs", "netfs", "vstorage", "rbd"})
DELETING_POOLS = RESIZING_POOLS | {"logical", "disk", "zfs", "gluster"}
WIPING_POOLS = RESIZING_POOLS | {"logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath"}
# Into these nothing is put under a name that somebody chose: partitions get theirs from the kernel.
UNWRITABLE_POOLS = READY_MADE_POOLS | NETWORK_POOLS | {"disk"}
NAMED_AT_MOST = 3
_IN_USE = Q(used_by__guest__missing_since=None, used_by__isnull=False)


class Users(NamedTuple):
    """The guests that have a volume as a disk or in a drive: how many, and which one where it is just one."""

    guests: int
    only_id: int | None
    only_name: str


def sum_of(column: str, **options: Any) -> Sum:
    """A sum of bytes. Of whole numbers SQLite's has 64 bits, more than which a few images can promise in their headers;
    this one is exact up to 8 PiB.
    """
    return Sum(Cast(column, FloatField()), **options)


def users_of(volume_ids: Iterable[int]) -> dict[int, Users]:
    """The users of many volumes in one query; volumes that nobody uses are left out."""
    used = Volume.objects.filter(_IN_USE, pk__in=list(volume_ids)).order_by()
    counted = used.annotate(
        guests=Count("used_by__guest", distinct=True), one=Min("used_by__guest"), first=Min("used_by__guest__name")
    )
    rows = counted.values_list("pk", "guests", "one", "first")
    return {pk: Users(guests, one, name) if guests == 1 else Users(guests, None, "") for pk, guests, one, name in rows}


def unused() -> Q:
    """A filter for volumes that no guest has as a disk and no other volume lies on."""
    overlays = Volume.objects.filter(missing_since=None).exclude(backing_path="")
    overlays = overlays.filter(backing_path=OuterRef("path"), pool__host=OuterRef("pool__host"))
    return Q(~Exists(overlays)) & ~Q(pk__in=Volume.objects.filter(_IN_USE).values("pk"))


def check_unused(volume: Volume) -> None:
    """Raise VolumeInUse, naming who uses it, when a guest has the volume or another volume lies on it."""
    guests = volume.used_by.filter(guest__missing_since=None).order_by("guest__name")
    names = list(guests.values_list("guest__name", flat=True).distinct())
    if names:
        raise in_use_by(volume.name, names)
    if overlay := overlays_of(volume).first():
        sentence = _(
            "%(name)s is left as it is. The volume %(overlay)s lies on it and would be lost. Delete that one first."
        )
        raise VolumeInUse(sentence % {"name": volume.name, "overlay": overlay.name})


def overlays_of(volume: Volume) -> QuerySet[Volume]:
    """The volumes on the same host whose backing file this one is.

    Not those of a circle that the volume is part of: nothing can read them, and each would keep the next.
    """
    same_host = Volume.objects.filter(pool__host=volume.pool.host_id, missing_since=None)
    if not volume.path:
        return same_host.none()
    found = same_host.filter(backing_path=volume.path)
    if not volume.backing_path:
        return found
    below = dict(same_host.exclude(backing_path="").values_list("path", "backing_path"))
    return found.exclude(path__in=circle(volume.path, below))


def in_use_by(name: str, guests: list[str]) -> VolumeInUse:
    """The error that says which guests keep a volume from being deleted."""
    shown = ", ".join(guests[:NAMED_AT_MOST])
    more = len(guests) - NAMED_AT_MOST
    if more > 0:
        others = ngettext("%(guests)s and %(more)d more", "%(guests)s and %(more)d more", more)
        shown = others % {"guests": shown, "more": more}
    sentence = ngettext(
        "%(name)s is left as it is. The guest %(guests)s uses it. Take it out of that guest first.",
        "%(name)s is left as it is. The guests %(guests)s use it. Take it out of them first.",
        len(guests),
    )
    return VolumeInUse(sentence % {"name": name, "guests": shown})


def check_makes(pool: Pool) -> None:
    """Raise NotSupported where libvirt makes no volumes: they are there, or are made by the storage itself."""
    if pool.type in READY_MADE_POOLS:
        sentence = _(
            "The volumes of the pool %(pool)s are made by the storage itself. Make one there, then refresh the pool."
        )
        raise NotSupported(sentence % {"pool": pool.name}, field="pool")


def check_writable(pool: Pool) -> None:
    """Raise NotSupported where nothing can be put into a new volume with a name of our own."""
    check_makes(pool)
    if pool.type == "disk":
        sentence = _(
            "The volumes of the pool %(pool)s are partitions of a disk, which the kernel names. Make one on the page of"
            " the pool; a guest can then have it as its disk."
        )
        raise NotSupported(sentence % {"pool": pool.name}, field="pool")
    if pool.type in NETWORK_POOLS:
        sentence = _(
            "Nothing is copied into the pool %(pool)s: its volumes are reached over the network, and only QEMU does so."
        )
        raise NotSupported(sentence % {"pool": pool.name}, field="pool")


def check_readable(volume: Volume) -> None:
    """Raise NotSupported for a volume that only a guest can read."""
    if volume.pool.type in NETWORK_POOLS:
        sentence = _(
            "%(name)s is reached over the network, which only QEMU does: libvirt gives nobody what is on it. Copy it "
            "from inside a guest that has it."
        )
        raise NotSupported(sentence % {"name": volume.name})


def check_active(pool: Pool) -> None:
    """Raise PoolNotFound or WrongState when nothing can be done in the pool because it is gone or stopped."""
    if pool.missing_since:
        raise gone(pool.name, pool.host.name)
    if not pool.is_active:
        raise WrongState(_("The pool %(pool)s is stopped. Start it and try again.") % {"pool": pool.name})


def gone(pool: str, host: str) -> PoolNotFound:
    """The error for a pool that its host does not have any more."""
    return PoolNotFound(_("The pool %(pool)s is not on %(host)s any more.") % {"pool": pool, "host": host})


def check_room(
    pool: Pool, capacity_bytes: int, *, now_bytes: int = 0, image_format: str = "qcow2", in_full: bool = False
) -> str:
    """Raise PoolFull when a volume that grows from `now_bytes` to `capacity_bytes` cannot fit into the pool.

    It is never larger than the whole pool. A raw volume, or one that takes its space at once (`in_full`), must fit into
    what is free; a qcow2 may promise more, and then the returned sentence warns of it. "" when it fits.
    """
    words = {
        "pool": pool.name,
        "size": gib(capacity_bytes),
        "whole": gib(pool.capacity_bytes),
        "free": gib(pool.available_bytes),
    }
    if capacity_bytes > pool.capacity_bytes:
        sentence = _(
            "%(size)s do not fit into the pool %(pool)s: all of it is %(whole)s. Ask for less, or use another pool."
        )
        raise PoolFull(sentence % words, field="capacity_bytes")
    if capacity_bytes - now_bytes <= pool.available_bytes:
        return ""
    if in_full or image_format == "raw":
        sentence = _(
            "%(size)s do not fit into the pool %(pool)s: %(free)s of %(whole)s are free. Free some or use another pool."
        )
        raise PoolFull(sentence % words, field="capacity_bytes")
    sentence = _(
        "It may grow to %(size)s and the pool %(pool)s has %(free)s free. When that is used up, its guest is paused."
    )
    return sentence % words


def gib(size_bytes: int) -> str:
    """A size as sentences have it, e.g. "1.5 GiB"."""
    if size_bytes < 1024**3:
        return f"{size_bytes / 1024**2:.1f} MiB".replace(".0 ", " ")
    return f"{size_bytes / 1024**3:.1f} GiB".replace(".0 ", " ")
