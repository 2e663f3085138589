"""REST of what is fetched: by address, and the catalogue."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Router, Schema, Status

from accounts.rest import ERRORS, Problem, actor
from jobs.models import Job
from jobs.rest import JobOut, accepted
from storage import catalogue
from storage.models import Pool, Release
from storage.rest import MAX_BYTES
from virt.errors import Invalid

from . import services

router = Router(tags=["isos"])


class FetchIn(Schema):
    pool: int = Field(description="Row id of the pool, on any host.", ge=0, le=MAX_BYTES)
    url: str = Field("", description="Of the image, packed (.gz, .bz2, .xz, .zst) or not; or `entry`.")
    entry: str = Field("", description="The key of an entry of the catalogue, instead of `url`.")
    name: str = Field("", description="Empty: as it is called there, without the suffix of a packer.")
    checksum: str = Field("", description="SHA-256 or SHA-512 of the file as it is published.")
    checksum_url: str = Field("", description="A published list of checksums, instead of `checksum`.")
    signer: str = Field("", description="The fingerprint of a known key that must have signed that list.")
    keep_current: bool = Field(
        False, description="With `entry`: fetch it anew when the vendor publishes another one. See /isos/{id}/current."
    )
    keep_former: bool = Field(False, description="With `keep_current`: the images before stay, also when unused.")


class EntryOut(Schema):
    """An image that is known to be somewhere, and what its vendor offered when that was last read."""

    key: str
    name: str
    os_id: str
    arch: str
    kind: str = Field(description="iso, cloud or drivers")
    url: str = Field(description="Empty until the catalogue was refreshed.")
    checksum: str
    signer: str = Field(description="The fingerprint of the key that signs the vendor's list; empty: it is not known.")
    read_at: datetime | None


@router.post("/fetch", response={202: JobOut, ERRORS: Problem})
def fetch_image(request: HttpRequest, body: FetchIn, response: HttpResponse) -> Status[Job]:
    """Fetch an image from the web into a pool. The job's result has its `iso_id`; on any failure nothing stays.

    422 address_refused for this machine, private networks and a cloud's metadata address.
    """
    pools = Pool.objects.permitted(actor(request), "create").select_related("host")
    pool = get_object_or_404(pools, pk=body.pool)
    if body.entry:
        job = services.fetch_entry(
            pool, body.entry, by=actor(request), keep_current=body.keep_current, keep_former=body.keep_former
        )
        return accepted(response, job)
    if body.keep_current:
        sentence = _("Only images of the catalogue are kept current: of others nobody knows which vendor to ask.")
        raise Invalid(sentence, field="keep_current")
    job = services.fetch_image(
        pool,
        body.url,
        by=actor(request),
        name=body.name,
        checksum=body.checksum,
        checksum_url=body.checksum_url,
        signer=body.signer,
    )
    return accepted(response, job)


@router.get("/catalogue", response={200: list[EntryOut], ERRORS: Problem})
def list_catalogue(request: HttpRequest) -> list[EntryOut]:
    """Well-known installers, cloud images and driver discs."""
    actor(request)
    releases = {release.key: release for release in Release.objects.all()}
    return [_line(entry, releases.get(entry.key)) for entry in catalogue.entries()]


@router.post("/catalogue/refresh", response={202: JobOut, ERRORS: Problem})
def refresh_catalogue(request: HttpRequest, response: HttpResponse) -> Status[Job]:
    """Ask all vendors what is current."""
    return accepted(response, services.refresh_catalogue(by=actor(request)))


def _line(entry: catalogue.Entry, release: Release | None) -> EntryOut:
    return EntryOut(
        key=entry.key,
        name=entry.name,
        os_id=entry.os_id,
        arch=entry.arch,
        kind=entry.kind,
        url=release.url if release else entry.url,
        checksum=release.checksum if release else "",
        signer=entry.signer,
        read_at=release.read_at if release else None,
    )
