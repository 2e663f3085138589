"""What does not fit together, from rows alone: one line each, with what it means and what helps."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from guests.models import Disk, Guest, Leftovers, Nic
from hosts.models import Host
from storage.models import Pool

MOST_OF_A_KIND = 100


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """`kind` is for programs; `url` leads to where it is mended."""

    kind: str
    title: str
    means: str
    guest_id: int | None = None
    url: str = ""


def misfits(host: Host, user: User) -> list[Misfit]:
    """What is known of the host and the user may see: a handful of queries, at most MOST_OF_A_KIND of each kind."""
    there = Q(guest__host=host, guest__missing_since=None) & ~Q(guest__state=Guest.State.CREATING)
    return [
        *_disks(host, there),
        *_shared(there),
        *_networks(there),
        *_twice(host, user),
        *_missing(host),
        *_snapshots(host),
    ]


def _disks(host: Host, there: Q) -> Iterable[Misfit]:
    pools = Pool.objects.filter(host=host, missing_since=None, is_active=True)
    directories = set(pools.values_list("target_path", flat=True))
    gone = Q(volume=None, source__startswith="/") | Q(volume__missing_since__isnull=False)
    rows = Disk.objects.filter(there, gone).exclude(source="").select_related("guest", "volume__pool")
    found = 0
    for disk in rows.order_by("guest__name", "target").iterator(chunk_size=500):
        if disk.volume is None and str(PurePosixPath(disk.source).parent) not in directories:
            continue  # it lies in no pool: nobody knows from here
        words = {"name": disk.guest.name, "target": disk.target, "source": disk.source}
        if disk.device in ("cdrom", "floppy"):
            title = _("The disc in %(target)s of %(name)s is gone: %(source)s") % words
            means = _("The guest does not start with it. Eject it, or insert another one.")
        else:
            title = _("Disk %(target)s of %(name)s is gone: %(source)s") % words
            means = _("The guest does not start. Bring the file back, or put a definition without it back.")
        url = reverse("guests:hardware", args=[disk.guest_id])
        yield Misfit(kind="disk_missing", title=title, means=means, guest_id=disk.guest_id, url=url)
        found += 1
        if found == MOST_OF_A_KIND:
            return


def _shared(there: Q) -> Iterable[Misfit]:
    writable = Disk.objects.filter(there, device__in=("disk", "lun"), is_readonly=False).exclude(source="")
    sources = writable.order_by().values("source").annotate(guests=Count("guest", distinct=True)).filter(guests__gt=1)
    for source in list(sources.order_by("source").values_list("source", flat=True)[:MOST_OF_A_KIND]):
        names = writable.filter(source=source).order_by("guest__name").values_list("guest__name", flat=True)[:5]
        yield Misfit(
            kind="disk_shared",
            title=_("%(names)s have the same disk: %(source)s") % {"names": ", ".join(names), "source": source},
            means=_("When two of them write to it, what is on it is destroyed, unless it is meant to be shared."),
        )


def _networks(there: Q) -> Iterable[Misfit]:
    lost = Q(kind="network", network=None) | Q(kind="network", network__missing_since__isnull=False)
    lost |= Q(kind="bridge", bridge=None) | Q(kind="bridge", bridge__missing_since__isnull=False)
    for nic in Nic.objects.filter(there, lost).select_related("guest").order_by("guest__name")[:MOST_OF_A_KIND]:
        yield Misfit(
            kind="network_missing",
            title=_("%(name)s is plugged into %(source)s, which the host does not have")
            % {"name": nic.guest.name, "source": nic.source or "?"},
            means=_("The guest does not start until there is such a network, or its card is plugged in elsewhere."),
            guest_id=nic.guest_id,
            url=reverse("guests:hardware", args=[nic.guest_id]),
        )


def _twice(host: Host, user: User) -> Iterable[Misfit]:
    mine = Guest.objects.filter(host=host, missing_since=None)
    others = (
        Guest.objects.permitted(user, "view")
        .filter(missing_since=None, uuid__in=mine.values("uuid"))
        .exclude(host=host)
    )
    for other in others.select_related("host").defer("xml", "host__facts").order_by("name")[:MOST_OF_A_KIND]:
        yield Misfit(
            kind="guest_twice",
            title=_("%(name)s is on %(host)s too") % {"name": other.name, "host": other.host.name},
            means=_("Both have the same UUID. Where they share disks, only one of them may run: undefine the other."),
            guest_id=other.pk,
            url=other.get_absolute_url(),
        )


def _missing(host: Host) -> Iterable[Misfit]:
    gone = Guest.objects.filter(host=host).exclude(missing_since=None).listed().defer("xml")  # type: ignore[attr-defined]
    for guest in gone.order_by("name")[:MOST_OF_A_KIND]:
        yield Misfit(
            kind="guest_missing",
            title=_("%(name)s is not on the host any more") % {"name": guest.name},
            means=_("Somebody undefined it there, or moved it by hand. Its disks may still lie in the pools."),
            guest_id=guest.pk,
            url=guest.get_absolute_url(),
        )


def _snapshots(host: Host) -> Iterable[Misfit]:
    """As the job saw it last: rows know nothing of snapshots."""
    seen = Leftovers.objects.filter(host=host).first()
    broken = seen.snapshots[:MOST_OF_A_KIND] if seen else []
    there = Guest.objects.filter(host=host, missing_since=None, uuid__in=[entry["uuid"] for entry in broken])
    guests = {str(guest.uuid): guest for guest in there.defer("xml")}
    for entry in broken:
        if (guest := guests.get(entry["uuid"])) is None:
            continue
        command = shlex.join(["virsh", "snapshot-delete", "--metadata", guest.name, entry["snapshot"]])
        yield Misfit(
            kind="snapshot_broken",
            title=_("The snapshot %(snapshot)s of %(name)s lacks a file: %(path)s") % {**entry, "name": guest.name},
            means=_("Nobody can go back to it. Bring the file back, or have libvirt forget it: %(command)s")
            % {"command": command},
            guest_id=guest.pk,
            url=guest.get_absolute_url(),
        )
