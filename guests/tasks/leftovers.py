"""Look on a host for files of guests that are gone, and for files that snapshots lack. Nothing is removed."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from guests.leftovers.models import Leftovers
from hosts import commands
from hosts.models import Host
from jobs.live import publish
from jobs.runner import RunningJob
from jobs.tasks import job_task
from virt.errors import UserError
from virt.leftovers import known_guests, snapshot_files

# What libvirt keeps beside the definitions of system guests: kind, directory, file or directory.
PLACES = (
    ("nvram", "/var/lib/libvirt/qemu/nvram", "f"),
    ("tpm", "/var/lib/libvirt/swtpm", "d"),
    ("snapshots", "/var/lib/libvirt/qemu/snapshot", "d"),
)
MOST_FOUND = 1000
AT_ONCE = 200  # paths in one command
_FIELDS = r"%p\0%s\0%T@\0"
_NOT_THERE = ("No such file or directory", "Not a directory")


@job_task(soft_time_limit=300)
def look_for_leftovers(job: RunningJob, *, host_id: int) -> dict[str, Any]:
    """Compare the directories with the guests that the host has now; keep what belongs to none of them."""
    host = Host.objects.get(pk=host_id)
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    for done, (kind, directory, what) in enumerate(PLACES):
        job.step(_("Looking into %(directory)s") % {"directory": directory}, done=done, total=len(PLACES) + 1)
        try:
            found += [{"kind": kind, **entry} for entry in _entries(host, directory, what)]
        except UserError as error:
            problems.append(f"{error} {error.details}".strip())
    if found:
        with host.connect() as conn:  # after the directories: a guest made meanwhile has its files for good
            known = known_guests(conn)
        found = [entry for entry in found if not known.owns(entry["kind"], entry["path"])][:MOST_FOUND]
    job.step(_("Looking at the snapshots of the guests"), done=len(PLACES), total=len(PLACES) + 1)
    snapshots: list[dict[str, Any]] = []
    try:
        snapshots = _broken_snapshots(host)
    except UserError as error:
        problems.append(f"{error} {error.details}".strip())
    for problem in problems:
        job.log(problem)
    row = {"found": found, "snapshots": snapshots, "problem": "\n".join(problems), "looked_at": timezone.now()}
    Leftovers.objects.update_or_create(host=host, defaults=row)
    publish(f"host-{host_id}")
    return {"found": len(found), "snapshots": len(snapshots), "problems": len(problems)}


def _entries(host: Host, directory: str, what: str) -> list[dict[str, Any]]:
    """Files or directories just below. A directory that is not there has none. Raises UserError."""
    if commands.run(host, ["test", "-d", directory], as_root=True).code == 1:
        return []
    argv = ["find", directory, "-mindepth", "1", "-maxdepth", "1", "-type", what, "-printf", _FIELDS]
    fields = commands.read(host, argv, as_root=True).split("\0")
    return [
        {"path": path, "size_bytes": int(size), "changed_at": datetime.fromtimestamp(float(at), UTC).isoformat()}
        for path, size, at in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
    ]


def _broken_snapshots(host: Host) -> list[dict[str, Any]]:
    """The snapshots that need a file which is not there. Raises UserError."""
    with host.connect() as conn:
        needed = snapshot_files(conn)
    paths = sorted({each.path for each in needed if each.path.startswith("/")})
    lost: set[str] = set()
    for start in range(0, len(paths), AT_ONCE):
        lost |= _missing(host, paths[start : start + AT_ONCE])
    return [asdict(each) for each in needed if each.path in lost][:MOST_FOUND]


def _missing(host: Host, paths: Sequence[str]) -> set[str]:
    """Those of the paths that are not there: find(1) names the others. Raises CommandFailed when it could not look."""
    words = ["env", "LC_ALL=C", "find", "/", *paths, "-maxdepth", "0", "-printf", r"%p\0"]
    done = commands.run(host, words, as_root=True)
    there = done.stdout.split("\0")
    is_sure = all(line.endswith(_NOT_THERE) for line in done.stderr.splitlines())
    if there[0] != "/" or not is_sure:  # no sudo, or a file server that keeps root out
        raise commands.CommandFailed(_("The files of snapshots could not be looked for."), details=done.stderr)
    return set(paths) - set(there)
