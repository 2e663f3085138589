"""What lies about: volumes that nobody has, disks that lie in no pool, disks whose image is gone, chains that broke,
files that two pools show. From rows, in a constant number of queries.
"""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Sum

from accounts.models import User
from guests.models import Disk, Guest
from storage.models import Pool, Volume
from storage.rules import unused

SHOWN = 50


@dataclass(kw_only=True)
class Leftovers:
    """Each list has at most SHOWN rows, the largest first; the counts are of all."""

    unused: list[Volume] = field(default_factory=list)
    unused_count: int = 0
    unused_bytes: int = 0
    in_no_pool: list[Disk] = field(default_factory=list)
    in_no_pool_count: int = 0
    gone: list[Disk] = field(default_factory=list)
    gone_count: int = 0
    broken: list[Volume] = field(default_factory=list)
    broken_count: int = 0
    twice: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.unused or self.in_no_pool or self.gone or self.broken or self.twice)


def find(user: User) -> Leftovers:
    """What the user may see of it. Install discs count as library, not as leftovers."""
    volumes = Volume.objects.permitted(user, "view").filter(missing_since=None).select_related("pool__host")
    guests = Guest.objects.permitted(user, "view").filter(missing_since=None)
    disks = Disk.objects.filter(guest__in=guests.values("pk"), device="disk").exclude(source="")
    disks = disks.select_related("guest__host", "volume__pool")
    idle = volumes.filter(unused(), iso=None)
    whole = idle.aggregate(count=Count("pk"), held=Sum("allocation_bytes"))
    stray = disks.filter(volume=None, source__startswith="/")
    gone = disks.filter(volume__missing_since__isnull=False)
    broken = _broken(volumes)
    return Leftovers(
        unused=list(idle.order_by("-allocation_bytes", "pk")[:SHOWN]),
        unused_count=whole["count"],
        unused_bytes=whole["held"] or 0,
        in_no_pool=list(stray.order_by("guest__name", "target")[:SHOWN]),
        in_no_pool_count=stray.count(),
        gone=list(gone.order_by("guest__name", "target")[:SHOWN]),
        gone_count=gone.count(),
        broken=list(broken.order_by("name", "pk")[:SHOWN]),
        broken_count=broken.count(),
        twice=_twice(user),
    )


def _broken(volumes: "QuerySet[Volume]") -> "QuerySet[Volume]":
    below = Volume.objects.filter(missing_since=None, path=OuterRef("backing_path"), pool__host=OuterRef("pool__host"))
    return volumes.exclude(backing_path="").exclude(Exists(below))


def _twice(user: User) -> list[dict[str, Any]]:
    """Directories that two pools of a host show: each file is listed twice, and deleted from under the other."""
    pools = Pool.objects.permitted(user, "view").filter(missing_since=None, type__in=("dir", "fs", "netfs"))
    found = pools.exclude(target_path="").values("host_id", "target_path").order_by()
    doubles = found.annotate(pools=Count("pk"), host_name=F("host__name")).filter(pools__gt=1)[:SHOWN]
    return list(doubles)
