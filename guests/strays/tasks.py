"""The job that looks for image files in no pool. Nothing is changed."""

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from guests.models import Disk, StrayFiles
from hosts.models import Host
from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from storage.images import IMAGE_NAMES
from storage.models import Pool, Volume
from storage.names import is_part_file
from virt.connection import Connection
from virt.errors import HostTimeout, HostUnreachable, VirtError
from virt.stray_files import FoundFile, look_into
from virt.volumes import list_volumes

FILE_POOLS = ("dir", "fs", "netfs")
MOST_DIRECTORIES = 200
DEEPEST = 3  # directories below a pool's
MOST_FOUND = 1000
_NOT_LOOKED_INTO = frozenset({"dev", "proc", "sys", "run", "etc", "boot"})
_FORMATS = frozenset({"qcow2", "qcow", "qed", "vmdk", "vdi", "vpc", "iso", "luks"})
_NAMES = (*IMAGE_NAMES, ".iso", ".qcow")


@job_task(soft_time_limit=1800)
def look_for_stray_files(job: RunningJob, *, host_id: int) -> dict[str, Any]:
    """Look into the directories that guests refer to and into those below pools; keep what is in no pool."""
    host = Host.objects.get(pk=host_id)
    with host.connect() as conn:
        found, problems = _look(job, host, conn)
    for problem in problems:
        job.log(problem)
    row = {"found": found, "problem": "\n".join(problems), "looked_at": timezone.now()}
    StrayFiles.objects.update_or_create(host=host, defaults=row)
    publish(f"host-{host_id}")
    return {"found": len(found), "problems": len(problems)}


def _look(job: RunningJob, host: Host, conn: Connection) -> tuple[list[dict[str, Any]], list[str]]:
    tops, sources = _tops(host), set(_disks(host).values_list("source", flat=True))
    known: set[str] = set(Volume.objects.filter(pool__host=host, missing_since=None).values_list("path", flat=True))
    below, problems = _below_pools(job, host, conn, known)
    waiting = [(path, 1) for path in [*_beside(sources), *below]]
    files: dict[str, FoundFile] = {}
    seen: set[str] = set()
    while waiting and len(seen) < MOST_DIRECTORIES:
        directory, depth = waiting.pop(0)
        if directory in seen or directory in tops:
            continue
        seen.add(directory)
        job.step(_("Looking into %(directory)s") % {"directory": directory})
        try:
            inside = look_into(conn, directory)
        except (HostUnreachable, HostTimeout):
            raise
        except VirtError as error:
            problems.append(f"{error} {error.details}".strip())
            continue
        if inside.is_cut:
            problems.append(_("%(directory)s has more files than were looked at.") % {"directory": directory})
        files.update((file.path, file) for file in inside.files if file.path not in known and _is_image(file, sources))
        if depth < DEEPEST:
            waiting += [(path, depth + 1) for path in inside.below]
    if waiting and len(seen) >= MOST_DIRECTORIES:
        sentence = _("There are more directories than %(number)d: not all of them were looked into.")
        problems.append(sentence % {"number": len(seen)})
    largest = sorted(files.values(), key=lambda file: (-file.allocation_bytes, file.path))
    return [_entry(file) for file in largest[:MOST_FOUND]], problems


def _below_pools(job: RunningJob, host: Host, conn: Connection, known: set[str]) -> tuple[list[str], list[str]]:
    """The directories in the directories of pools, and what could not be read. Adds the pools' files to `known`."""
    below: list[str] = []
    problems: list[str] = []
    for pool in _pools(host).order_by("name"):
        job.check_cancelled()
        try:
            listed = list_volumes(conn, pool.name, refresh=True)
        except (HostUnreachable, HostTimeout):
            raise
        except VirtError as error:
            problems.append(str(error))
            continue
        known.update(info.path for info in listed)
        below += [info.path for info in listed if info.type == "dir"]
    return below, problems


def _pools(host: Host) -> "QuerySet[Pool]":
    pools = Pool.objects.filter(host=host, missing_since=None, is_active=True, type__in=FILE_POOLS)
    return pools.exclude(target_path="")


def _tops(host: Host) -> set[str]:
    return set(_pools(host).values_list("target_path", flat=True))


def _disks(host: Host) -> "QuerySet[Disk]":
    return Disk.objects.filter(guest__host=host, source__startswith="/")


def _beside(sources: set[str]) -> list[str]:
    """The directories of the guests' files, without the system's own."""
    parents = {PurePosixPath(source).parent for source in sources}
    return sorted(str(each) for each in parents if each.parts[1:2] and each.parts[1] not in _NOT_LOOKED_INTO)


def _is_image(file: FoundFile, sources: set[str]) -> bool:
    if is_part_file(file.name):
        return False
    return file.format in _FORMATS or file.name.lower().endswith(_NAMES) or file.path in sources


def _entry(file: FoundFile) -> dict[str, Any]:
    changed = datetime.fromtimestamp(file.changed_s, UTC).isoformat() if file.changed_s else None
    return {
        "path": file.path,
        "format": file.format,
        "size_bytes": file.capacity_bytes,
        "allocation_bytes": file.allocation_bytes,
        "changed_at": changed,
    }
