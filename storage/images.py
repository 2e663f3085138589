"""Images of the library: which files are one, and when a job looks at them."""

from django.conf import settings
from django.db.models import F, Q
from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from jobs.live import publish
from jobs.models import Busy, Job, JobUndo, Ref

from .models import Iso, Pool, Upload

IMAGE_NAMES = (".qcow2", ".img", ".raw", ".ova", ".ovf", ".vmdk", ".vhd", ".vhdx", ".vdi")
_MAKING = "storage.delete_volume"  # making.UNDO, in whose module these rows are used
TRIES = 5  # images that a check may find busy before it leaves the rest to the next time


def belongs(pool: Pool) -> Q:
    """A filter for the volumes of a pool that are images of the library: discs everywhere, and in the library's own
    directory disk images too."""
    found = Q(format="iso") | Q(name__iendswith=".iso")
    if pool.target_path == settings.ISO_DIR:
        for suffix in IMAGE_NAMES:
            found |= Q(name__iendswith=suffix)
    return found


def being_written(pool: Pool) -> set[str]:
    """Names of volumes in the pool that a job or an upload has begun and not finished: nobody should use them yet."""
    steps = JobUndo.objects.filter(verb=_MAKING, arguments__host_id=pool.host_id, arguments__pool=pool.name)
    names = {str(arguments["name"]) for arguments in steps.values_list("arguments", flat=True)}
    active = (Upload.State.RECEIVING, Upload.State.FINISHING)
    streamed = Upload.objects.filter(pool=pool, state__in=active, streamed_bytes__isnull=False)
    return names | set(streamed.values_list("name", flat=True))


def start_check(iso: Iso, *, by: User | None) -> Job:
    """Start the job that looks at an image and computes its SHA-256; `by` None: of kvmweb's own accord. Raises Busy."""
    from .image_tasks import check_iso  # the tasks refresh pools, which finds images, which starts tasks

    volume = iso.volume
    job = Job.start(
        check_iso,
        title=_("Check %(name)s") % {"name": volume.name},
        by=by,
        objects=[*refs(iso), Ref("host", volume.pool.host_id, volume.pool.host.name)],
        iso_id=iso.pk,
    )
    Iso.objects.filter(pk=iso.pk).update(checked_bytes=volume.capacity_bytes)
    publish("isos")  # the list does not follow each of its rows
    return job


def check_next(host: Host, *, after: int = 0) -> Job | None:
    """Start the check of an image that nobody has looked at yet, the smallest first; None when there is none.

    One at a time on a host, so that a library that just came into sight does not keep people's jobs waiting; each check
    calls this at its end (`after` is its own number).
    """
    under_way = Job.objects.active().filter(kind="check_iso", created_by=None, objects_of__kind="host")
    if under_way.filter(objects_of__object_id=host.pk).exclude(pk=after).exists():
        return None
    unseen = Iso.objects.filter(volume__pool__host=host, volume__pool__is_active=True, volume__missing_since=None)
    unseen = unseen.exclude(checked_bytes=F("volume__capacity_bytes")).order_by("volume__capacity_bytes")
    for iso in unseen.select_related("volume__pool__host")[:TRIES]:
        try:
            return start_check(iso, by=None)
        except Busy:  # somebody else is at it
            continue
    return None


def tell(iso: Iso) -> None:
    """Let open pages know that what we know of an image changed."""
    publish(f"iso-{iso.pk}", "isos")


def refs(iso: Iso) -> list[Ref]:
    """What a job on an image holds: the image and its file."""
    name = iso.volume.name
    return [Ref("iso", iso.pk, name, exclusive=True), Ref("volume", iso.volume_id, name, exclusive=True)]
