"""Which jobs of guests can be started once more, as they were. Making and deleting are not among them: the wizard and
the question about the disks are where those are done again.
"""

from functools import partial

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotAllowed
from jobs.models import Job
from storage.models import Iso

from . import services, tasks
from .models import Guest
from .tasks.power import TASKS


def _guest(job: Job, by: User, action: str) -> Guest:
    permitted = Guest.objects.permitted(by, action).select_related("host")
    guest: Guest | None = permitted.filter(pk=job.arguments["guest_id"]).first()
    if guest is None:
        raise NotAllowed(_("The guest of this job is gone, or is not yours to change."))
    return guest


def _power(verb: str, job: Job, by: User) -> Job:
    return services.power(_guest(job, by, "operate"), verb, by=by)


for _verb, (_task, _title) in TASKS.items():
    _task.again(partial(_power, _verb))


@tasks.power_guests.again
def _power_those_left(job: Job, by: User) -> Job:
    """Only for those that it did not work for: others may have been switched again since."""
    worked = job.children.filter(status=Job.Status.SUCCEEDED, objects_of__kind="guest")
    done = set(worked.values_list("objects_of__object_id", flat=True))
    left = [pk for pk in job.arguments["guest_ids"] if pk not in done]
    guests = Guest.objects.permitted(by, "operate").filter(pk__in=left)
    return services.power_many(guests, job.arguments["verb"], by=by)


@tasks.change_guest.again
def _change(job: Job, by: User) -> Job:
    return services.change_guest(_guest(job, by, "configure"), job.arguments["changes"], by=by)


@tasks.change_media.again
def _change_media(job: Job, by: User) -> Job:
    guest, path = _guest(job, by, "configure"), job.arguments["path"]
    iso = None
    if path:
        found = Iso.objects.permitted(by, "view").filter(volume__path=path, volume__pool__host=guest.host)
        iso = found.select_related("volume__pool").first()
        if iso is None:
            raise NotAllowed(_("The ISO of this job is not there any more."))
    return services.change_media(guest, job.arguments["target"], iso, by=by)
