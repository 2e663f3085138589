"""Kernel and initrd of an install tree, put into a pool of a host for a guest that boots them once."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import NamedTuple
from urllib.parse import quote

from django.utils.translation import gettext as _

from jobs.tasks import RunningJob
from storage.content import Progress, check_fits, find_pool, write_volume
from storage.fetching.download import Download
from storage.fetching.errors import FetchFailed, FileMissing
from storage.fetching.unpack import with_head
from storage.inventory import refresh_pool
from storage.models import Iso, Pool, Volume
from virt import image_guard, volumes
from virt.connection import Connection
from virt.errors import UserError, VirtError
from virt.install_tree import MAX_TEXT, TREEINFO, TreeFacts, candidates
from virt.iso_tree import IsoTree, Node
from virt.tree_boot import HEAD_BYTES, is_kernel

from .source import open_files

LARGEST = 1024**3  # of an initrd; the largest of known installers has 700 MiB
CHUNK = 1024 * 1024
Open = Callable[[str], AbstractContextManager["_File"]]


class NoKernel(UserError):
    """There is nothing in the tree that boots."""

    code, status = "no_kernel", 422


class TooLarge(UserError):
    """A file is larger than any of its kind."""

    code, status = "too_large", 422


class _File(NamedTuple):
    """A file of a tree; its size in bytes where that is known."""

    size: int | None
    chunks: Iterable[bytes]


def put_published(job: RunningJob, conn: Connection, pool: Pool, iso: Iso, names: tuple[str, str]) -> TreeFacts:
    """Write kernel and initrd of a published image into volumes called `names`, which go again if the job fails.

    Raises NoKernel, NotSupported (its bytes cannot be read from here), VolumeExists or PoolFull.
    """
    facts = TreeFacts(**iso.tree.facts)
    fd, files = open_files(iso.volume)
    try:
        _put(job, conn, pool, facts, names, lambda path: _in_image(fd, files, path))
    finally:
        os.close(fd)
    return facts


def put_from_address(job: RunningJob, conn: Connection, pool: Pool, base: str, names: tuple[str, str]) -> TreeFacts:
    """The same for the tree at the address `base`, by the rules for what is fetched.

    Raises NoKernel, AddressRefused, FetchFailed, TooLarge, VolumeExists or PoolFull.
    """
    job.step(_("Looking for a kernel at %(url)s") % {"url": base})
    facts = _look(base, job.check_cancelled)
    job.log(_("It boots with %(kernel)s.") % {"kernel": facts.kernel})
    _put(job, conn, pool, facts, names, lambda path: _on_server(base, path, job.check_cancelled))
    return facts


def remove(job: RunningJob, conn: Connection, pool: Pool, names: Iterable[str]) -> None:
    """Delete what was put there: QEMU read it when the guest started. What cannot be deleted is told, and stays."""
    for name in names:
        try:
            volumes.delete_volume(conn, pool.name, name)
        except VirtError as error:
            job.log(_("%(name)s could not be deleted: %(error)s") % {"name": name, "error": error})
        else:
            Volume.objects.filter(pool=pool, name=name).delete()
    refresh_pool(pool.host, conn, pool.name)


def _put(job: RunningJob, conn: Connection, pool: Pool, facts: TreeFacts, names: tuple[str, str], opened: Open) -> None:
    pool = find_pool(pool.host, conn, pool.name)
    for path, name in zip((facts.kernel, facts.initrd), names, strict=True):
        job.step(_("Putting %(path)s into the pool %(pool)s") % {"path": path, "pool": pool.name})
        with opened(path) as file:
            check_fits(pool, name, file.size)
            chunks, head = with_head(iter(_limited(path, file)), image_guard.HEAD_BYTES)
            image_guard.check_references(head, path)
            write_volume(job, conn, pool, name, chunks, size=file.size, on_progress=Progress(job, file.size))


def _look(base: str, check: Callable[[], None]) -> TreeFacts:
    """What is at that address. Raises NoKernel, AddressRefused or FetchFailed."""
    treeinfo = ""
    for name in TREEINFO:
        with suppress(FileMissing), _on_server(base, name, check) as file:
            treeinfo = _text(file)
        if "[" in treeinfo:
            break
    for facts in candidates(treeinfo if "[" in treeinfo else ""):
        with suppress(FileMissing):
            with _on_server(base, facts.kernel, check) as file:
                if not is_kernel(with_head(iter(file.chunks), HEAD_BYTES)[1]):
                    continue
            with _on_server(base, facts.initrd, check):
                return facts
    sentence = _(
        "No kernel was found at %(url)s. Give the address of the folder that has .treeinfo, images/pxeboot or"
        " dists/…/installer-amd64 in it."
    )
    raise NoKernel(sentence % {"url": base}, field="tree_url")


def _text(file: _File) -> str:
    return with_head(iter(file.chunks), MAX_TEXT)[1].decode("utf-8", "replace")


@contextmanager
def _on_server(base: str, path: str, check: Callable[[], None]) -> Iterator[_File]:
    try:
        with Download(f"{base}/{quote(path)}", check) as download:
            yield _File(download.size, download.chunks())
    except FetchFailed as error:
        error.field = "tree_url"
        raise


@contextmanager
def _in_image(fd: int, files: IsoTree, path: str) -> Iterator[_File]:
    node = files.find(path)
    if node is None or node.is_dir or not path:
        raise NoKernel(_("The image has no %(path)s any more. Publish it anew.") % {"path": path}, field="tree")
    yield _File(node.size, _read(fd, node))


def _read(fd: int, node: Node) -> Iterator[bytes]:
    for offset, length in node.places(0, node.size):
        for at in range(offset, offset + length, CHUNK):
            yield os.pread(fd, min(CHUNK, offset + length - at), at)


def _limited(path: str, file: _File) -> Iterator[bytes]:
    done = 0
    for chunk in file.chunks:
        done += len(chunk)
        if done > LARGEST:
            break
        yield chunk
    if done > LARGEST:
        raise TooLarge(_("%(path)s is larger than 1 GiB, so it is no kernel or initrd.") % {"path": path})
