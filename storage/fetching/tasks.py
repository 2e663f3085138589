"""The job that fetches an image into a pool."""

import hashlib
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from jobs.tasks import RunningJob, job_task
from storage import catalogue
from storage.content import RESERVE_BYTES, Progress, check_fits, find_pool, write_volume
from storage.current.keeping import Turn
from storage.library import add_image
from storage.models import Iso, Pool
from storage.signers.models import spaced
from storage.signers.services import find_key
from storage.signers.verify import SignatureWrong, read_list
from virt import image_guard
from virt.errors import UserError

from .checksums import Wanted, from_list
from .download import Download
from .errors import AddressRefused, FetchFailed
from .unpack import name_from, packed_as, unpacked, with_head

DAY_S = 24 * 3600


class FetchedDiffers(UserError):
    """What came is not what the vendor published."""

    code, status = "checksum_differs", 409


@job_task(soft_time_limit=DAY_S)
def fetch_image(
    job: RunningJob,
    *,
    pool_id: int,
    url: str = "",
    name: str = "",
    algorithm: str = "",
    digest: str = "",
    checksum_url: str = "",
    entry: str = "",
    signer: str = "",
    keep_former: bool | None = None,
    only_if_kept: bool = False,
) -> dict[str, Any]:
    """Fetch `url` (or what an `entry` of the catalogue leads to) into a new volume, unpacked, and compare it with the
    checksum, whose list the key `signer` must have signed if given. On any failure nothing stays.

    With `keep_former` (not None) the entry is kept current from now on; where it is already, what is fetched takes the
    place of the image before. `only_if_kept`: do nothing where it is not any more.
    """
    pool = Pool.objects.select_related("host").get(pk=pool_id)
    wanted = Wanted(algorithm, digest) if digest else None
    signed_by = ""
    turn = None
    if entry:
        job.step(_("Asking the vendor of %(name)s what is current") % {"name": catalogue.find(entry).name})
        found = catalogue.current(catalogue.find(entry), job.check_cancelled)
        url, wanted, signed_by = found
        name = name_from(url)
        turn = Turn(job, pool, catalogue.find(entry), found, keep_former)
        if (there := turn.image_there(only_if_kept=only_if_kept)) is not None:
            return _result(there)
    if checksum_url:
        job.step(_("Reading the vendor's checksums at %(url)s") % {"url": checksum_url})
        text, signed_by = read_list(checksum_url, find_key(signer), job.check_cancelled)
        wanted = from_list(text, url)
    job.step(_("Asking for %(url)s") % {"url": url})
    with Download(url, job.check_cancelled) as download, pool.host.connect() as conn:
        pool = find_pool(pool.host, conn, pool.name)
        name = turn.free_name(pool, name) if turn else name
        source = _Measured(download, wanted.algorithm if wanted else "sha256", Progress(job, download.size))
        chunks, head, is_packed = _image(source, pool.available_bytes - RESERVE_BYTES)
        image_guard.check_references(head, name)
        size = None if is_packed else download.size
        check_fits(pool, name, size)
        job.step(_("Fetching %(name)s into the pool %(pool)s") % {"name": name, "pool": pool.name})
        job.progress(0, download.size or 0)
        volume, sha256 = write_volume(job, conn, pool, name, chunks, size=size, on_progress=lambda _done: None)
        if wanted and source.digest != wanted.digest:
            raise _differs(name, wanted, source.digest)
        job.step(_("Looking what is on %(name)s") % {"name": name})
        # The vendor's number is of the packed file; the image's own is compared with what was written.
        expected = wanted.digest if wanted and wanted.algorithm == "sha256" and not is_packed else sha256
        iso = add_image(
            conn,
            volume,
            sha256,
            expected=expected if wanted else "",
            signed_by=signed_by,
            source_url=download.url,
            entry=entry,
            published=wanted.digest if entry and wanted else "",
            by=job.row.created_by,
        )
        if turn:
            turn.hand_over(iso)
    if not wanted:
        job.log(_("Nobody said what its checksum should be, so it is not known whether it is the vendor's file."))
    elif signed_by:
        sentence = _("The list of checksums is signed by the key %(fingerprint)s.")
        job.log(sentence % {"fingerprint": spaced(signed_by)})
    elif entry or checksum_url:
        job.log(_("Whether the list of checksums is signed was not verified: no key of its signer is known here."))
    return _result(iso)


def _result(iso: Iso) -> dict[str, Any]:
    return {
        "iso_id": iso.pk,
        "volume_id": iso.volume_id,
        "sha256": iso.sha256,
        "checksum": str(iso.checksum),
        "signed_by": iso.signed_by,
    }


@job_task(soft_time_limit=900)
def refresh_catalogue(job: RunningJob) -> dict[str, Any]:
    """Ask every vendor of the catalogue what is current; one that does not answer is left as it was."""
    entries = catalogue.entries()
    failed = []
    for number, entry in enumerate(entries):
        job.step(_("Asking the vendor of %(name)s") % {"name": entry.name}, done=number, total=len(entries))
        try:
            catalogue.current(entry, job.check_cancelled)
        except (FetchFailed, AddressRefused, SignatureWrong) as error:
            failed.append(entry.key)
            job.log(str(error))
    return {"asked": len(entries), "failed": failed}


class _Measured:
    """Passes on what comes, counts it and computes the checksum of it."""

    def __init__(self, download: Download, algorithm: str, progress: Progress) -> None:
        self._download, self._digest, self._progress, self._done = download, hashlib.new(algorithm), progress, 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._download.chunks():
            self._digest.update(chunk)
            self._done += len(chunk)
            self._progress(self._done)
            yield chunk

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def _image(source: _Measured, room_bytes: int) -> tuple[Iterator[bytes], bytes, bool]:
    """The bytes of the image, unpacked where they are packed; its first ones; whether it was packed."""
    packed, head = with_head(iter(source), 6)
    kind = packed_as(head)
    if not kind:
        chunks, head = with_head(packed, image_guard.HEAD_BYTES)
        return chunks, head, False
    chunks, head = with_head(unpacked(packed, kind, limit_bytes=max(room_bytes, 0)), image_guard.HEAD_BYTES)
    return chunks, head, True


def _differs(name: str, wanted: Wanted, found: str) -> FetchedDiffers:
    sentence = _(
        "%(name)s is not the file that was published: its checksum differs. Nothing of it was kept. Try again; if it"
        " happens twice, ask the vendor."
    )
    return FetchedDiffers(
        sentence % {"name": name}, details=f"{wanted.algorithm}\nexpected {wanted.digest}\nfound    {found}"
    )
