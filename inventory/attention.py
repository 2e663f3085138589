"""What needs somebody, from rows: one line each, worst first."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from guests.models import DefinitionVersion, Guest
from hosts.models import Host
from jobs.models import Job
from storage.models import FULL_POOLS, Pool

NAMED_AT_MOST = 3
LINES_OF_A_KIND = 5
GUESTS_LOOKED_AT = 1000


@dataclass(frozen=True, kw_only=True)
class Line:
    """`grade` is bad, warn or info. `url` leads to where something can be done, `action` is what its button says.

    The page adds the time `since` and the room left, `free_bytes`, in the reader's own way.
    """

    grade: str
    title: str
    text: str = ""
    url: str = ""
    action: str = ""
    since: datetime | None = None
    free_bytes: int | None = None


def lines(user: User, hosts: list[Host]) -> list[Line]:
    """All of them, in a handful of queries. `hosts` are those that the user may see."""
    trouble = [*_silent_hosts(hosts), *_guests(user), *_changed_outside(user), *_pools(user)]
    return [*trouble, *_failed_jobs(user), *_emulated(hosts)]


def _silent_hosts(hosts: list[Host]) -> Iterable[Line]:
    away = [host for host in hosts if host.state == Host.State.UNREACHABLE]
    for host in away[:LINES_OF_A_KIND]:
        yield Line(
            grade="bad",
            title=_("No contact with host %(host)s") % {"host": host.name},
            text=host.error,
            since=host.state_since,
            url=reverse("hosts:checks", args=[host.pk]),
            action=_("See why"),
        )
    if len(away) > LINES_OF_A_KIND:
        more = len(away) - LINES_OF_A_KIND
        title = ngettext("No contact with %(count)d more host", "No contact with %(count)d more hosts", more)
        url = reverse("hosts:list") + "?state=unreachable"
        yield Line(grade="bad", title=title % {"count": more}, url=url, action=_("Show them"))
    silent = [host.seen_at or host.state_since for host in hosts if host.is_unattended]
    if silent:
        text = _("Nothing was compared with the hosts since then, so what you see may be old. /readyz tells more.")
        yield Line(grade="bad", title=_("The watcher is silent"), text=text, since=min(silent))


def _guests(user: User) -> Iterable[Line]:
    in_trouble = Q(state__in=[Guest.State.CRASHED, Guest.State.MISSING]) | Q(state="paused", state_reason="io_error")
    seen = Guest.objects.permitted(user, "view").listed().filter(in_trouble).order_by("name")
    names: dict[str, list[str]] = {"crashed": [], "paused": [], "missing": []}
    for state, name in seen.values_list("state", "name")[:GUESTS_LOOKED_AT]:
        names[state].append(name)
    if found := names["crashed"]:
        title = ngettext("Guest %(names)s has crashed", "%(count)d guests have crashed", len(found))
        yield _guest_line("warn", "crashed", title, found, "")
    if found := names["paused"]:
        title = ngettext("Guest %(names)s is paused", "%(count)d guests are paused", len(found))
        text = _("Its storage is full or failed. It goes on when there is room and it is resumed.")
        yield _guest_line("warn", "paused", title, found, text)
    if found := names["missing"]:
        title = ngettext("Guest %(names)s is missing", "%(count)d guests are missing", len(found))
        yield _guest_line("warn", "missing", title, found, _("Their hosts do not have them any more."))


def _guest_line(grade: str, state: str, title: str, names: list[str], why: str) -> Line:
    listed = ", ".join(names[:NAMED_AT_MOST]) + ("…" if len(names) > NAMED_AT_MOST else "")
    title %= {"names": names[0], "count": len(names)}
    named = names[0] in title  # languages with one form for all counts say "1 guest", without its name
    return Line(
        grade=grade,
        title=title,
        text=" ".join(filter(None, ("" if named else f"{listed}.", why))),
        url=reverse("guests:list") + f"?q=state:{state}",
        action=_("Show them"),
    )


def _changed_outside(user: User) -> Iterable[Line]:
    waiting = DefinitionVersion.objects.permitted(user, "view").drift()
    rows = waiting.order_by("-seen_at").values_list("guest_id", "guest__name", "seen_at")[:GUESTS_LOOKED_AT]
    names = {pk: name for pk, name, _seen_at in rows}
    if not names:
        return
    title = ngettext(
        "Guest %(names)s was changed outside kvmweb", "%(count)d guests were changed outside kvmweb", len(names)
    )
    only = next(iter(names)) if len(names) == 1 else None
    line = _guest_line("info", "", title, list(names.values()), _("Another client of libvirt did it."))
    url = reverse("guests:history", args=[only]) if only else reverse("guests:outside_changes")
    yield replace(line, url=url, action=_("See what changed"), since=max(seen_at for _pk, _name, seen_at in rows))


def _pools(user: User) -> Iterable[Line]:
    pools = Pool.objects.permitted(user, "view").filter(missing_since=None).select_related("host").order_by("name")
    limit = F("capacity_bytes") / 100 * (100 - F("warn_percent"))
    full = Q(is_active=True, capacity_bytes__gt=0, warn_percent__gt=0, available_bytes__lte=limit)
    full &= ~Q(type__in=FULL_POOLS)
    stopped = Q(is_active=False, autostart=True)
    closed = Q(is_active=True) & ~Q(closed_to_qemu="")
    for pool in pools.filter(full | stopped | closed)[:LINES_OF_A_KIND]:
        names = {"pool": pool.name, "host": pool.host.name, "path": pool.closed_to_qemu}
        if pool.is_active and pool.closed_to_qemu:
            title = _("QEMU may not enter pool %(pool)s on %(host)s") % names
            text = _("Guests with disks in it do not start: %(path)s is closed to it.") % names
        elif pool.is_active:
            share = 100 - pool.available_bytes * 100 // pool.capacity_bytes
            title = _("Pool %(pool)s on %(host)s is %(share)d %% full") % {**names, "share": share}
            text = _("Guests whose disks grow in it will be paused when it is full.")
        else:
            title = _("Pool %(pool)s on %(host)s is not active") % names
            text = _("Guests with disks in it do not start.")
        free = pool.available_bytes if pool.is_active else None
        url = reverse("storage:pool", args=[pool.pk])
        yield Line(grade="warn", title=title, text=text, free_bytes=free, url=url, action=_("Show what uses it"))


def _failed_jobs(user: User) -> Iterable[Line]:
    since = timezone.now() - timedelta(days=1)
    failed = Job.objects.permitted(user, "view").filter(status=Job.Status.FAILED, finished_at__gte=since, parent=None)
    count = failed.count()
    if not count:
        return
    last = failed.order_by("-finished_at")[0]
    title = ngettext("%(count)d job failed in the last 24 hours", "%(count)d jobs failed in the last 24 hours", count)
    yield Line(
        grade="warn",
        title=title % {"count": count},
        text=_("Last: %(title)s. %(error)s") % {"title": last.title, "error": last.error},
        url=reverse("jobs:list") + "?status=failed",
        action=_("Show them"),
    )


def _emulated(hosts: list[Host]) -> Iterable[Line]:
    slow = [host for host in hosts if host.kvm_works is False]
    if not slow:
        return
    names = ", ".join(host.name for host in slow[:NAMED_AT_MOST]) + ("…" if len(slow) > NAMED_AT_MOST else "")
    yield Line(
        grade="info",
        title=_("Guests on %(hosts)s are emulated") % {"hosts": names},
        text=_("KVM does not work there: guests run, about 10 to 30 times slower."),
        url=reverse("hosts:checks", args=[slow[0].pk]),
        action=_("What to do"),
    )
