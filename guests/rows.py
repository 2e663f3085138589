"""Rows of the guest list: what each shows besides the guest's columns, gathered for a whole page at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Prefetch, Sum
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.permissions import may
from hosts.models import Host
from jobs.models import Job, JobObject
from storage.rules import sum_of

from .models import Disk, Guest, GuestQuerySet, Nic
from .verbs import VERBS, offered

SHOWN = (
    "host", "name", "title", "state", "state_reason", "state_since", "missing_since", "vcpus", "memory_mib",
    "memory_used_mib", "memory_held_mib", "cpu_percent", "addresses", "graphics", "needs_restart", "is_emulated",
    "os_name", "autostart", "uuid", "folder", "cpu_recent", "disk_read_bytes_per_s", "disk_write_bytes_per_s",
    "net_rx_bytes_per_s", "net_tx_bytes_per_s",
)  # fmt: skip
WORKING: dict[str, str | Promise] = {
    "create_guest": gettext_lazy("Creating"),
    "start_guest": gettext_lazy("Starting"),
    "shutdown_guest": gettext_lazy("Asking to shut down"),
    "reboot_guest": gettext_lazy("Asking to restart"),
    "reset_guest": gettext_lazy("Resetting"),
    "destroy_guest": gettext_lazy("Forcing off"),
    "suspend_guest": gettext_lazy("Pausing"),
    "resume_guest": gettext_lazy("Resuming"),
    "save_guest": gettext_lazy("Saving"),
    "change_guest": gettext_lazy("Changing"),
    "change_media": gettext_lazy("Changing the disc"),
    "delete_guest": gettext_lazy("Deleting"),
    "restore_definition": gettext_lazy("Putting back a definition"),
}


class TagShown(NamedTuple):
    """A tag as a row shows it."""

    name: str
    hue: int


class Action(NamedTuple):
    """The one thing that a row offers without its menu."""

    url: str
    text: str
    shape: str
    is_post: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """A guest in a list. Sizes are those of its disks, None where nobody knows; `job` is what changes it now.

    `tags`, `networks` and the sizes are read where they are shown only.
    """

    guest: Guest
    url: str
    host_url: str
    is_stale: bool
    state_text: str
    job: Job | None
    can_operate: bool
    action: Action | None
    disk_held_bytes: int | None = None
    disk_capacity_bytes: int | None = None
    tags: Sequence[TagShown] = ()
    networks: Sequence[str] = ()

    @property
    def working(self) -> str | Promise:
        """The word for what its job does."""
        if not self.job:
            return ""
        return WORKING.get(self.job.kind, self.job.title) if self.job.started_at else _("Waiting")

    @property
    def memory_seen_mib(self) -> int | None:
        """As the guest sees it. None where it does not tell: what its process holds has no whole to compare with."""
        return self.guest.memory_used_mib

    @property
    def address(self) -> str:
        return self.guest.addresses[0]["address"] if self.guest.addresses else ""

    @property
    def more_addresses(self) -> int:
        return max(0, len(self.guest.addresses) - 1)

    @property
    def addresses_text(self) -> str:
        """All of them, and who says so."""
        return ", ".join(f"{known['address']} ({known['source']})" for known in self.guest.addresses)


def rows(guests: GuestQuerySet, user: User, columns: Collection[str]) -> list[Row]:
    """The guests with their hosts, their jobs, whether `user` may switch them, and what `columns` (names) need."""
    hosts = Host.objects.only("name", "state", "state_since", "seen_at")
    shown = guests.only(*SHOWN).prefetch_related(Prefetch("host", hosts))
    if "folder" in columns:
        shown = shown.prefetch_related("folder")
    return _rows(list(shown), user, columns)


def whole_row(guest: Guest, user: User) -> Row:
    """The same of one guest, for its own page."""
    return _rows([guest], user, ("disk", "tags"))[0]


def _rows(found: list[Guest], user: User, columns: Collection[str]) -> list[Row]:
    pks = [guest.pk for guest in found]
    sizes = _disk_sizes(pks) if "disk" in columns else {}
    tags = _tags(pks) if "tags" in columns else {}
    networks = _networks(pks) if "network" in columns else {}
    held = JobObject.objects.filter(kind="guest", object_id__in=pks, held=True).select_related("job")
    jobs = {each.object_id: each.job for each in held}
    operable = set(pks) if may(user, "operate") else _operable(pks, user)
    page = _Page({guest.host_id: guest.host for guest in found})
    made = []
    for guest in found:
        url, job, can_operate = f"{page.list_url}{guest.pk:d}/", jobs.get(guest.pk), guest.pk in operable
        held_bytes, capacity_bytes = sizes.get(guest.pk, (None, None))
        row = Row(
            guest=guest,
            url=url,
            host_url=page.host_urls[guest.host_id],
            is_stale=guest.missing_since is not None or guest.host_id in page.silent,
            state_text=page.states.get(guest.state, guest.state),
            job=job,
            can_operate=can_operate,
            action=page.action(guest, url) if can_operate and not job else None,
            disk_held_bytes=held_bytes,
            disk_capacity_bytes=capacity_bytes,
            tags=tags.get(guest.pk, ()),
            networks=networks.get(guest.pk, ()),
        )
        made.append(row)
    return made


def _operable(pks: list[int], user: User) -> set[int]:
    permitted = Guest.objects.permitted(user, "operate").filter(pk__in=pks)
    return set(permitted.order_by().values_list("pk", flat=True))


def _disk_sizes(pks: list[int]) -> dict[int, tuple[int | None, int | None]]:
    disks = Disk.objects.filter(guest__in=pks, device="disk").exclude(volume=None).order_by().values_list("guest")
    sums = disks.annotate(held=Sum("volume__allocation_bytes"), capacity=sum_of("volume__capacity_bytes"))
    return {pk: (held, int(capacity)) for pk, held, capacity in sums}


def _tags(pks: list[int]) -> dict[int, list[TagShown]]:
    by_guest: dict[int, list[TagShown]] = {}
    links = Guest.tags.through.objects.filter(guest__in=pks).order_by("tag__key")
    for pk, name, hue in links.values_list("guest_id", "tag__name", "tag__hue"):
        by_guest.setdefault(pk, []).append(TagShown(name, hue))
    return by_guest


def _networks(pks: list[int]) -> dict[int, list[str]]:
    by_guest: dict[int, list[str]] = {}
    for pk, source in Nic.objects.filter(guest__in=pks).exclude(source="").values_list("guest", "source"):
        if source not in by_guest.setdefault(pk, []):
            by_guest[pk].append(source)
    return by_guest


class _Page:
    """What all rows of one page share: a word or an address is made once, not a hundred times."""

    def __init__(self, hosts: dict[int, Host]) -> None:
        self.list_url = reverse("guests:list")
        self.consoles_url = reverse("consoles:console", args=[0]).removesuffix("0/")
        self.host_urls = {pk: host.get_absolute_url() for pk, host in hosts.items()}
        self.silent = {pk for pk, host in hosts.items() if host.seen_at and host.is_stale}
        self.states = {value: str(label) for value, label in Guest.State.choices}
        self.console = _("Console")
        self.verbs = {name: str(VERBS[name].text) for name in ("start", "resume")}

    def action(self, guest: Guest, url: str) -> Action | None:
        """The one that a row offers without its menu, in the state that the guest is in."""
        if guest.is_on and guest.state != Guest.State.PAUSED:
            console = f"{self.consoles_url}{guest.pk}/"
            return Action(console, self.console, "terminal", is_post=False) if guest.graphics else None
        verbs = offered(guest)
        if not verbs or verbs[0].name not in self.verbs:
            return None
        verb = verbs[0]
        return Action(f"{url}power/{verb.name}/", self.verbs[verb.name], verb.shape, is_post=True)
