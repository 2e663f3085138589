"""REST of what guests used."""

from datetime import datetime
from typing import Annotated, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from accounts.rest import ERRORS, Problem, actor
from guests.models import Guest
from guests.rest import MAX_ID

from . import lists, sizing
from .measure import measure
from .models import Usage

router = Router(tags=["guests"])


class ConsumerOut(Schema):
    """A guest and what it takes from its host; over a day or a week, the time that it was off counts as zero."""

    guest_id: int = Field(validation_alias="guest.pk")
    name: str = Field(validation_alias="guest.name")
    host: str = Field(validation_alias="guest.host.name")
    busy_vcpus: float | None = Field(description="How many of its vCPUs were busy, on average.")
    held_bytes: float | None = Field(description="Memory that it held on its host.")
    disk_bytes_per_s: float | None = Field(description="Read and written.")
    net_bytes_per_s: float | None = Field(description="Received and sent.")


class HintOut(Schema):
    kind: str = Field(description="less_cpu, more_cpu, less_memory, more_memory, idle or crowded")
    title: str
    text: str


class SizingOut(Schema):
    """Whether a guest's size fits what it did in the last two weeks, with the figures that say so."""

    measured_at: datetime
    known_hours: float = Field(description="Hours of the two weeks in which it was seen running.")
    vcpus: int
    memory_mib: int
    cpu_percent: float | None
    cpu_p95_percent: float | None = Field(description="In 95 of 100 hours the average was not more.")
    cpu_peak_p95_percent: float | None = Field(description="The same of the busiest ten seconds of each hour.")
    cpu_peak_percent: float | None
    cpu_wait_p95_percent: float | None = Field(description="Ready to run, while the host's processors were busy.")
    used_p95_bytes: int | None = Field(description="Memory as the guest sees it.")
    used_peak_p95_bytes: int | None
    used_peak_bytes: int | None
    vcpus_advised: int | None
    memory_advised_mib: int | None
    hints: list[HintOut]
    why_unknown: str = Field(description="Why nothing is advised, where too little is known.")


@router.get("/top", response={200: list[ConsumerOut], ERRORS: Problem})
def top_consumers(
    request: HttpRequest,
    by: Literal["cpu", "memory", "disk", "network"] = "cpu",
    period: Literal["now", "day", "week"] = "now",
    host: Annotated[int, Query(ge=0, le=MAX_ID, description="Row id of a host.")] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
) -> list[lists.Consumer]:
    """The guests that take most from their hosts, across all hosts, most first."""
    rows = lists.consumers(actor(request), by=by, period=period, host_id=host or None)
    return [lists.consumer(row) for row in rows[:limit]]


@router.get("/{int:guest_id}/sizing", response={200: SizingOut, ERRORS: Problem})
def get_sizing(request: HttpRequest, guest_id: int) -> SizingOut:
    """Whether the guest has too many or too few vCPUs, too much or too little memory, and by which figures."""
    guests = Guest.objects.permitted(actor(request), "view").select_related("host")
    guest = get_object_or_404(guests, pk=guest_id)
    usage = measure(guest, Usage.Period.FORTNIGHT)
    figures = {name: getattr(usage, name) for name in SizingOut.model_fields if hasattr(usage, name)}
    return SizingOut(
        **figures,
        vcpus=guest.vcpus,
        memory_mib=guest.memory_mib,
        hints=[HintOut(kind=hint.kind, title=hint.title, text=hint.text) for hint in sizing.hints(usage)],
        why_unknown=sizing.why_unknown(usage),
    )
