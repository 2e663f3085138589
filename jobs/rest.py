"""A job as REST shows it, and the answer 202 that every change gives."""

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from ninja import Field, Schema, Status

from .models import Job


class JobObjectOut(Schema):
    kind: str
    id: int = Field(validation_alias="object_id")
    name: str


class JobOut(Schema):
    """A change under way, or how it ended."""

    id: int
    kind: str
    title: str
    status: str = Field(description="queued, running, succeeded, failed or cancelled")
    message: str = Field(description="The step under way.")
    done: int
    total: int = Field(description="0 while nobody can say.")
    progress_percent: int | None = None
    error: str = Field(description="What failed, why, and what to do.")
    error_code: str
    error_details: str
    can_retry: bool = Field(description="Whether POST …/retry starts it once more.")
    result: dict[str, Any]
    created_by: str | None = None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    objects: list[JobObjectOut]

    @staticmethod
    def resolve_created_by(job: Job) -> str | None:
        return job.created_by.username if job.created_by else None

    @staticmethod
    def resolve_objects(job: Job) -> list[Any]:
        return list(job.objects_of.all())


class JobLogLineOut(Schema):
    at: datetime
    text: str


class JobDetailOut(JobOut):
    """A job with what it said."""

    log: list[JobLogLineOut] = []
    children: list[int] = []

    @staticmethod
    def resolve_log(job: Job) -> list[Any]:
        return list(job.log_lines)

    @staticmethod
    def resolve_children(job: Job) -> list[int]:
        return list(job.children.values_list("pk", flat=True))


def accepted(response: HttpResponse, job: Job) -> Status[Job]:
    """202 with the job and where to follow it."""
    response["Location"] = job.api_url
    return Status(202, job)
