"""Jobs: every change of a host is one. The row is the truth; Celery only carries it to a worker."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import PermittedQuerySet, roles_allowing, scopes_of, token_allows
from virt.errors import UserError

from .live import publish
from .retrying import way_for

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from .tasks import JobTask

LEASE = timedelta(seconds=20)  # a worker renews it every few seconds; past it the worker is taken for dead
DELIVERY = timedelta(seconds=30)  # past it a job that nobody claimed is sent to the broker again


class Busy(UserError):
    """Another job is changing the same object."""

    code, status = "busy", 409


@dataclass(frozen=True)
class Ref:
    """An object that a job is about. With `exclusive`, no second unfinished job may hold it exclusively."""

    kind: str
    pk: int
    name: str
    exclusive: bool = False


class JobQuerySet(PermittedQuerySet):
    """Jobs as a user may see them: their own, and those on objects within their grants."""

    def permitted(self, user: "User | AnonymousUser", action: str) -> Self:
        """Jobs on which `user` may do `action`: "view" also their own; "operate" (cancel) likewise."""
        allowed = super().permitted(user, action)
        if not isinstance(user, User) or not user.is_active or not token_allows(user, action):
            return allowed
        if user.is_superuser or "all" in scopes_of(user, roles_allowing(action)):
            return allowed
        scopes = user.grants.filter(role__in=roles_allowing(action)).exclude(scope_kind="all")
        reach = Q(created_by=user)
        for grant in scopes:
            reach |= Q(objects_of__kind=grant.scope_kind, objects_of__object_id=grant.scope_id)
        return allowed | self.filter(pk__in=self.model.objects.filter(reach).values("pk"))

    def active(self) -> Self:
        return self.filter(status__in=Job.ACTIVE)


class Job(models.Model):
    """One change under way, or how it ended."""

    class Status(models.TextChoices):
        QUEUED = "queued", gettext_lazy("Waiting")
        RUNNING = "running", gettext_lazy("Running")
        SUCCEEDED = "succeeded", gettext_lazy("Done")
        FAILED = "failed", gettext_lazy("Failed")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")

    ACTIVE: ClassVar = (Status.QUEUED, Status.RUNNING)

    kind = models.CharField(max_length=64)  # the task's name without its room's: "create_guest"
    task = models.CharField(max_length=128)  # Celery's name of it
    arguments = models.JSONField(default=dict)
    title = models.CharField(max_length=255)
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="jobs")
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")
    message = models.CharField(max_length=255, blank=True)  # the step under way
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)  # 0: not known
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_details = models.TextField(blank=True)
    result = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # Running: when its worker is to be taken for dead. Queued: when it is to be sent to the broker again.
    lease_until = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes: ClassVar = [models.Index(fields=["status", "lease_until"])]

    def __str__(self) -> str:
        return self.title

    @classmethod
    def start(
        cls,
        task: "JobTask",
        *,
        title: str,
        by: User | None,
        objects: Iterable[Ref] = (),
        parent: "Job | None" = None,
        **arguments: Any,
    ) -> "Job":
        """Make the row, take the exclusive objects and queue the task when the transaction commits.

        `arguments` must be JSON and reach the task as keyword arguments. Raises Busy, naming the job in the way, when
        an exclusive object is held by another unfinished job.
        """
        refs = list(objects)
        try:
            with transaction.atomic():
                job = cls.objects.create(
                    kind=task.kind,
                    task=task.name,
                    title=title[:255],
                    created_by=by,
                    parent=parent,
                    arguments=arguments,
                    lease_until=timezone.now() + DELIVERY,
                )
                JobObject.objects.bulk_create(
                    JobObject(job=job, kind=ref.kind, object_id=ref.pk, name=ref.name[:255], held=ref.exclusive)
                    for ref in refs
                )
        except IntegrityError:
            raise _busy(refs) from None
        first = refs[0] if refs else Ref("", 0, "")
        audit.record(
            by,
            job.kind,
            AuditEntry.Result.STARTED,
            kind=first.kind,
            object_id=first.pk or "",
            name=first.name,
            job_id=job.pk,
        )
        transaction.on_commit(lambda: task.enqueue(job))
        job.announce()
        return job

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE

    @property
    def can_retry(self) -> bool:
        """Whether it failed or was cancelled, and its kind can be started once more as it was."""
        return self.status in (self.Status.FAILED, self.Status.CANCELLED) and way_for(self.task) is not None

    @property
    def progress_percent(self) -> int | None:
        """0 to 100, or None while nobody can say."""
        if self.status == self.Status.SUCCEEDED:
            return 100
        return min(100, self.done * 100 // self.total) if self.total else None

    @property
    def log_lines(self) -> "models.QuerySet[JobLogLine]":
        return self.log.order_by("pk")

    def get_absolute_url(self) -> str:
        return reverse("jobs:detail", args=[self.pk])

    @property
    def api_url(self) -> str:
        return f"/api/v1/jobs/{self.pk}"

    def announce(self) -> None:
        """Tell open pages that this job, and so the objects that it is about, changed."""
        topics = {"jobs", f"job-{self.pk}"}
        topics |= {f"{kind}-{pk}" for kind, pk in self.objects_of.values_list("kind", "object_id")}
        publish(*topics)

    def request_cancel(self, by: User) -> None:
        """Ask the job to stop at its next step; one that still waits is cancelled at once."""
        now = timezone.now()
        type(self).objects.filter(pk=self.pk, status__in=self.ACTIVE).update(cancel_requested_at=now)
        with transaction.atomic():
            waiting = type(self).objects.filter(pk=self.pk, status=self.Status.QUEUED)
            if waiting.update(status=self.Status.CANCELLED, finished_at=now):
                self.objects_of.update(held=False)
        audit.record(by, "cancel_job", kind="job", object_id=self.pk, name=self.title, job_id=self.pk)
        self.refresh_from_db()
        self.announce()


def _busy(refs: list[Ref]) -> Busy:
    for ref in refs:
        if not ref.exclusive:
            continue
        held = JobObject.objects.filter(kind=ref.kind, object_id=ref.pk, held=True).select_related("job").first()
        if held:
            return Busy(
                _("%(name)s is being changed by the job “%(title)s” (number %(pk)d). Wait for its end, or cancel it.")
                % {"name": ref.name, "title": held.job.title, "pk": held.job.pk}
            )
    return Busy(_("Another job is changing the same object. Try again in a moment."))


class JobObject(models.Model):
    """Which objects a job is about, and which of them it holds for itself until it ends."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="objects_of")
    kind = models.CharField(max_length=32)
    object_id = models.PositiveBigIntegerField()
    name = models.CharField(max_length=255)
    held = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["kind", "object_id"])]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "object_id"], condition=Q(held=True), name="one_change_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class JobLogLine(models.Model):
    """What a job said, and when."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="log")
    at = models.DateTimeField(default=timezone.now)
    text = models.TextField()

    def __str__(self) -> str:
        return self.text


class JobUndo(models.Model):
    """The journal: how to take back a step, written before the step is made."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="journal")
    verb = models.CharField(max_length=64)
    arguments = models.JSONField(default=dict)
    failures = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]  # newest first: the order in which they are taken back

    def __str__(self) -> str:
        return self.verb
