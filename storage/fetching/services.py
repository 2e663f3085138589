"""Fetching an image: what pages and REST call. The caller has asked `permitted` for the pool ("create")."""

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from hosts.maintenance import require_open
from jobs.live import publish
from jobs.models import Job, Ref
from storage import catalogue
from storage.current import keeping
from storage.making import exists_already
from storage.models import Pool
from storage.names import validate_file_name
from storage.rules import check_active, check_writable
from storage.signers.services import find_key
from virt import validate
from virt.errors import Invalid

from . import tasks
from .addresses import parse_url
from .checksums import parse_checksum
from .unpack import name_from


def fetch_image(
    pool: Pool,
    url: str,
    *,
    by: User,
    name: str = "",
    checksum: str = "",
    checksum_url: str = "",
    signer: str = "",
) -> Job:
    """Fetch an image from the web into a pool of any host. Packed ones (.gz, .bz2, .xz, .zst) are unpacked on the way.

    `checksum` is a SHA-256 or SHA-512 of the file as it is published, `checksum_url` the vendor's list of them; one of
    the two; `signer` the fingerprint of a known key that must have signed the list. Raises Invalid (field "url",
    "name", "checksum", "checksum_url" or "signer"), AddressRefused, VolumeExists, WrongState or HostInMaintenance.
    """
    require_open(pool.host)
    parts = parse_url(url)
    if checksum_url:
        parse_url(checksum_url, field="checksum_url")
        if checksum:
            raise Invalid(_("Give the checksum or the address of a list of them, not both."), field="checksum")
    key = find_key(signer)
    if key and not checksum_url:
        raise Invalid(_("What is signed is a list of checksums. Give its address, too."), field="checksum_url")
    wanted = parse_checksum(checksum)
    name = validate.volume_name(validate_file_name(name or name_from(url.strip())))
    check_active(pool)
    check_writable(pool)
    if pool.volumes.filter(name=name, missing_since=None).exists():
        raise exists_already(name, pool.name)
    job = Job.start(
        tasks.fetch_image,
        title=_("Fetch %(name)s") % {"name": name},
        by=by,
        objects=_about(pool),
        pool_id=pool.pk,
        url=parts.geturl(),
        name=name,
        algorithm=wanted.algorithm if wanted else "",
        digest=wanted.digest if wanted else "",
        checksum_url=checksum_url.strip(),
        signer=key.fingerprint if key else "",
    )
    publish("isos")
    return job


def fetch_entry(pool: Pool, key: str, *, by: User, keep_current: bool = False, keep_former: bool = False) -> Job:
    """Fetch what an entry of the catalogue leads to today, compared with the vendor's checksum.

    With `keep_current` it is fetched anew when the vendor publishes another one (`storage.current`), and the one before
    is removed once nothing uses it, except with `keep_former`. Raises Invalid (field "entry" or "keep_current"), Busy,
    WrongState or HostInMaintenance.
    """
    require_open(pool.host)
    entry = catalogue.find(key)
    if keep_current:
        keeping.check_keepable(entry)
    check_active(pool)
    check_writable(pool)
    return Job.start(
        tasks.fetch_image,
        title=_("Fetch %(name)s") % {"name": entry.name},
        by=by,
        objects=[*_about(pool), keeping.ref(pool, entry)],
        pool_id=pool.pk,
        entry=key,
        keep_former=keep_former if keep_current else None,
    )


def refresh_catalogue(*, by: User) -> Job:
    """Ask all vendors of the catalogue what is current. Raises Busy, or NotAllowed to those who only look."""
    require(by, "create")
    return Job.start(
        tasks.refresh_catalogue,
        title=_("Refresh the catalogue of images"),
        by=by,
        objects=[Ref("catalogue", 0, _("the catalogue"), exclusive=True)],
    )


def _about(pool: Pool) -> list[Ref]:
    return [Ref("pool", pool.pk, pool.name), Ref("host", pool.host_id, pool.host.name)]
