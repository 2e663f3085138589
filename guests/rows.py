"""Rows of the guest list: what each shows besides the guest's columns, gathered for a whole page at once."""

from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Prefetch, Sum
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from hosts.models import Host
from jobs.models import Job, JobObject

from .models import Disk, Guest, GuestQuerySet
from .verbs import VERBS, offered

SHOWN = (
    "host", "name", "state", "state_reason", "missing_since", "vcpus", "memory_mib", "memory_used_mib",
    "memory_held_mib", "cpu_percent", "addresses", "graphics", "needs_restart", "is_emulated",
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
}


class Action(NamedTuple):
    """The one thing that a row offers without its menu."""

    url: str
    text: str
    shape: str
    is_post: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """A guest in a list. Sizes are those of its disks, None where nobody knows; `job` is what changes it now."""

    guest: Guest
    attributes: SafeString
    key: SafeString
    url: SafeString
    host_url: str
    is_stale: bool
    state_text: str
    select_text: str
    more_text: str
    job: Job | None
    can_operate: bool
    disk_held_bytes: int | None
    disk_capacity_bytes: int | None
    action: Action | None

    @property
    def working(self) -> str | Promise:
        """The word for what its job does."""
        if not self.job:
            return ""
        return WORKING.get(self.job.kind, self.job.title) if self.job.started_at else _("Waiting")

    @property
    def has_badges(self) -> bool:
        guest = self.guest
        return bool(guest.needs_restart or guest.is_emulated or guest.missing_since or self.is_stale)

    @property
    def vcpus(self) -> str:
        return str(self.guest.vcpus)

    @property
    def cpu_bar(self) -> SafeString | None:
        return _bar(self.guest.cpu_percent, amber=80, red=90)

    @property
    def memory_seen_mib(self) -> int | None:
        """As the guest sees it. None where it does not tell: what its process holds has no whole to compare with."""
        return self.guest.memory_used_mib

    @property
    def memory_bar(self) -> SafeString | None:
        seen, whole = self.memory_seen_mib, self.guest.memory_mib
        return _bar(seen * 100 / whole, amber=95, red=98) if seen is not None and whole else None

    @property
    def address(self) -> str:
        return self.guest.addresses[0]["address"] if self.guest.addresses else ""

    @property
    def more_addresses(self) -> str:
        return str(len(self.guest.addresses) - 1) if len(self.guest.addresses) > 1 else ""

    @property
    def addresses_text(self) -> str:
        """All of them, and who says so."""
        return ", ".join(f"{known['address']} ({known['source']})" for known in self.guest.addresses)


def rows(guests: GuestQuerySet, user: User) -> list[Row]:
    """The guests with their hosts, the sizes of their disks, their jobs, and whether `user` may switch them."""
    hosts = Host.objects.defer("facts", "error_details", "kvm_reason")
    found = list(guests.only(*SHOWN).prefetch_related(Prefetch("host", hosts)))
    return _rows(found, user)


def whole_row(guest: Guest, user: User) -> Row:
    """The same of one guest, for its own page."""
    return _rows([guest], user)[0]


def _rows(found: list[Guest], user: User) -> list[Row]:
    pks = [guest.pk for guest in found]
    disks = Disk.objects.filter(guest__in=pks, device="disk").exclude(volume=None).order_by().values_list("guest")
    sums = disks.annotate(Sum("volume__allocation_bytes"), Sum("volume__capacity_bytes"))
    sizes = {pk: (held, capacity) for pk, held, capacity in sums}
    held = JobObject.objects.filter(kind="guest", object_id__in=pks, held=True).select_related("job")
    jobs = {each.object_id: each.job for each in held}
    operable = set(Guest.objects.permitted(user, "operate").filter(pk__in=pks).values_list("pk", flat=True))
    page = _Page({guest.host_id: guest.host for guest in found})
    return [
        page.row(guest, jobs.get(guest.pk), sizes.get(guest.pk, (None, None)), can_operate=guest.pk in operable)
        for guest in found
    ]


class _Page:
    """What all rows of one page share: a word or an address is made once, not a hundred times.

    A page with 25 rows may cost half more than one with 10, whatever else it shows; so what numbers and addresses alone
    make up is put together here, which takes a tenth of the time that template tags take.
    """

    def __init__(self, hosts: dict[int, Host]) -> None:
        self.list_url = reverse("guests:list")
        self.consoles_url = reverse("consoles:console", args=[0]).removesuffix("0/")
        self.host_urls = {pk: host.get_absolute_url() for pk, host in hosts.items()}
        self.silent = {pk for pk, host in hosts.items() if host.seen_at and host.is_stale}
        self.states = {value: str(label) for value, label in Guest.State.choices}
        self.select, self.more, self.console = _("Select %(name)s"), _("More for %(name)s"), _("Console")
        self.verbs = {name: str(VERBS[name].text) for name in ("start", "resume")}

    def row(self, guest: Guest, job: Job | None, sizes: tuple[int | None, int | None], *, can_operate: bool) -> Row:
        words, key = {"name": guest.name}, f"{guest.pk:d}"
        url = f"{self.list_url}{key}/"
        is_stale = guest.missing_since is not None or guest.host_id in self.silent
        attributes = (
            f'id="guest-{key}" data-row="{key}" data-live="guest-{key}" hx-get="{url}row/" '
            f'hx-trigger="live:guest-{key} from:body" hx-target="this" hx-swap="outerHTML"'
            + (' class="stale"' if is_stale else "")
        )
        return Row(
            guest=guest,
            attributes=SafeString(attributes),
            key=SafeString(key),
            url=SafeString(url),
            host_url=self.host_urls[guest.host_id],
            is_stale=is_stale,
            state_text=self.states.get(guest.state, guest.state),
            select_text=self.select % words,
            more_text=self.more % words,
            job=job,
            can_operate=can_operate,
            disk_held_bytes=sizes[0],
            disk_capacity_bytes=sizes[1],
            action=self._action(guest, url) if can_operate and not job else None,
        )

    def _action(self, guest: Guest, url: str) -> Action | None:
        if guest.is_on and guest.state != Guest.State.PAUSED:
            console = f"{self.consoles_url}{guest.pk}/"
            return Action(console, self.console, "terminal", is_post=False) if guest.graphics else None
        verbs = offered(guest)
        if not verbs or verbs[0].name not in self.verbs:
            return None
        verb = verbs[0]
        return Action(f"{url}power/{verb.name}/", self.verbs[verb.name], verb.shape, is_post=True)


def _bar(share: float | None, *, amber: int, red: int) -> SafeString | None:
    """The small usage bar of `_bar.html`."""
    if share is None:
        return None
    css = "max" if share >= red else "hi" if share >= amber else ""
    width = min(100.0, max(0.0, share))
    return SafeString(
        '<span class="mb"><svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{css}" width="{width:.1f}" height="4"/></svg></span>'
    )
