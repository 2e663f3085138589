"""Installing a new guest from a tree: which one, where the guest finds it, and what its first start boots."""

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from networking.models import Network
from storage.fetching.addresses import parse_url
from storage.models import Iso, Pool
from storage.rules import FILE_POOLS, check_active
from storage.trees.app import PREFIX
from storage.trees.networks import is_within
from virt.errors import Invalid
from virt.install_tree import TreeFacts
from virt.tree_boot import boot_arguments, checked_arguments
from virt.types import OsTraits

from .plan_disks import pools_for

if TYPE_CHECKING:
    from .plan import NewGuest

_RHEL = frozenset({"rhel", "centos", "ol", "scientificlinux"})
_YUM = _RHEL | {"fedora", "rocky", "almalinux", "openeuler", "anolis", "circle", "miraclelinux"}
_SUSE = frozenset({"opensuse", "sles", "sled", "sle", "caasp"})
_APT = frozenset({"debian", "ubuntu"})
_NOT_IN_FILE_NAMES = re.compile(r"[^\w.-]+")
LONGEST_STEM = 60


@dataclass(frozen=True, kw_only=True)
class NewTree:
    """What a guest installs from. `iso` is a published image, None for an address; `url` is the tree as the guest
    sees it. Kernel and initrd become the volumes `kernel` and `initrd` of `pool` for the first start.

    `arguments` is what the kernel is told, `extra` the part of it that somebody asked for. Of an address nobody has
    looked at yet, `is_guess` is true: the job tells the kernel what suits what it finds.
    """

    iso: Iso | None
    url: str
    pool: Pool
    kernel: str
    initrd: str
    arguments: str
    extra: str
    is_guess: bool
    is_reached: bool  # as far as rows can tell: the guest's network is one that it is published for

    def path(self, name: str) -> str:
        """Where the volume will lie."""
        return f"{self.pool.target_path.rstrip('/')}/{name}"

    def as_argument(self) -> dict[str, Any]:
        """For the job: the pool by its name."""
        return {
            "iso_id": self.iso.pk if self.iso else None,
            "url": self.url,
            "pool": self.pool.name,
            "kernel": self.kernel,
            "initrd": self.initrd,
            "extra": self.extra,
        }


def tree_for(
    host: Host, name: str, os: OsTraits, wanted: "NewGuest", by: User, *, pool: Pool | None, network: Network | None
) -> NewTree | None:
    """The tree that a guest called `name` installs from, or None. `pool` is that of its disk.

    Raises Invalid (field "tree", "tree_url", "tree_base", "tree_arguments", "start", "network" or "pool"),
    AddressRefused or WrongState.
    """
    if wanted.tree is None and not wanted.tree_url.strip():
        return None
    _check_alone(wanted)
    extra = checked_arguments(wanted.tree_arguments)
    place = _place(host, pool, by)
    if wanted.tree is not None:
        iso = published(by).filter(pk=wanted.tree).first()
        if iso is None:
            raise Invalid(_("There is no such published tree."), field="tree")
        check_active(iso.volume.pool)
        base = f"{_base(wanted.tree_base, host, network)}{PREFIX}/{iso.pk}"
        facts, is_reached = TreeFacts(**iso.tree.facts), _is_published_for(iso, network)
    else:
        iso, facts, is_reached = None, _guessed(os), True
        base = _without_slash(wanted.tree_url)
    words = boot_arguments(facts, base, image=f"{base}.iso" if iso else "")
    stem = _NOT_IN_FILE_NAMES.sub("-", name)[:LONGEST_STEM].strip("-.") or "guest"
    return NewTree(
        iso=iso,
        url=base,
        pool=place,
        kernel=_free_name(place, f"{stem}-install-kernel"),
        initrd=_free_name(place, f"{stem}-install-initrd"),
        arguments=checked_arguments(" ".join([*words, *([extra] if extra else [])])),
        extra=extra,
        is_guess=iso is None,
        is_reached=is_reached,
    )


def os_of(wanted: "NewGuest", by: User) -> str:
    """The system that a published tree installs, or ""."""
    iso = published(by).filter(pk=wanted.tree).first() if wanted.tree is not None else None
    return iso.os_id if iso else ""


def published(by: User) -> Any:
    """The images whose trees boot an installer, on any host; the files are read by kvmweb."""
    isos = Iso.objects.permitted(by, "view").filter(tree__isnull=False, volume__missing_since=None)
    return isos.exclude(tree__facts__kernel="").select_related("tree", "volume__pool__host")


def _check_alone(wanted: "NewGuest") -> None:
    if wanted.tree is not None and wanted.tree_url.strip():
        raise Invalid(_("Choose a published tree or give an address, not both."), field="tree_url")
    if wanted.boots_from_network:
        raise Invalid(_("A guest installs from a tree or boots from the network, not both."), field="tree")
    if not wanted.has_network:
        sentence = _("To install from a tree, the guest needs a network card: its installer loads the rest over it.")
        raise Invalid(sentence, field="network")
    if not wanted.start:
        sentence = _("A guest that installs from a tree is started at once: the tree's kernel is for its first start.")
        raise Invalid(sentence, field="start")


def _place(host: Host, pool: Pool | None, by: User) -> Pool:
    """A pool of files for kernel and initrd: that of the disk, or the first one there is."""
    if pool and pool.type in FILE_POOLS:
        return pool
    found = [each for each in pools_for(host, by) if each.type in FILE_POOLS]
    if not found:
        sentence = _("%(host)s has no running pool that is a directory, where kernel and initrd could be put.")
        raise Invalid(sentence % {"host": host.name}, field="pool")
    return found[0]


def _base(given: str, host: Host, network: Network | None) -> str:
    """kvmweb as the guest reaches it. Where somebody calls it localhost, the guest's own network leads to it."""
    parts = urlsplit(given.strip().rstrip("/"))
    try:
        port = parts.port
    except ValueError:
        port = 0
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not re.fullmatch(r"[A-Za-z0-9.\-:]{1,255}", parts.hostname)
        or parts.path
        or parts.query
        or parts.username is not None
        or port == 0
    ):
        sentence = _("Give the address of kvmweb as the guest reaches it, such as http://192.168.122.1:8000.")
        raise Invalid(sentence, field="tree_base")
    if is_loopback(parts.hostname) and host.is_local and network and network.cidr:
        gateway = network.cidr.partition("/")[0]
        return f"{parts.scheme}://{gateway}:{port}" if port else f"{parts.scheme}://{gateway}"
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))


def is_loopback(name: str) -> bool:
    """Whether a guest that asks for this name would ask itself."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _without_slash(url: str) -> str:
    """The address of a tree, fit for the one line that a kernel takes. Raises Invalid or AddressRefused."""
    parts = parse_url(url, field="tree_url")
    if parts.query or parts.fragment:
        raise Invalid(_("The address of a tree is that of a folder, without ? and #."), field="tree_url")
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._").rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _is_published_for(iso: Iso, network: Network | None) -> bool:
    """Whether machines of the network may read it; where its addresses are not known, nobody can tell."""
    if network is None or not network.cidr:
        return True
    gateway = ipaddress.ip_interface(network.cidr)
    return is_within(gateway.network.network_address + 1, iso.tree.networks)


def _guessed(os: OsTraits) -> TreeFacts:
    """What a tree of that system usually is."""
    if os.distro in _SUSE:
        return TreeFacts(family="openSUSE", kind="yum")
    if os.distro in _YUM:
        family = "CentOS" if os.distro in _RHEL else ""
        return TreeFacts(family=family, version=os.version, kind="yum")
    return TreeFacts(kind="apt" if os.distro in _APT else "")


def _free_name(pool: Pool, stem: str) -> str:
    name, number = stem, 2
    while pool.volumes.filter(name=name, missing_since=None).exists():
        name, number = f"{stem}-{number}", number + 1
    return name
