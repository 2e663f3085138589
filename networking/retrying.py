"""Which jobs of networks can be started once more, as they were. Stopping is not: who was cut off is asked anew."""

from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import NotAllowed
from jobs.models import Job

from . import services, tasks
from .models import Network


def _network(job: Job, by: User, action: str) -> Network:
    found = Network.objects.permitted(by, action).select_related("host")
    network: Network | None = found.filter(pk=job.arguments["network_id"]).first()
    if network is None:
        raise NotAllowed(_("The network of this job is gone, or is not yours to change."))
    return network


@tasks.start_network.again
def _start(job: Job, by: User) -> Job:
    return services.start_network(_network(job, by, "operate"), by=by)


@tasks.set_autostart.again
def _set_autostart(job: Job, by: User) -> Job:
    return services.set_autostart(_network(job, by, "configure"), job.arguments["on"], by=by)
