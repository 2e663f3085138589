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
from .check import Check

log = structlog.get_logger(__name__)
OLD = timedelta(hours=24)
EVERY_S = 120  # as settings.CELERY_BEAT_SCHEDULE has it: a new host need not wait long


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
    found = checks_of(host)
    for check in found:
        if check.verdict in ("failed", "warning"):
            job.log(f"{check.title}: {check.found}")
    return {**counted(found), "problem": str(error) if error else ""}


def look_around(host: Host) -> UserError | None:
    """Run the command on the host and keep what it told; or why not, which is returned."""
    details = HostReport.objects.filter(host=host).values_list("details", flat=True).first() or {}
    directories = host.pools.filter(missing_since=None).values_list("target_path", flat=True)
    values, failed = None, None
    try:
        values = reading.read(host, uid=details.get("qemu_uid"), directories=directories)
    except UserError as error:
        failed = error
    reading.keep(host, values, failed)
    counts = counted(checks_of(host))
    HostReport.objects.filter(host=host).update(failed_count=counts["failed"], warning_count=counts["warning"])
    publish(f"host-{host.pk}", "hosts")
    return failed


@shared_task(name="hosts.checks.examine_old", ignore_result=True)
def examine_old() -> None:
    """Look around on connected hosts where nobody has tried for a day; each apart: a slow one delays no other."""
    due = timezone.now() - OLD
    hosts = Host.objects.filter(state=Host.State.CONNECTED).exclude(report__readings_tried_at__gt=due)
    for pk in [host.pk for host in hosts if commands.can_run(host)]:
        examine_quietly.apply_async(args=(pk,), expires=EVERY_S)


@shared_task(name="hosts.checks.examine_quietly", ignore_result=True, soft_time_limit=300, time_limit=360)
def examine_quietly(host_id: int) -> None:
    """Look around on one host. No job: nobody asked for it."""
    host = Host.objects.filter(pk=host_id).first()
    if host is None:
        return
    HostReport.objects.update_or_create(host=host, defaults={"readings_tried_at": timezone.now()})  # one at a time
    if error := look_around(host):
        log.info("checks not read", host=host.name, error=str(error))


def checks_of(host: Host) -> list[Check]:
    """The checks of a host from its rows."""
    networks = host.networks.filter(missing_since=None, is_active=True).values_list("name", flat=True)
    report = HostReport.objects.filter(host=host).first()
    pools = list(host.pools.filter(missing_since=None))
    return of(seen(host, pools=pools, networks=list(networks), report=report))
