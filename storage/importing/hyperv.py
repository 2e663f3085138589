"""A VHDX becomes a volume: read here and streamed there, since libvirt does not open the format."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from hosts.models import Host
from jobs.tasks import RunningJob
from storage import media
from storage.content import Progress, check_fits, find_pool, make_empty
from storage.making import make_volume
from storage.models import Pool, Volume
from storage.rules import FILE_POOLS, check_room
from virt import transfer, vhdx
from virt.connection import Connection
from virt.content_xml import ContentXML
from virt.foreign_disk import ForeignDisk
from virt.qcow2_writer import Qcow2Writer
from virt.vhdx import Vhdx
from virt.volume_xml import VolumeXML

DISK_MODE = "0600"  # as libvirt makes disks: other than an image of the library it holds somebody's data
ZEROS = bytes(1024 * 1024)


def convert(
    job: RunningJob, conn: Connection, volume: Volume, disk: ForeignDisk, pool: Pool, name: str, image_format: str
) -> None:
    """Make the volume `name` of the VHDX that `disk` is of `volume`; if the job fails later, it is deleted again.

    Zeros take no space in it where its pool holds files. Raises what `vhdx.read_vhdx` does, VolumeExists and PoolFull.
    """
    host = pool.host
    with media.open_image(conn, volume) as image, host.connect() as there:
        length = disk.length or image.size

        def read(offset: int, count: int) -> bytes:
            return image.read(disk.offset + offset, max(min(count, length - offset), 0))

        found = vhdx.read_vhdx(read, length, volume.name)
        step = _("Converting %(disk)s into %(name)s")
        job.step(step % {"disk": volume.name, "name": name}, done=0, total=max(found.stored_bytes, 1))
        pieces = _watched(vhdx.pieces(read, found), Progress(job, found.stored_bytes))
        if image_format == "qcow2":
            _as_qcow2(job, there, find_pool(host, there, pool.name), found, name, pieces)
        else:
            _as_raw(job, host, there, pool, found, name, pieces)


def _as_qcow2(
    job: RunningJob, conn: Connection, pool: Pool, found: Vhdx, name: str, pieces: Iterator[tuple[int, bytes]]
) -> None:
    check_fits(pool, name, None)
    if warning := check_room(pool, found.capacity_bytes):
        job.log(warning)
    make_empty(job, conn, pool, ContentXML(name=name, mode=DISK_MODE))
    writer = Qcow2Writer(found.capacity_bytes)
    transfer.upload(conn, pool.name, name, writer.body(pieces), length=0)
    transfer.upload(conn, pool.name, name, [writer.header], length=len(writer.header))


def _as_raw(
    job: RunningJob,
    host: Host,
    conn: Connection,
    pool: Pool,
    found: Vhdx,
    name: str,
    pieces: Iterator[tuple[int, bytes]],
) -> None:
    make_volume(job, host, conn, pool.name, VolumeXML(name=name, capacity_bytes=found.capacity_bytes, format="raw"))
    in_file = pool.type in FILE_POOLS
    chunks = _without_zeros(pieces, found.capacity_bytes)
    transfer.upload(conn, pool.name, name, chunks if in_file else _filled(chunks), length=0, has_holes=in_file)


def _without_zeros(pieces: Iterator[tuple[int, bytes]], capacity: int) -> Iterator[bytes | int]:
    """The whole disk: bytes, and for what is nothing its length."""
    done = 0
    for offset, data in pieces:
        for start in range(0, len(data), len(ZEROS)):
            piece = data[start : start + len(ZEROS)]
            if piece != ZEROS[: len(piece)]:
                if hole := offset + start - done:
                    yield hole
                yield piece
                done = offset + start + len(piece)
    if hole := capacity - done:
        yield hole


def _filled(chunks: Iterator[bytes | int]) -> Iterator[bytes]:
    """With the zeros written out: a block device may hold what somebody else had there."""
    for chunk in chunks:
        if isinstance(chunk, bytes):
            yield chunk
        else:
            for start in range(0, chunk, len(ZEROS)):
                yield ZEROS[: chunk - start]


def _watched(pieces: Iterator[tuple[int, bytes]], progress: Progress) -> Iterator[tuple[int, bytes]]:
    done = 0
    for offset, data in pieces:
        done += len(data)
        progress(done)
        yield offset, data
