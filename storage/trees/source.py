"""From an address below /tree/ to a file of an image. Blocking; call it in a thread."""

import ipaddress
import os
from dataclasses import dataclass

from django.utils.translation import gettext as _

from storage import media
from storage.models import Tree, Volume
from virt.errors import NotSupported
from virt.install_tree import TreeFacts
from virt.iso_tree import IsoTree, Node, NotATree

from .networks import is_within


@dataclass
class Published:
    """An image that is open for reading, and its files. Close it."""

    fd: int
    files: IsoTree
    mark: str  # changes when the image does
    facts: TreeFacts

    @property
    def image(self) -> Node:
        """The whole image as one file."""
        size = self.files.size
        return Node(name="image.iso", is_dir=False, size=size, modified=0, extents=((0, size),))

    def close(self) -> None:
        os.close(self.fd)


def open_published(iso_id: int, client: str) -> Published | None:
    """The tree of that image, or None when there is none for a client at that address."""
    rows = Tree.objects.filter(iso=iso_id, iso__volume__missing_since=None).select_related("iso__volume__pool__host")
    tree = rows.first()
    if tree is None or not _serves(tree, client):
        return None
    volume = tree.iso.volume
    fd = media.open_local(volume) if volume.pool.host.is_local else None
    if fd is None:
        return None
    try:
        files = files_of(fd)
    except NotATree:
        os.close(fd)
        return None
    info = os.fstat(fd)
    return Published(fd, files, f"{info.st_size:x}-{info.st_mtime_ns:x}", TreeFacts(**tree.facts))


def open_files(volume: Volume) -> tuple[int, IsoTree]:
    """A descriptor of an image and its files, to look whether it can be published. Raises NotSupported."""
    host, words = volume.pool.host, {"name": volume.name, "host": volume.pool.host.name}
    fd = media.open_local(volume) if host.is_local else None
    if fd is None:
        sentence = _(
            "%(name)s lies on %(host)s, where kvmweb cannot read its bytes directly. Copy it into a pool of the machine"
            " that kvmweb runs on, and publish that copy."
        )
        raise NotSupported(sentence % words)
    try:
        return fd, files_of(fd)
    except NotATree:
        os.close(fd)
        sentence = _("%(name)s has no ISO 9660 file system (newer discs of Windows have UDF only), so it has no tree.")
        raise NotSupported(sentence % words) from None


def files_of(fd: int) -> IsoTree:
    """The files of an open image. Raises NotATree."""
    return IsoTree(lambda offset, length: os.pread(fd, length, offset), os.fstat(fd).st_size)


def _serves(tree: Tree, client: str) -> bool:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return is_within(address, tree.networks)
