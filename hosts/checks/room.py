"""Free space, and whether QEMU's user may enter the directories of pools."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.utils.translation import gettext as _

from hosts.words import size

from .check import About, Check, Seen
from .families import commands

FAILS_BELOW, WARNS_BELOW = 0.02, 0.10
SMALL_BYTES = 2 * 2**30
ON_FILE_SYSTEM = ("dir", "fs", "netfs", "vstorage")  # pools of other types do not fill what is mounted at their path
SHOWN = 20  # directories in one check


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A directory on the way to a pool. `has_acl`: its mode does not tell all."""

    mode: int
    uid: int
    gid: int
    has_acl: bool
    path: str


def free_space(seen: Seen) -> Check:
    """Of the directories of pools, of libvirt's own and of the root; each file system once."""
    about = About("space", _("Free space"))
    worst, told = "passed", []
    for free, total, mount in sorted(_rooms(seen)):
        share = free / total if total else 1.0
        grade = (
            "failed" if share < FAILS_BELOW else "warning" if share < WARNS_BELOW or free < SMALL_BYTES else "passed"
        )
        worst = grade if worst == "passed" or grade == "failed" else worst
        told.append(_("%(path)s: %(free)s of %(total)s") % {"path": mount, "free": size(free), "total": size(total)})
    full = [path for free, total, path in _inodes(seen) if total and free / total < WARNS_BELOW]
    found = "; ".join(told[:SHOWN])
    if not told:
        return about.skipped(_("The host did not tell."))
    if full:
        return about.warning(
            _("Too many files: %(paths)s has hardly any inodes left.") % {"paths": ", ".join(full[:SHOWN])},
            means=_("New files cannot be made there, however much space is free."),
            todo=_("Delete small files that nobody needs."),
        )
    if worst == "passed":
        return about.passed(found)
    means = _("Guests whose disks grow are paused when it is full; new disks, snapshots and uploads fail.")
    todo = _("Delete what nobody needs, or make the file system bigger. To see what takes the space:")
    verdict = about.failed if worst == "failed" else about.warning
    smallest = shlex.quote(min(_rooms(seen))[2])
    how = commands(seen.readings, every=f"sudo du -xh -d 2 {smallest} | sort -h | tail -n 20")
    return verdict(found, means=means, todo=todo, commands=how)


def reach(seen: Seen) -> Check:
    """Whether QEMU's user may go through to each pool's directory, by the modes of all directories above it."""
    about = About("reach", _("Directories of pools can be entered by QEMU"))
    uid, gid = seen.details.get("qemu_uid"), seen.details.get("qemu_gid")
    directories = [pool.target_path for pool in seen.pools if pool.target_path.startswith("/")]
    entries = {entry.path: entry for entry in _entries(seen)}
    known = [path for path in directories if path in entries]
    if uid is None or not known:
        return about.skipped(_("libvirt does not tell which user QEMU has, or no pool is a directory."))
    if uid == 0:
        return about.passed(_("QEMU runs as root, which may enter everything."))
    groups = {gid, *(int(word) for word in seen.readings.text("qemu_groups").split() if word.isdigit())}
    user = seen.readings.text("qemu_user") or str(uid)
    closed: list[str] = []
    unclear: list[str] = []
    for path in known:
        for step in (path, *(str(parent) for parent in PurePosixPath(path).parents)):
            entry = entries.get(step)
            if entry and not _may_enter(entry, uid, groups):
                (unclear if entry.has_acl else closed).append(step)
    if closed:
        paths = sorted(set(closed))
        quoted = " ".join(shlex.quote(path) for path in paths[:SHOWN])
        return about.failed(
            _("%(user)s may not enter %(paths)s.") % {"user": user, "paths": ", ".join(paths[:SHOWN])},
            means=_("Guests with disks or ISO images there do not start: “Permission denied”."),
            todo=_("Let it pass through; what lies in there stays closed to it."),
            commands=commands(seen.readings, every=f"sudo setfacl -m u:{shlex.quote(user)}:x {quoted}"),
        )
    if unclear:
        values = {"paths": ", ".join(sorted(set(unclear))[:SHOWN])}
        return about.skipped(_("%(paths)s has an access list, which kvmweb does not read.") % values)
    return about.passed(_("%(user)s may enter all of them.") % {"user": user})


def _may_enter(entry: Entry, uid: int, groups: set[int | None]) -> bool:
    if entry.uid == uid:
        return bool(entry.mode & 0o100)
    if entry.gid in groups:
        return bool(entry.mode & 0o010)
    return bool(entry.mode & 0o001)


def _rooms(seen: Seen) -> list[tuple[int, int, str]]:
    """Free and total bytes, and where the file system is mounted; libvirt's figures of pools where nothing else is."""
    found: dict[str, tuple[int, int, str]] = {}
    for line in seen.readings.all("room"):
        words = line.split(" ", 3)
        if len(words) == 4 and words[0].isdigit() and words[1].isdigit():
            found[words[2]] = (int(words[1]) * 1024, int(words[0]) * 1024, words[2])
    if not seen.readings:
        for pool in seen.pools:
            if pool.is_active and pool.capacity_bytes and pool.target_path and pool.type in ON_FILE_SYSTEM:
                found[pool.target_path] = (pool.available_bytes or 0, pool.capacity_bytes, pool.target_path)
    return list(found.values())


def _inodes(seen: Seen) -> Iterator[tuple[int, int, str]]:
    for line in seen.readings.all("inodes"):
        words = line.split(" ", 2)
        if len(words) == 3 and words[0].isdigit() and words[1].isdigit():
            yield int(words[1]), int(words[0]), words[2]


def _entries(seen: Seen) -> Iterator[Entry]:
    for line in seen.readings.all("entry"):
        words = line.split(" ", 4)
        if len(words) == 5 and words[1].isdigit() and words[2].isdigit() and set(words[0]) <= set("01234567"):
            yield Entry(
                mode=int(words[0] or "0", 8),
                uid=int(words[1]),
                gid=int(words[2]),
                has_acl=words[3] == "+",
                path=words[4],
            )
