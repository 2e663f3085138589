"""How a job runs: `@job_task` makes a Celery task that claims the row, works, and ends or rolls back."""

from collections.abc import Callable
from typing import Any

import structlog
from celery import Task, shared_task
from kombu.exceptions import OperationalError

from . import retrying
from .models import Job
from .retrying import Again
from .runner import RunningJob, roll_back_dead_jobs, run

log = structlog.get_logger(__name__)
JobFunction = Callable[..., dict[str, Any] | None]


class JobTask:
    """A Celery task together with the kind of job that it is."""

    def __init__(self, function: JobFunction, task: Task) -> None:  # type: ignore[type-arg]
        self.function, self.task = function, task
        self.name: str = task.name
        self.kind = function.__name__

    def enqueue(self, job: Job) -> None:
        """Hand the job to the broker. With the broker away it stays queued in the row, and `recover` sends it later."""
        try:
            self.task.apply_async(args=(job.pk,))
        except OperationalError:
            log.warning("broker does not answer, the job waits", job=job.pk)

    def again(self, function: Again) -> Again:
        """Register how a job of this kind that failed is started once more: `function(job, by)`, through its service.

        That asks the permission and checks the input anew. A kind without one cannot be retried.
        """
        retrying.register(self.name, function)
        return function

    def run_here(self, job: Job) -> None:
        """Run the job in this process, as a worker would."""
        run(job.pk, self.function)


def job_task(*, soft_time_limit: int = 3600) -> Callable[[JobFunction], JobTask]:
    """Make a job of `function(job, **arguments)`.

    It gets a RunningJob (`step`, `undo`, `log`), and what it returns is kept as the job's result. `soft_time_limit` is
    in seconds; past it the job is rolled back like one that failed.
    """

    def wrap(function: JobFunction) -> JobTask:
        name = f"{function.__module__}.{function.__name__}"

        @shared_task(name=name, soft_time_limit=soft_time_limit, time_limit=soft_time_limit + 300)
        def task(job_id: int) -> None:
            run(job_id, function)

        return JobTask(function, task)

    return wrap


@shared_task(name="jobs.tasks.recover", ignore_result=True)
def recover() -> None:
    """Roll back jobs whose worker died, and queue again those that never reached one."""
    roll_back_dead_jobs()


__all__ = ["JobTask", "RunningJob", "job_task", "recover"]
