"""REST of jobs."""

import time
from typing import Annotated

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Status
from ninja.pagination import paginate

from accounts.rest import ERRORS, Problem, actor

from .models import Job
from .rest import JobDetailOut, JobOut, accepted
from .services import cancel_job, retry_job

router = Router(tags=["jobs"])
POLL_FIRST_S, POLL_LAST_S = 0.01, 0.25


@router.get("", response={200: list[JobOut]})
@paginate
def list_jobs(
    request: HttpRequest,
    status: str = "",
    search: str = "",
    object_kind: str = "",
    object_id: int = 0,
    mine: bool = False,
) -> QuerySet[Job]:
    """Jobs, newest first; of one object with `object_kind` ("guest", "pool" …) and `object_id`; `mine`: of yours."""
    jobs = Job.objects.permitted(actor(request), "view").select_related("created_by").prefetch_related("objects_of")
    if status:
        jobs = jobs.filter(status=status)
    if search:
        jobs = jobs.filter(title__icontains=search)
    if mine:
        jobs = jobs.filter(created_by=actor(request))
    if object_kind and object_id:
        jobs = jobs.filter(objects_of__kind=object_kind, objects_of__object_id=object_id)
    return jobs


@router.get("/{int:job_id}", response={200: JobDetailOut, ERRORS: Problem})
def get_job(
    request: HttpRequest,
    job_id: int,
    wait: Annotated[int, Query(ge=0, le=60, description="Seconds to wait for its end.")] = 0,
) -> Job:
    """One job. With `wait` the answer comes when the job has ended, or after that many seconds."""
    permitted = Job.objects.permitted(actor(request), "view").select_related("created_by")
    job: Job = get_object_or_404(permitted, pk=job_id)
    end, pause = time.monotonic() + wait, POLL_FIRST_S
    while job.is_active and time.monotonic() < end:
        time.sleep(pause)
        pause = min(POLL_LAST_S, pause * 1.3)
        job.refresh_from_db()
    return job


@router.post("/{int:job_id}/cancel", response={202: JobOut, ERRORS: Problem})
def cancel(request: HttpRequest, job_id: int, response: HttpResponse) -> Status[Job]:
    """Ask a job to stop. One that runs stops at its next step, and what it did is taken back."""
    job = get_object_or_404(Job.objects.permitted(actor(request), "operate"), pk=job_id)
    return accepted(response, cancel_job(job, by=actor(request)))


@router.post("/{int:job_id}/retry", response={202: JobOut, ERRORS: Problem})
def retry(request: HttpRequest, job_id: int, response: HttpResponse) -> Status[Job]:
    """Start a job that failed or was cancelled once more, as a new one; 409 not_retriable where that is not safe."""
    job = get_object_or_404(Job.objects.permitted(actor(request), "operate"), pk=job_id)
    return accepted(response, retry_job(job, by=actor(request)))
