"""What was imported, as it is found again afterwards: by the job that did it."""

from typing import Any, NamedTuple

from accounts.models import User
from jobs.models import Job
from storage.models import Iso, Volume

SHOWN = 5


class Import(NamedTuple):
    """An import that succeeded, the volumes of it that are still there, and what was known of the machine."""

    job: Job
    volumes: list[Volume]
    machine: dict[str, Any]


def imports_of(user: User, iso: Iso) -> list[Import]:
    """The newest imports of an image that left something which `user` may see."""
    jobs = Job.objects.filter(kind="import_disks", objects_of__kind="iso", objects_of__object_id=iso.pk)
    jobs = jobs.filter(status=Job.Status.SUCCEEDED).order_by("-pk")[:SHOWN]
    made = [_import(user, job, iso.found) for job in jobs]
    return [each for each in made if each.volumes]


def find_import(user: User, number: str) -> Import | None:
    """The import that the job with that number made, where `user` may see the job and a volume of it."""
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    jobs = Job.objects.permitted(user, "view").filter(kind="import_disks", status=Job.Status.SUCCEEDED)
    job = jobs.filter(pk=int(number)).first()
    if job is None:
        return None
    iso = Iso.objects.permitted(user, "view").filter(pk=job.arguments["iso_id"]).first()
    found = _import(user, job, iso.found if iso else {})
    return found if found.volumes else None


def _import(user: User, job: Job, machine: dict[str, Any]) -> Import:
    volumes = Volume.objects.permitted(user, "view").filter(pk__in=(job.result or {}).get("volume_ids", []))
    return Import(job, list(volumes.filter(missing_since=None).select_related("pool").order_by("name")), machine)
