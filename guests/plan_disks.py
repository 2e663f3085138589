"""The disk and the install disc of a new guest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from storage.checks import check_format
from storage.models import Iso, Pool, Volume
from storage.rules import DISKLESS_POOLS, FILE_POOLS, check_active, check_room, check_unused
from storage.secrets.encrypted import check_pool_encrypts
from virt import validate
from virt.errors import Invalid, PoolFull
from virt.types import OsTraits

if TYPE_CHECKING:
    from .plan import NewGuest

MIB = 2**20
LUKS = "luks"
SMALLEST_GIB, LARGEST_GIB = 1, 64 * 1024
LONGEST_STEM_BYTES = 200
_NOT_IN_FILE_NAMES = dict.fromkeys(map(ord, '"<>|*?\\:'), "-")
# Pools whose volumes lie where their names say: the path is known before the volume is made.
PREDICTABLE = FILE_POOLS | {"logical"}


@dataclass(frozen=True, kw_only=True)
class NewDisk:
    """A volume to make; `path` is where it will lie."""

    pool: Pool
    name: str
    path: str
    format: str
    capacity_bytes: int
    encryption: str = ""  # luks; "": it is not encrypted

    def as_argument(self) -> dict[str, Any]:
        """For the job: the pool by its name."""
        return {
            "pool": self.pool.name,
            "name": self.name,
            "path": self.path,
            "format": self.format,
            "capacity_bytes": self.capacity_bytes,
            "encryption": self.encryption,
        }


def iso_for(host: Host, iso_id: int | None, by: User) -> Iso | None:
    """The install disc. Raises Invalid (field "iso") or WrongState when its pool is stopped."""
    if iso_id is None:
        return None
    isos = Iso.objects.permitted(by, "view").filter(volume__pool__host=host, volume__missing_since=None)
    iso: Iso | None = isos.filter(pk=iso_id).select_related("volume__pool__host").first()
    if iso is None:
        raise Invalid(_("There is no such ISO on %(host)s.") % {"host": host.name}, field="iso")
    check_active(iso.volume.pool)
    return iso


def existing_volume(host: Host, volume_id: int | None, by: User) -> Volume | None:
    """A volume that becomes the guest's disk as it is. Raises Invalid ("volume"), VolumeInUse or WrongState."""
    if volume_id is None:
        return None
    volumes = Volume.objects.permitted(by, "configure").filter(pool__host=host, missing_since=None)
    volume: Volume | None = volumes.filter(pk=volume_id).select_related("pool__host").first()
    if volume is None:
        raise Invalid(_("There is no such volume on %(host)s.") % {"host": host.name}, field="volume")
    if volume.format not in ("qcow2", "raw") and volume.pool.type in FILE_POOLS:
        sentence = _("%(name)s is no disk that a guest could have: its format is %(format)s.")
        words = {"name": volume.name, "format": volume.format or _("unknown")}
        raise Invalid(sentence % words, field="volume")
    if volume.pool.type in DISKLESS_POOLS:
        sentence = _("%(name)s is in a pool of the type %(type)s, from which libvirt gives guests no disks.")
        raise Invalid(sentence % {"name": volume.name, "type": volume.pool.type}, field="volume")
    check_active(volume.pool)
    check_unused(volume)
    return volume


def new_disk(host: Host, name: str, os: OsTraits, wanted: "NewGuest", by: User) -> tuple[NewDisk | None, str]:
    """The volume to make for a guest called `name` (None: it gets no disk), and a warning where it may not fit one day.

    Raises Invalid (field "pool", "disk_gib", "format" or "encryption"), PoolFull or WrongState.
    """
    if wanted.disk_gib == 0:
        return None, ""
    pool = _pool(host, wanted.pool, by)
    check_active(pool)
    image_format = wanted.format or ("qcow2" if pool.type in FILE_POOLS else "raw")
    check_format(pool, image_format)
    if wanted.encryption not in ("", LUKS):
        raise Invalid(_("A disk is encrypted with luks, or not at all."), field="encryption")
    if wanted.encryption:
        check_pool_encrypts(pool, field="encryption")
    size_gib = os.disk_gib if wanted.disk_gib is None else wanted.disk_gib
    if not SMALLEST_GIB <= size_gib <= LARGEST_GIB:
        raise Invalid(_("A disk can have from 1 GiB to 64 TiB."), field="disk_gib")
    capacity_bytes = round(size_gib * 1024) * MIB
    try:
        warning = check_room(pool, capacity_bytes, image_format=image_format)
    except PoolFull as error:
        error.field = "disk_gib"
        raise
    volume_name = _volume_name(pool, name, image_format)
    return (
        NewDisk(
            pool=pool,
            name=volume_name,
            path=f"{pool.target_path.rstrip('/')}/{volume_name}",
            format=image_format,
            capacity_bytes=capacity_bytes,
            encryption=wanted.encryption,
        ),
        warning,
    )


def pools_for(host: Host, by: User) -> list[Pool]:
    """The pools in which disks of new guests can be made, the one to offer first in front."""
    pools = Pool.objects.permitted(by, "create").filter(
        host=host, missing_since=None, is_active=True, type__in=PREDICTABLE
    )
    return sorted(pools, key=_offered_late)


def _offered_late(pool: Pool) -> tuple[bool, bool, str]:
    """The store comes first and the ISO library last: by their directories, or by their names on other hosts."""
    library = pool.name == "iso" or pool.target_path == settings.ISO_DIR
    store = pool.name == "store" or pool.target_path == settings.STORE_DIR
    return library, not store, pool.name


def _pool(host: Host, pool_id: int | None, by: User) -> Pool:
    if pool_id is None:
        offered = pools_for(host, by)
        if not offered:
            raise Invalid(
                _("%(host)s has no running pool in which a disk could be made.") % {"host": host.name}, field="pool"
            )
        return offered[0]
    pools = Pool.objects.permitted(by, "create").filter(host=host).select_related("host")
    found: Pool | None = pools.filter(pk=pool_id).first()
    if found is None:
        raise Invalid(_("There is no such pool on %(host)s.") % {"host": host.name}, field="pool")
    if found.type not in PREDICTABLE:
        sentence = _("Disks cannot be made in %(pool)s: it is a pool of the type %(type)s. Choose another pool.")
        raise Invalid(sentence % {"pool": found.name, "type": found.type}, field="pool")
    return found


def _volume_name(pool: Pool, guest: str, image_format: str) -> str:
    """web-01-vda.qcow2, made fit for a file and unlike what is there."""
    stem = guest.translate(_NOT_IN_FILE_NAMES).encode()[:LONGEST_STEM_BYTES].decode(errors="ignore").strip()
    ending = "qcow2" if image_format == "qcow2" else "img"
    name = f"{stem}-vda.{ending}"
    while pool.volumes.filter(name=name, missing_since=None).exists():
        name = f"{stem}-vda-{uuid4().hex[:8]}.{ending}"
    return validate.volume_name(name)
