"""What can be done about leftovers. The caller has asked `permitted` for the host."""

import shlex

from django.utils.translation import gettext as _

from accounts.models import User
from guests import tasks
from hosts.commands import can_run
from hosts.models import Host
from hosts.reaching.address import Address, Scope
from hosts.services import require_enabled
from jobs.models import Job, Ref
from virt.errors import NotSupported

from .models import Leftovers


def look(host: Host, *, by: User) -> Job:
    """Look on the host for files of guests that are gone. Raises NotSupported (no commands on it) or HostDisabled."""
    require_enabled(host)
    if not can_look(host):
        sentence = _(
            "kvmweb looks into the directories of libvirt's system daemon, here or over SSH. %(host)s is reached in "
            "another way."
        )
        raise NotSupported(sentence % {"host": host.name})
    return Job.start(
        tasks.look_for_leftovers,
        title=_("Look for leftovers on %(host)s") % {"host": host.name},
        by=by,
        objects=[Ref("host", host.pk, host.name)],
        host_id=host.pk,
    )


def can_look(host: Host) -> bool:
    """Whether the directories that the job looks into are those of the host's libvirt, and can be reached."""
    address = Address.parse(host.uri)
    return can_run(host) and address.scope == Scope.SYSTEM and not address.socket


def command_for(leftovers: Leftovers) -> str:
    """What removes them, for somebody to read and run on the host: it cannot be undone, so kvmweb does not."""
    paths = [entry["path"] for entry in leftovers.found]
    return "rm -rI -- \\\n  " + " \\\n  ".join(shlex.quote(path) for path in paths) if paths else ""
