"""REST of pools, volumes and the ISO library. Files are uploaded at /uploads, beside Django."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from ninja.pagination import paginate

from accounts.rest import ERRORS, Problem, actor
from history.rest import HistoryOut, Range, SeriesNames, history
from history.series import POOL
from jobs.models import Job
from jobs.rest import JobOut, accepted
from virt import osinfo
from virt.errors import Invalid
from virt.types import OsChoice

from . import copy_api, lists, pool_api, services
from .iso_rows import IsoLine, iso_lines
from .models import Iso, Pool, Volume
from .rest import (
    MAX_BYTES,
    IsoDetailOut,
    IsoOut,
    IsoPatch,
    Lines,
    PoolOut,
    PoolPatch,
    SystemOut,
    VolumeDetailOut,
    VolumeIn,
    VolumeOut,
)
from .rows import PoolLine, VolumeLine, pool_lines, volume_lines

pools_router = Router(tags=["pools"])
volumes_router = Router(tags=["volumes"])
isos_router = Router(tags=["isos"])
pools_router.post("", response=pool_api.JOB)(pool_api.create_pool)
pools_router.delete("/{int:pool_id}", response=pool_api.JOB)(pool_api.delete_pool)
pools_router.add_router("", pool_api.router)
volumes_router.add_router("", copy_api.router)

Accepted = Status[Job]
RowId = Annotated[int, Query(ge=0, le=MAX_BYTES)]
_JOB: Any = {202: JobOut, ERRORS: Problem}
_SORT = "A minus before it sorts downwards."


# --- pools ------------------------------------------------------------------------------------------------------------
@pools_router.get("", response={200: list[PoolOut], ERRORS: Problem})
@paginate(Lines)
def list_pools(
    request: HttpRequest,
    search: str = "",
    host: RowId = 0,
    sort: Annotated[str, Query(description=f"One of: {', '.join(lists.POOL_SORTS)}. {_SORT}")] = "name",
) -> tuple[QuerySet[Pool], Callable[..., Any]]:
    """Storage pools, those that vanished among them."""
    wanted = lists.Wanted(search=search, host=host, sort=sort)
    return lists.pools(actor(request), wanted), partial(pool_lines, actor(request))


@pools_router.get("/{int:pool_id}", response={200: PoolOut, ERRORS: Problem})
def get_pool(request: HttpRequest, pool_id: int) -> PoolLine:
    """One pool."""
    return pool_lines(actor(request), [_pool(request, pool_id, "view")])[0]


@pools_router.get("/{int:pool_id}/history", response={200: HistoryOut, ERRORS: Problem}, url_name="pool_history")
def get_pool_history(
    request: HttpRequest,
    pool_id: int,
    range: Range = "hour",  # noqa: A002 - the word of the address
    series: SeriesNames = "",
) -> HistoryOut:
    """How full the pool was, for an hour or up to a year."""
    return history(POOL, _pool(request, pool_id, "view").pk, range, series)


@pools_router.post("/{int:pool_id}/start", response=_JOB)
def start_pool(request: HttpRequest, pool_id: int, response: HttpResponse) -> Accepted:
    """Make the pool's volumes usable. Started already is not an error."""
    return accepted(response, services.start_pool(_pool(request, pool_id, "operate"), by=actor(request)))


@pools_router.post("/{int:pool_id}/stop", response=_JOB)
def stop_pool(request: HttpRequest, pool_id: int, response: HttpResponse) -> Accepted:
    """Take the pool out of use. Its files stay, and guests that run go on."""
    return accepted(response, services.stop_pool(_pool(request, pool_id, "operate"), by=actor(request)))


@pools_router.post("/{int:pool_id}/refresh", response=_JOB)
def refresh_pool(request: HttpRequest, pool_id: int, response: HttpResponse) -> Accepted:
    """Look at the pool's files again: what was copied into it by other means shows up."""
    return accepted(response, services.refresh_pool(_pool(request, pool_id, "operate"), by=actor(request)))


@pools_router.patch("/{int:pool_id}", response=_JOB)
def change_pool(request: HttpRequest, pool_id: int, body: PoolPatch, response: HttpResponse) -> Accepted:
    """Start the pool with its host, or no longer."""
    pool = _pool(request, pool_id, "configure")
    return accepted(response, services.set_pool_autostart(pool, body.autostart, by=actor(request)))


# --- volumes ----------------------------------------------------------------------------------------------------------
@volumes_router.get("", response={200: list[VolumeOut], ERRORS: Problem})
@paginate(Lines)
def list_volumes(
    request: HttpRequest,
    search: str = "",
    host: RowId = 0,
    pool: RowId = 0,
    format: str = "",  # noqa: A002 - the name in the address
    unused: bool = False,
    missing: Annotated[bool, Query(description="Those that vanished instead.")] = False,
    sort: Annotated[str, Query(description=f"One of: {', '.join(lists.VOLUME_SORTS)}. {_SORT}")] = "name",
) -> tuple[QuerySet[Volume], Callable[..., Any]]:
    """Volumes of all pools. `unused`: no guest has them and no other volume lies on them."""
    wanted = lists.Wanted(search=search, host=host, pool=pool, format=format, unused=unused, missing=missing, sort=sort)
    return lists.volumes(actor(request), wanted), partial(volume_lines, actor(request))


@volumes_router.get("/{int:volume_id}", response={200: VolumeDetailOut, ERRORS: Problem})
def get_volume(request: HttpRequest, volume_id: int) -> VolumeLine:
    """One volume, who has it and what it lies on."""
    return volume_lines(actor(request), [_volume(request, volume_id, "view")])[0]


@volumes_router.post("", response=_JOB)
def create_volume(request: HttpRequest, body: VolumeIn, response: HttpResponse) -> Accepted:
    """Make a volume, empty or as an overlay of another one. The job's result has its `volume_id`."""
    pool = _pool(request, body.pool, "create")
    backing = None
    if body.backing is not None:
        readable = Volume.objects.permitted(actor(request), "configure").select_related("pool__host")
        if (backing := readable.filter(pk=body.backing).first()) is None:
            raise Invalid(_("There is no such volume."), field="backing")
    job = services.create_volume(
        pool,
        body.name,
        body.capacity_bytes,
        body.format,
        by=actor(request),
        preallocation=body.preallocation,
        backing=backing,
        encryption=body.encryption,
        passphrase=body.passphrase.get_secret_value(),
        keep_passphrase=body.keep_passphrase,
    )
    return accepted(response, job)


@volumes_router.delete("/{int:volume_id}", response=_JOB)
def delete_volume(request: HttpRequest, volume_id: int, response: HttpResponse) -> Accepted:
    """Delete a volume and what is on it. 409 volume_in_use while a guest has it or another volume lies on it."""
    return accepted(response, services.delete_volume(_volume(request, volume_id, "delete"), by=actor(request)))


# --- images -----------------------------------------------------------------------------------------------------------
@isos_router.get("", response={200: list[IsoOut], ERRORS: Problem})
@paginate(Lines)
def list_isos(
    request: HttpRequest,
    search: str = "",
    host: RowId = 0,
    pool: RowId = 0,
    os_id: str = "",
    sha256: Annotated[str, Query(description="Those with this content: 64 hexadecimal digits.")] = "",
    unused: bool = False,
    missing: Annotated[bool, Query(description="Those whose file vanished instead.")] = False,
    sort: Annotated[str, Query(description=f"One of: {', '.join(lists.ISO_SORTS)}. {_SORT}")] = "-added",
) -> tuple[QuerySet[Iso], Callable[..., Any]]:
    """The ISO library: the install discs in all pools.

    Before a file is sent, `sha256` asks whether it is there: POST /isos/{id}/copy then copies it from host to host.
    """
    wanted = lists.Wanted(
        search=search, host=host, pool=pool, system=os_id, sha256=sha256, unused=unused, missing=missing, sort=sort
    )
    return lists.isos(actor(request), wanted), partial(iso_lines, actor(request))


@isos_router.get("/systems", response={200: list[SystemOut]})
def list_systems(request: HttpRequest, search: str = "") -> list[OsChoice]:
    """The systems that an image can be set to; those past their end of life come last."""
    words = search.lower().split()
    return [os for os in osinfo.list_os() if all(word in f"{os.name} {os.short_id}".lower() for word in words)]


@isos_router.get("/{int:iso_id}", response={200: IsoDetailOut, ERRORS: Problem})
def get_iso(request: HttpRequest, iso_id: int) -> IsoLine:
    """One image."""
    return iso_lines(actor(request), [_iso(request, iso_id, "view")])[0]


@isos_router.patch("/{int:iso_id}", response={200: IsoDetailOut, ERRORS: Problem})
def change_iso(request: HttpRequest, iso_id: int, body: IsoPatch) -> IsoLine:
    """Say which system is on an image, or what its SHA-256 should be. Nothing on the host changes."""
    iso = _iso(request, iso_id, "configure")
    if body.os_id is not None:
        services.set_os(iso, body.os_id, by=actor(request))
    if body.sha256_expected is not None:
        services.set_sha256_expected(iso, body.sha256_expected, by=actor(request))
    return iso_lines(actor(request), [iso])[0]


@isos_router.post("/{int:iso_id}/inspect", response=_JOB)
def inspect_iso(request: HttpRequest, iso_id: int, response: HttpResponse) -> Accepted:
    """Look at the image again and compute its SHA-256. The job fails with checksum_differs when that is wrong."""
    return accepted(response, services.inspect_iso(_iso(request, iso_id, "operate"), by=actor(request)))


@isos_router.delete("/{int:iso_id}", response=_JOB)
def delete_iso(request: HttpRequest, iso_id: int, response: HttpResponse) -> Accepted:
    """Delete the image's file. 409 volume_in_use while a guest has it in a drive."""
    return accepted(response, services.delete_iso(_iso(request, iso_id, "delete"), by=actor(request)))


def _pool(request: HttpRequest, pk: int, action: str) -> Pool:
    pools = lists.with_counts(Pool.objects.permitted(actor(request), action).select_related("host"))
    return get_object_or_404(pools, pk=pk)


def _volume(request: HttpRequest, pk: int, action: str) -> Volume:
    volumes: QuerySet[Volume] = Volume.objects.permitted(actor(request), action).select_related("pool__host", "iso")
    return get_object_or_404(volumes, pk=pk)


def _iso(request: HttpRequest, pk: int, action: str) -> Iso:
    isos: QuerySet[Iso] = Iso.objects.permitted(actor(request), action).select_related("volume__pool__host", "added_by")
    return get_object_or_404(isos, pk=pk)
