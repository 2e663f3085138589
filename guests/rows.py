"""Rows of the guest list: what each shows besides the guest's columns, gathered for a whole page at once."""

from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Prefetch
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from hosts.models import Host
from jobs.models import Job, JobObject

from .models import Disk, Guest, GuestQuerySet
from .verbs import VERBS, offered

NOT_SHOWN = ("xml", "description", "digest", "changes_at_restart")
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
    url: str
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
    def memory_seen_mib(self) -> int | None:
        """As the guest sees it, or what it holds on the host where the guest does not tell."""
        used = self.guest.memory_used_mib
        return self.guest.memory_held_mib if used is None else used

    @property
    def address(self) -> str:
        return self.guest.addresses[0]["address"] if self.guest.addresses else ""

    @property
    def more_addresses(self) -> int:
        return len(self.guest.addresses) - 1

    @property
    def addresses_text(self) -> str:
        """All of them, and who says so."""
        return ", ".join(f"{known['address']} ({known['source']})" for known in self.guest.addresses)


def rows(guests: GuestQuerySet, user: User) -> list[Row]:
    """The guests with their hosts, the sizes of their disks, their jobs, and whether `user` may switch them."""
    sizes = ("guest", "volume__capacity_bytes", "volume__allocation_bytes")
    disks = Disk.objects.filter(device="disk").exclude(volume=None).select_related("volume").only(*sizes)
    hosts = Host.objects.defer("facts", "error_details", "kvm_reason")
    found = list(guests.defer(*NOT_SHOWN).prefetch_related(Prefetch("host", hosts), Prefetch("disks", disks)))
    pks = [guest.pk for guest in found]
    held = JobObject.objects.filter(kind="guest", object_id__in=pks, held=True).select_related("job")
    jobs = {each.object_id: each.job for each in held}
    operable = set(Guest.objects.permitted(user, "operate").filter(pk__in=pks).values_list("pk", flat=True))
    page = _Page({guest.host_id: guest.host for guest in found})
    return [page.row(guest, jobs.get(guest.pk), can_operate=guest.pk in operable) for guest in found]


class _Page:
    """What all rows of one page share: a word or an address is made once, not a hundred times."""

    def __init__(self, hosts: dict[int, Host]) -> None:
        self.list_url = reverse("guests:list")
        self.host_urls = {pk: host.get_absolute_url() for pk, host in hosts.items()}
        self.silent = {pk for pk, host in hosts.items() if host.seen_at and host.is_stale}
        self.states = {value: str(label) for value, label in Guest.State.choices}
        self.consoles_url = reverse("consoles:console", args=[0]).removesuffix("0/")
        self.select, self.more, self.console = _("Select %(name)s"), _("More for %(name)s"), _("Console")
        self.verbs = {name: str(VERBS[name].text) for name in ("start", "resume")}

    def row(self, guest: Guest, job: Job | None, *, can_operate: bool) -> Row:
        words = {"name": guest.name}
        volumes = [disk.volume for disk in guest.disks.all() if disk.volume]
        return Row(
            guest=guest,
            url=f"{self.list_url}{guest.pk}/",
            host_url=self.host_urls[guest.host_id],
            is_stale=guest.missing_since is not None or guest.host_id in self.silent,
            state_text=self.states.get(guest.state, guest.state),
            select_text=self.select % words,
            more_text=self.more % words,
            job=job,
            can_operate=can_operate,
            disk_held_bytes=sum(volume.allocation_bytes for volume in volumes) if volumes else None,
            disk_capacity_bytes=sum(volume.capacity_bytes for volume in volumes) if volumes else None,
            action=self._action(guest) if can_operate and not job else None,
        )

    def _action(self, guest: Guest) -> Action | None:
        if guest.is_on and guest.state != Guest.State.PAUSED:
            url = f"{self.consoles_url}{guest.pk}/"
            return Action(url, self.console, "terminal", is_post=False) if guest.graphics else None
        verbs = offered(guest)
        if not verbs or verbs[0].name not in self.verbs:
            return None
        url = f"{self.list_url}{guest.pk}/power/{verbs[0].name}/"
        return Action(url, self.verbs[verbs[0].name], verbs[0].shape, is_post=True)
