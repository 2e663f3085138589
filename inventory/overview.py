"""What the first page shows, from rows: totals, what needs somebody, the hosts, and the first steps of somebody new."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, Q, QuerySet, Sum
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import AuditEntry, User
from guests.models import Guest
from hosts.models import Host
from storage.models import Iso, Pool

MOST_TILES = 48
# Pools of these types show how full the file system below them is; several of them often share one.
ON_FILE_SYSTEM = ("dir", "fs", "netfs")


@dataclass
class Totals:
    """Sums over what the user may see. A share is None where nobody knows."""

    guests: dict[str, int] = field(default_factory=dict)  # by state
    vcpus: int = 0
    memory_promised_mib: int = 0
    threads: int = 0
    cpu_percent: float | None = None
    memory_mib: int = 0
    memory_used_mib: int | None = None
    storage_bytes: int = 0
    storage_used_bytes: int = 0

    @property
    def guest_count(self) -> int:
        return sum(self.guests.values())

    @property
    def running(self) -> int:
        return self.guests.get("running", 0)

    @property
    def off(self) -> int:
        return self.guests.get("shutoff", 0) + self.guests.get("saved", 0)

    @property
    def other(self) -> int:
        """Neither running nor off, and nothing that needs somebody: paused, being created …"""
        return self.guest_count - self.running - self.off - self.crashed - self.missing

    @property
    def crashed(self) -> int:
        return self.guests.get("crashed", 0)

    @property
    def missing(self) -> int:
        return self.guests.get("missing", 0)


def totals(user: User, hosts: Iterable[Host]) -> Totals:
    """Two queries, however much there is."""
    made = Totals()
    by_state = Guest.objects.permitted(user, "view").listed().order_by().values("state")
    for row in by_state.annotate(number=Count("pk"), vcpu_sum=Sum("vcpus"), memory_sum=Sum("memory_mib")):
        made.guests[row["state"]] = row["number"]
        made.vcpus += row["vcpu_sum"] or 0
        made.memory_promised_mib += row["memory_sum"] or 0
    _add_hosts(made, hosts)
    _add_pools(made, Pool.objects.permitted(user, "view").filter(missing_since=None, is_active=True))
    return made


def _add_hosts(made: Totals, hosts: Iterable[Host]) -> None:
    busy, measured = 0.0, 0
    for host in hosts:
        made.threads += host.cpus
        made.memory_mib += host.memory_mib
        if host.cpu_percent is not None:
            busy, measured = busy + host.cpu_percent * host.cpus, measured + host.cpus
        if host.memory_used_mib is not None:
            made.memory_used_mib = (made.memory_used_mib or 0) + host.memory_used_mib
    made.cpu_percent = busy / measured if measured else None


def _add_pools(made: Totals, pools: "QuerySet[Pool]") -> None:
    counted = set()
    for row in pools.order_by().values("host_id", "pk", "type", "capacity_bytes", "available_bytes"):
        shared = (row["host_id"], row["capacity_bytes"], row["available_bytes"])
        key = shared if row["type"] in ON_FILE_SYSTEM else row["pk"]
        if key not in counted:
            counted.add(key)
            made.storage_bytes += row["capacity_bytes"]
            made.storage_used_bytes += max(0, row["capacity_bytes"] - row["available_bytes"])


def hosts_of(user: User) -> list[Host]:
    """The hosts that the user may see, each with `running_count` and `guest_count`; those in trouble first."""
    there = Q(guests__missing_since=None)
    rows = (
        Host.objects.permitted(user, "view")
        .present()
        .defer("facts")
        .annotate(
            guest_count=Count("guests", filter=there), running_count=Count("guests", filter=Q(guests__state="running"))
        )
    )
    return sorted(rows, key=lambda host: (host.state != Host.State.UNREACHABLE, host.name))


@dataclass(frozen=True)
class Step:
    """One of the first steps; `url` leads to where it is done."""

    title: str
    is_done: bool
    text: str = ""
    url: str = ""


def first_steps(user: User, hosts: list[Host]) -> list[Step]:
    """From nothing to a guest's screen, in five steps that rows tell of."""
    isos = Iso.objects.permitted(user, "view").filter(volume__missing_since=None)
    guests = Guest.objects.permitted(user, "view").filter(missing_since=None).exclude(state=Guest.State.CREATING)
    opened = AuditEntry.objects.filter(user_id=user.pk, action="open_console", result=AuditEntry.Result.SUCCEEDED)
    return [
        Step(
            _("A host is connected"),
            any(host.is_connected for host in hosts),
            _("The machine that runs your guests."),
            reverse("hosts:list"),
        ),
        _kvm_step(hosts),
        Step(
            _("Upload an ISO"),
            isos.exists(),
            _("The install disc of a system, as a file. Debian or Ubuntu are good first ones."),
            reverse("storage:isos"),
        ),
        Step(
            _("Make the first guest"),
            guests.exists(),
            _("A virtual machine with its own disk and address, installed from that ISO."),
            reverse("guests:new"),
        ),
        Step(
            _("Open its console"),
            opened.exists(),
            _("The guest's screen, in this browser."),
            reverse("guests:list"),
        ),
    ]


def _kvm_step(hosts: list[Host]) -> Step:
    title, tried = _("Guests run accelerated"), [host for host in hosts if host.kvm_works is not None]
    if not tried:
        return Step(title, False, _("kvmweb tries KVM once a host is connected."), reverse("hosts:list"))
    emulating = [host for host in tried if not host.kvm_works]
    if not emulating:
        return Step(title, True, _("KVM works: guests run at nearly the speed of the machine."))
    text = _("KVM does not work on %(host)s. Everything can be done, about 10 to 30 times slower.")
    return Step(
        _("Guests are emulated here"),
        True,
        text % {"host": emulating[0].name},
        reverse("hosts:checks", args=[emulating[0].pk]),
    )
