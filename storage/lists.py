"""Which rows a list shows and in which order: the same for pages and for REST, within what a user may see."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from virt.errors import Invalid

from .models import Iso, Pool, Volume
from .names import valid_sha256
from .rules import sum_of, unused

M = TypeVar("M", bound=Model)
PAGE_SIZES = (25, 50, 100)
FORMATS = ("qcow2", "raw", "iso")  # those that a list can be narrowed to

POOL_SORTS = {
    "name": ("name",),
    "host": ("host__name", "name"),
    "type": ("type", "name"),
    "capacity": ("capacity_bytes",),
    "free": ("available_bytes",),
    "path": ("target_path",),
    "volumes": ("volume_count",),
}
VOLUME_SORTS = {
    "name": ("name",),
    "pool": ("pool__name", "name"),
    "host": ("pool__host__name", "name"),
    "format": ("format", "name"),
    "capacity": ("capacity_bytes",),
    "allocation": ("allocation_bytes",),
}
ISO_SORTS = {
    "name": ("volume__name",),
    "system": ("os_name", "volume__name"),
    "size": ("volume__capacity_bytes",),
    "pool": ("volume__pool__name", "volume__name"),
    "added": ("added_at",),
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked of a list. `host` and `pool` are row ids, 0 for all; `system` is libosinfo's id."""

    search: str = ""
    host: int = 0
    pool: int = 0
    format: str = ""
    system: str = ""
    sha256: str = ""
    unused: bool = False
    missing: bool = False
    sort: str = ""

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        """From a page's address; numbers that are none count as not given."""
        return cls(
            search=query.get("q", "").strip(),
            host=_number(query.get("host", "")),
            pool=_number(query.get("pool", "")),
            format=query.get("format", ""),
            system=query.get("system", ""),
            unused=query.get("unused") == "1",
            missing=query.get("missing") == "1",
            sort=query.get("sort", ""),
        )

    def within(self, pool: Pool) -> Self:
        """The same inside one pool."""
        return replace(self, pool=pool.pk)

    @property
    def narrows(self) -> bool:
        """Whether rows may be left out."""
        return self != type(self)(sort=self.sort)


def pools(user: User, wanted: Wanted) -> QuerySet[Pool]:
    """Pools with `volume_count`, missing ones among them. Sorted by name unless asked otherwise."""
    rows = with_counts(Pool.objects.permitted(user, "view").select_related("host"))
    rows = _search(rows, wanted.search, "name", "target_path", "type", "host__name")
    if wanted.host:
        rows = rows.filter(host=wanted.host)
    return ordered(rows, wanted.sort or "name", POOL_SORTS)


def with_counts(rows: QuerySet[Pool]) -> QuerySet[Pool]:
    """Add `volume_count` and `promised_bytes`: how many volumes are there now, and what they may grow to."""
    there = Q(volumes__missing_since=None)
    promised = sum_of("volumes__capacity_bytes", filter=there, default=0.0)
    return rows.annotate(volume_count=Count("volumes", filter=there), promised_bytes=promised)


def hosts(user: User) -> list[Host]:
    """What the filter by host offers; nothing where there is just one."""
    found = list(Host.objects.permitted(user, "view").only("pk", "name"))
    return found if len(found) > 1 else []


def volumes(user: User, wanted: Wanted) -> QuerySet[Volume]:
    """Volumes; with `missing` those that vanished instead. Sorted by name unless asked otherwise."""
    rows: QuerySet[Volume] = Volume.objects.permitted(user, "view").select_related("pool__host", "iso")
    rows = rows.filter(missing_since__isnull=not wanted.missing)
    rows = _search(rows, wanted.search, "name", "path", "pool__name", "pool__host__name")
    if wanted.host:
        rows = rows.filter(pool__host=wanted.host)
    if wanted.pool:
        rows = rows.filter(pool=wanted.pool)
    if wanted.format:
        rows = rows.filter(format=wanted.format)
    if wanted.unused:
        rows = rows.filter(unused())
    return ordered(rows, wanted.sort or "name", VOLUME_SORTS)


def isos(user: User, wanted: Wanted) -> QuerySet[Iso]:
    """Images; with `missing` those whose file vanished instead. Newest first unless asked otherwise."""
    rows: QuerySet[Iso] = Iso.objects.permitted(user, "view").select_related("volume__pool__host", "added_by")
    rows = rows.filter(volume__missing_since__isnull=not wanted.missing)
    rows = _search(rows, wanted.search, "volume__name", "os_name", "label", "sha256", "volume__pool__name")
    if wanted.host:
        rows = rows.filter(volume__pool__host=wanted.host)
    if wanted.pool:
        rows = rows.filter(volume__pool=wanted.pool)
    if wanted.system:
        rows = rows.filter(os_id=wanted.system)
    if wanted.sha256:
        rows = rows.filter(sha256=valid_sha256(wanted.sha256))
    if wanted.unused:
        rows = rows.filter(volume__in=Volume.objects.filter(unused()))
    return ordered(rows, wanted.sort or "-added", ISO_SORTS)


def ordered(rows: QuerySet[M], sort: str, sorts: Mapping[str, tuple[str, ...]]) -> QuerySet[M]:
    """Sort by a key of `sorts`, downwards with a dash before it. Raises Invalid (field "sort") naming the keys."""
    key, minus = sort.removeprefix("-"), "-" if sort.startswith("-") else ""
    if key not in sorts:
        raise Invalid(
            _("There is no order “%(sort)s”. Sort by: %(keys)s.") % {"sort": sort, "keys": ", ".join(sorts)},
            field="sort",
        )
    return rows.order_by(*(f"{minus}{field}" for field in sorts[key]), "pk")


def page_of(request: HttpRequest, rows: QuerySet[M]) -> Page[M]:
    """The page of a list that ?page= and ?per= ask for."""
    per = _number(request.GET.get("per", ""))
    return Paginator(rows, per if per in PAGE_SIZES else PAGE_SIZES[1]).get_page(request.GET.get("page"))


def _search(rows: QuerySet[M], search: str, *fields: str) -> QuerySet[M]:
    """Each word must be found in one of the fields."""
    for word in search.replace("\0", " ").split():
        anywhere: Any = Q()
        for field in fields:
            anywhere |= Q(**{f"{field}__icontains": word})
        rows = rows.filter(anywhere)
    return rows


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
