"""Making a volume so that it can be taken back: for the jobs here and for those that make guests."""

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.tasks import RunningJob
from jobs.undo import undo
from virt import partitions, volumes
from virt.connection import Connection
from virt.errors import PoolNotFound, VolumeExists, VolumeNotFound
from virt.types import VolumeInfo
from virt.volume_xml import VolumeXML
from virt.volumes import Preallocation

from .inventory import refresh_pool
from .models import Volume
from .rules import check_active, check_room, gone

UNDO = "storage.delete_volume"


def make_volume(
    job: RunningJob,
    host: Host,
    conn: Connection,
    pool: str,
    wanted: VolumeXML,
    *,
    preallocation: Preallocation = "none",
) -> tuple[VolumeInfo, Volume]:
    """Make `wanted` in the pool called `pool` as a step of `job`; if the job fails later, the volume is deleted again.

    Nothing that was there before is ever overwritten or taken back. Returns libvirt's description and our row.
    Raises PoolNotFound, WrongState (the pool is stopped), PoolFull or VolumeExists.
    """
    row = refresh_pool(host, conn, pool, rescan=True)
    if row is None:
        raise gone(pool, host.name)
    check_active(row)
    if row.volumes.filter(name=wanted.name, missing_since=None).exists():
        raise exists_already(wanted.name, pool)
    in_full = preallocation == "full"
    warning = check_room(row, wanted.capacity_bytes, image_format=wanted.format, in_full=in_full)
    if warning:
        job.log(warning)
    job.undo(UNDO, host_id=host.pk, pool=pool, name=wanted.name)
    try:
        made = volumes.create_volume(conn, pool, wanted, preallocation=preallocation)
    except VolumeExists:
        # Somebody else made it in this instant: it is not ours to take back.
        job.row.journal.filter(verb=UNDO, arguments__name=wanted.name, arguments__pool=pool).delete()
        raise
    refresh_pool(host, conn, pool)
    return made, Volume.objects.get(pool=row, name=wanted.name)


def make_partition(
    job: RunningJob, host: Host, conn: Connection, pool: str, capacity_bytes: int
) -> tuple[VolumeInfo, Volume]:
    """As `make_volume`, in a pool of the type disk, where the kernel names what is made.

    Raises PoolNotFound, WrongState, PoolFull or VolumeExists.
    """
    row = refresh_pool(host, conn, pool, rescan=True)
    if row is None:
        raise gone(pool, host.name)
    check_active(row)
    check_room(row, capacity_bytes, in_full=True)
    name = partitions.next_name(conn, pool)
    try:
        made = _partition(job, host, conn, pool, name, capacity_bytes)
    except partitions.OtherName as other:
        if other.exists:
            job.undo(UNDO, host_id=host.pk, pool=pool, name=other.name)
            made = volumes.volume_info(conn, pool, other.name)
        else:
            made = _partition(job, host, conn, pool, other.name, capacity_bytes)
    refresh_pool(host, conn, pool)
    return made, Volume.objects.get(pool=row, name=made.name)


def _partition(job: RunningJob, host: Host, conn: Connection, pool: str, name: str, capacity_bytes: int) -> VolumeInfo:
    entry = job.row.journal.create(verb=UNDO, arguments={"host_id": host.pk, "pool": pool, "name": name})
    try:
        return partitions.create_partition(conn, pool, name, capacity_bytes)
    except (VolumeExists, partitions.OtherName):
        entry.delete()  # what has that name is not ours to take back
        raise


def exists_already(name: str, pool: str) -> VolumeExists:
    """The error for a name that is taken."""
    sentence = _("The pool %(pool)s has a volume called %(name)s already. Choose another name.")
    return VolumeExists(sentence % {"pool": pool, "name": name}, field="name")


@undo(UNDO)
def take_back_volume(*, host_id: int, pool: str, name: str) -> None:
    """Delete a volume that a job made or was about to make. No such volume, pool or host: there is nothing to do."""
    host = Host.objects.filter(pk=host_id).first()
    if host is None:
        return
    with host.connect(events=False) as conn:  # also called by requests
        row = refresh_pool(host, conn, pool, rescan=True)  # libvirt forgets a half-made file when it is restarted
        if row is None:
            return
        try:
            volumes.delete_volume(conn, pool, name)
        except (PoolNotFound, VolumeNotFound):
            return
        Volume.objects.filter(pool=row, name=name).delete()
        refresh_pool(host, conn, pool)
