"""What can be done with virtual networks. Whoever calls has asked `permitted` for the network already."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from hosts.services import require_enabled
from jobs.models import Job, Ref
from jobs.tasks import JobTask
from virt.errors import UserError

from . import tasks
from .models import Network

NAMED_AT_MOST = 5


class NetworkInUse(UserError):
    """Running guests would lose their network."""

    code, status = "network_in_use", 409


class NetworkMissing(UserError):
    """The network was not on its host when it was last looked at."""

    code, status = "network_missing", 409


class NetworkTransient(UserError):
    """libvirt keeps no definition of the network, so that nothing about it can be made to last."""

    code, status = "network_transient", 409


def running_guests_on(network: Network) -> list[str]:
    """Names of the running guests with a card on the network, sorted."""
    on = network.nics.filter(guest__state__in=["running", "paused", "shutting_down", "suspended"])
    return sorted(set(on.values_list("guest__name", flat=True)))


def start_network(network: Network, *, by: User) -> Job:
    """Raises NetworkMissing, HostDisabled or Busy."""
    title = _("Start network %(name)s") % {"name": network.name}
    return _job(tasks.start_network, network, title, by)


def stop_network(network: Network, *, by: User, force: bool = False) -> Job:
    """Stop it. Raises NetworkMissing, Busy, or NetworkInUse unless `force`: libvirt itself would not object.

    A transient network is gone once it is stopped.
    """
    guests = running_guests_on(network)
    if guests and not force:
        names = ", ".join(guests[:NAMED_AT_MOST]) + ("…" if len(guests) > NAMED_AT_MOST else "")
        raise NetworkInUse(
            ngettext(
                "Network %(name)s was not stopped: the running guest %(guests)s uses it and would be cut off. "
                "Shut it down first, or stop the network by force.",
                "Network %(name)s was not stopped: %(count)d running guests use it and would be cut off (%(guests)s). "
                "Shut them down first, or stop the network by force.",
                len(guests),
            )
            % {"name": network.name, "guests": names, "count": len(guests)}
        )
    title = _("Stop network %(name)s") % {"name": network.name}
    return _job(tasks.stop_network, network, title, by)


def set_autostart(network: Network, on: bool, *, by: User) -> Job:
    """Have it started with the host, or not. Raises NetworkMissing, NetworkTransient or Busy."""
    if not network.persistent:
        raise NetworkTransient(
            _("Network %(name)s is transient: it is gone once it is stopped, so it cannot start with the host.")
            % {"name": network.name}
        )
    title = _("Start network %(name)s with its host") if on else _("Do not start network %(name)s with its host")
    return _job(tasks.set_autostart, network, title % {"name": network.name}, by, on=on)


def _job(task: JobTask, network: Network, title: str, by: User, **arguments: Any) -> Job:
    if network.is_missing:
        raise NetworkMissing(
            _("Network %(name)s is not on %(host)s any more.") % {"name": network.name, "host": network.host.name}
        )
    require_enabled(network.host)
    refs = [Ref("network", network.pk, network.name, exclusive=True), Ref("host", network.host_id, network.host.name)]
    return Job.start(task, title=title, by=by, objects=refs, network_id=network.pk, **arguments)
