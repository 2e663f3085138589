"""Jobs of hosts."""

from typing import Any

from django.utils.translation import gettext as _

from jobs.tasks import RunningJob, job_task
from virt.errors import UserError

from . import inventory
from .models import Host
from .preparation import steps


@job_task(soft_time_limit=120)
def probe_kvm(job: RunningJob, *, host_id: int) -> dict[str, Any]:
    """Find out again whether a stock guest boots on the host's KVM."""
    host = Host.objects.get(pk=host_id)
    job.step(_("Booting a tiny guest with KVM"))
    with host.connect() as conn:
        probe = inventory.probe_kvm(host, conn)
    job.log(probe.reason)
    return {"accelerated": probe.accelerated, "reason": probe.reason}


@job_task(soft_time_limit=600)
def prepare_host(job: RunningJob, *, host_id: int) -> dict[str, Any]:
    """Make what is missing for guests to be made on the host. Each step that fails is told; the others are made."""
    host = Host.objects.get(pk=host_id)
    problems: list[str] = []
    failed: UserError | None = None
    with host.connect(timeout_s=60) as conn:
        wanted = steps()
        for done, step in enumerate(wanted):
            job.step(str(step.title), done=done, total=len(wanted))
            try:
                step.make(job, host, conn)
            except UserError as error:
                job.log(f"{error} {error.details}".strip())
                problems.append(str(error))
                failed = failed or (error if step.needed else None)
    if failed:
        raise failed
    return {"problems": problems}


from .checks.tasks import examine_host, examine_old, examine_quietly  # noqa: E402, F401
from .reaching.tasks import remove_host, try_host  # noqa: E402, F401 - Celery looks for jobs here
