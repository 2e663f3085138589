"""Jobs of virtual networks."""

from django.utils.translation import gettext as _

from jobs.tasks import RunningJob, job_task
from virt import networks as virt_networks

from .inventory import refresh_network
from .models import Network


@job_task(soft_time_limit=300)
def start_network(job: RunningJob, *, network_id: int) -> None:
    """Start a virtual network. One that runs already is left alone, and the log says so."""
    network = Network.objects.select_related("host").get(pk=network_id)
    job.step(_("Starting network %(name)s") % {"name": network.name})
    with network.host.connect() as conn:
        if not virt_networks.start_network(conn, network.name):
            job.log(_("It was running already."))
        refresh_network(network.host, conn, network.uuid)


@job_task(soft_time_limit=300)
def stop_network(job: RunningJob, *, network_id: int) -> None:
    """Stop a virtual network. Guests on it lose their connection until it runs and they are plugged in again."""
    network = Network.objects.select_related("host").get(pk=network_id)
    job.step(_("Stopping network %(name)s") % {"name": network.name})
    with network.host.connect() as conn:
        if not virt_networks.stop_network(conn, network.name):
            job.log(_("It was stopped already."))
        refresh_network(network.host, conn, network.uuid)


@job_task(soft_time_limit=300)
def set_autostart(job: RunningJob, *, network_id: int, on: bool) -> None:
    """Have the network started with the host, or not."""
    network = Network.objects.select_related("host").get(pk=network_id)
    job.step(_("Setting the autostart of network %(name)s") % {"name": network.name})
    with network.host.connect() as conn:
        virt_networks.set_network_autostart(conn, network.name, on)
        refresh_network(network.host, conn, network.uuid)
