"""What guests need of the network before the first one is made."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host
from hosts.preparation import step
from jobs.tasks import RunningJob
from virt.connection import Connection
from virt.networks import ensure_default

from .inventory import sync_networks


@step(gettext_lazy("Setting up the network “default”"), needed=False)
def default_network(job: RunningJob, host: Host, conn: Connection) -> None:
    """The network that everybody expects: NAT to wherever the host can go. Some machines cannot run it."""
    info = ensure_default(conn)
    sync_networks(host, [info], complete=False)
    job.log(_("Network %(name)s runs, guests on it reach the outside through the host.") % {"name": info.name})
