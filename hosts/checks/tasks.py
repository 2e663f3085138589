"""The job that reads on a host what its checks rest on."""

from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import commands
from hosts.hardware import rows
from hosts.hardware.models import HostReport
from hosts.models import Host
from jobs.live import publish
from jobs.tasks import RunningJob, job_task
from virt.errors import UserError

from . import counted, of, reading, seen

log = structlog.get_logger(__name__)
OLD = timedelta(hours=24)
EVERY_S = 3600  # as settings.CELERY_BEAT_SCHEDULE has it


@job_task(soft_time_limit=300)
def examine_host(job: RunningJob, *, host_id: int) -> dict[str, Any]:
    """Read what the host is, and run one command on it that changes nothing. Returns how many checks of each verdict
    there are; why no command could be run is told in the checks.
    """
    host = Host.objects.get(pk=host_id)
    job.step(_("Asking libvirt"), done=0, total=2)
    with host.connect() as conn:
        rows.refresh(host, conn)
    job.step(_("Looking around on the host"), done=1, total=2)
    error = look_around(host)
    if error:
        job.log(f"{error} {error.details}".strip())
    found = of(_seen(host))
    for check in found:
        if check.verdict in ("failed", "warning"):
            job.log(f"{check.title}: {check.found}")
    return {**counted(found), "problem": str(error) if error else ""}


def look_around(host: Host) -> UserError | None:
    """Run the command on the host and keep what it told; or why not, which is returned."""
    details = HostReport.objects.filter(host=host).values_list("details", flat=True).first() or {}
    directories = host.pools.filter(missing_since=None).values_list("target_path", flat=True)
    try:
        values = reading.read(host, uid=details.get("qemu_uid"), directories=directories)
    except UserError as error:
        reading.keep(host, None, error)
        publish(f"host-{host.pk}")
        return error
    reading.keep(host, values)
    publish(f"host-{host.pk}")
    return None


@shared_task(name="hosts.checks.examine_old", ignore_result=True)
def examine_old() -> None:
    """Look around on connected hosts where nobody has for a day; each apart, so that a slow one delays no other."""
    due = timezone.now() - OLD
    hosts = Host.objects.filter(state=Host.State.CONNECTED).exclude(report__readings_at__gt=due)
    for pk in [host.pk for host in hosts if commands.can_run(host)]:
        examine_quietly.apply_async(args=(pk,), expires=EVERY_S)


@shared_task(name="hosts.checks.examine_quietly", ignore_result=True, soft_time_limit=300, time_limit=360)
def examine_quietly(host_id: int) -> None:
    """Look around on one host. No job: nobody asked for it."""
    host = Host.objects.filter(pk=host_id).first()
    if host and (error := look_around(host)):
        log.info("checks not read", host=host.name, error=str(error))


def _seen(host: Host) -> Any:
    networks = host.networks.filter(missing_since=None, is_active=True).values_list("name", flat=True)
    report = HostReport.objects.filter(host=host).first()
    return seen(host, pools=list(host.pools.filter(missing_since=None)), networks=list(networks), report=report)
