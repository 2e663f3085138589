"""What can be done with the checks of a host. Whoever calls has asked `permitted` for the host already."""

from django.utils.translation import gettext as _

from accounts.models import User
from hosts.models import Host
from jobs.models import Job, Ref

from . import tasks


def examine_host(host: Host, *, by: User | None) -> Job:
    """Run the checks of a host anew; nothing on it is changed. Raises HostDisabled, or Busy when they run already."""
    from hosts.services import require_enabled

    require_enabled(host)
    objects = [Ref("host", host.pk, host.name), Ref("checks", host.pk, host.name, exclusive=True)]
    title = _("Run the checks of %(host)s") % {"host": host.name}
    return Job.start(tasks.examine_host, title=title, by=by, objects=objects, host_id=host.pk)
