"""What the library has already of the files that somebody is about to upload.

Nobody has read those files yet: only names and sizes are compared, and nothing here says that two contents are equal.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from accounts.models import User
from hosts.models import Host
from storage.media import PLAIN
from storage.models import Iso, Pool

MAX_FILES = 1000
MAX_SOURCES = 5  # for each file: one is enough to copy from, the others are for who wants another
_SHOWN = (
    "sha256", "sha256_expected", "file_bytes", "volume__name", "volume__format", "volume__capacity_bytes",
    "volume__pool__name", "volume__pool__is_active", "volume__pool__missing_since",
    "volume__pool__host__name", "volume__pool__host__state",
)  # fmt: skip


class File(NamedTuple):
    """A file as its owner names it, and its size in bytes."""

    name: str
    size_bytes: int


class Known(NamedTuple):
    """Images with the name and the size of a file: the one in the pool meant for it, and those to copy it from."""

    here: Iso | None
    elsewhere: list[Iso]


def known(user: User, pool: Pool, files: Sequence[File]) -> list[Known]:
    """For each of the files what `user` may see of it in the library, at the cost of one query for all.

    `elsewhere` has what could be copied into `pool` now, the same host first: images in pools that are started on hosts
    that answer, without those whose checksum is known to be wrong.
    """
    names = {_plain(file.name) for file in files}
    images = Iso.objects.permitted(user, "view").filter(volume__name__in=names, volume__missing_since=None)
    found: dict[File, list[Iso]] = {}
    for iso in images.select_related("volume__pool__host").only(*_SHOWN):
        found.setdefault(File(iso.name, _file_bytes(iso)), []).append(iso)
    return [_sorted_out(pool, found.get(File(_plain(file.name), file.size_bytes), [])) for file in files]


def _sorted_out(pool: Pool, images: list[Iso]) -> Known:
    here = next((iso for iso in images if iso.volume.pool_id == pool.pk), None)
    elsewhere = [iso for iso in images if iso.volume.pool_id != pool.pk and _can_be_copied(iso)]
    elsewhere.sort(key=lambda iso: (iso.volume.pool.host_id != pool.host_id, iso.checksum != iso.Checksum.MATCHES))
    return Known(here, elsewhere[:MAX_SOURCES])


def _can_be_copied(iso: Iso) -> bool:
    pool = iso.volume.pool
    is_there = pool.is_active and pool.missing_since is None and pool.host.state == Host.State.CONNECTED
    return is_there and iso.checksum != Iso.Checksum.DIFFERS


def _file_bytes(iso: Iso) -> int:
    """The size of the file, -1 where nobody knows it. That of a plain one is seen anew each time its pool is."""
    if iso.volume.format in PLAIN:
        return iso.volume.capacity_bytes
    return -1 if iso.file_bytes is None else iso.file_bytes


def _plain(name: str) -> str:
    """As it is called once it is uploaded (`names.validate_file_name`)."""
    return unicodedata.normalize("NFC", name).strip()
