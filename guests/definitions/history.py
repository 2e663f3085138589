"""The versions of a guest's definition as pages and REST show them."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from guests.models import Guest
from jobs.models import Job
from virt.errors import UserError

from .models import DefinitionVersion, digest_of
from .words import Comparison, compare

Origin = DefinitionVersion.Origin


class DefinitionNotFound(UserError):
    """There is no such version, or it is kept no longer."""

    code, status = "definition_not_found", 404


@dataclass(frozen=True, kw_only=True)
class Version:
    """One definition that a guest had, from `seen_at` on. `earliest_at`: it was made between then and `seen_at`."""

    number: int
    digest: str
    seen_at: datetime
    earliest_at: datetime | None
    origin: str
    origin_label: str
    actor: str
    job_id: int | None
    job_title: str
    libvirt_version: str
    is_drift: bool
    acknowledged_at: datetime | None
    acknowledged_by: str
    is_current: bool


def versions_of(guest: Guest) -> list[Version]:
    """All that are kept, newest first. There is always one but for a guest that was never defined."""
    rows = list(_rows(guest).defer("text__data"))
    if rows:
        return [_of(row, is_current=row is rows[0]) for row in rows]
    return [_only(guest)] if guest.xml and guest.persistent else []


def find_version(guest: Guest, number: int) -> tuple[Version, str]:
    """One version and its XML. Raises DefinitionNotFound."""
    rows = list(_rows(guest).filter(number=number))
    if rows:
        is_current = not DefinitionVersion.objects.filter(guest=guest, number__gt=number).exists()
        return _of(rows[0], is_current=is_current), rows[0].text.xml
    if number == 1 and guest.xml and guest.persistent and not guest.definitions.exists():
        return _only(guest), guest.xml
    raise DefinitionNotFound(
        _("Definition %(number)d of %(name)s is not kept, or never was.") % {"number": number, "name": guest.name}
    )


def with_changes(guest: Guest, shown: list[Version]) -> list[tuple[Version, Comparison | None]]:
    """Each with what it changed of the version before it; None where that one is not kept."""
    numbers = {version.number for version in shown}
    texts = {row.number: row.text.xml for row in _rows(guest).filter(number__in=numbers | {n - 1 for n in numbers})}
    return [
        (version, compare(texts[version.number - 1], texts[version.number]) if version.number - 1 in texts else None)
        for version in shown
    ]


def comparison(guest: Guest, number: int, other: int) -> Comparison:
    """What differs from version `other` to version `number`. Raises DefinitionNotFound."""
    return compare(find_version(guest, other)[1], find_version(guest, number)[1])


def _rows(guest: Guest) -> QuerySet[DefinitionVersion]:
    return DefinitionVersion.objects.filter(guest=guest).select_related("text", "acknowledged_by").order_by("-number")


def _of(row: DefinitionVersion, *, is_current: bool) -> Version:
    return Version(
        number=row.number,
        digest=row.text.digest,
        seen_at=row.seen_at,
        earliest_at=row.earliest_at,
        origin=row.origin,
        origin_label=str(row.get_origin_display()),
        actor=row.actor,
        job_id=row.job_id,
        job_title=row.job_title,
        libvirt_version=row.libvirt_version,
        is_drift=row.is_drift,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by.username if row.acknowledged_by else "",
        is_current=is_current,
    )


def _only(guest: Guest) -> Version:
    """The version of a guest whose definition never changed: it has no row of its own."""
    made = Job.objects.filter(kind="create_guest", objects_of__kind="guest", objects_of__object_id=guest.pk)
    job = made.select_related("created_by").first()
    return Version(
        number=1,
        digest=digest_of(guest.xml),
        seen_at=guest.first_seen_at,
        earliest_at=None,
        origin=str(Origin.KVMWEB if job else Origin.FIRST),
        origin_label=str(Origin.KVMWEB.label if job else Origin.FIRST.label),
        actor=job.created_by.username if job and job.created_by else "",
        job_id=job.pk if job else None,
        job_title=job.title if job else "",
        libvirt_version="",
        is_drift=False,
        acknowledged_at=None,
        acknowledged_by="",
        is_current=True,
    )
