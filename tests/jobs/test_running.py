"""A job is claimed once, reports, and ends or is taken back."""

import pytest

from accounts.models import AuditEntry
from jobs.models import Busy, Job, Ref
from jobs.runner import run

from .conftest import made, make_things, taken_back

WEB = Ref("guest", 7, "web-01", exclusive=True)


def start(by, **arguments):
    arguments.setdefault("names", ["one", "two"])
    return Job.start(make_things, title="Make things", by=by, objects=[WEB], **arguments)


def test_a_job_that_succeeds_keeps_what_it_made(admin):
    job = start(admin)
    make_things.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.result, job.progress_percent) == ("succeeded", {"made": 2}, 100)
    assert taken_back == []
    assert not job.journal.exists()
    assert [line.text for line in job.log_lines] == ["Making one", "Making two"]


def test_a_job_that_fails_is_taken_back_newest_first_and_says_why(admin):
    job = start(admin, fail_with="user")
    make_things.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error, job.error_code, job.error_details) == (
        "failed",
        "The pool is full.",
        "pool_full",
        "ENOSPC",
    )
    assert taken_back == ["two", "one"]


def test_a_bug_is_told_as_one_and_taken_back_too(admin):
    job = start(admin, fail_with="bug")
    make_things.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "internal_error")
    assert "ZeroDivisionError" in job.error
    assert taken_back == ["two", "one"]


def test_a_second_change_of_the_same_object_is_refused_with_the_name_of_the_first(admin):
    first = start(admin)
    with pytest.raises(Busy) as refused:
        start(admin)
    assert refused.value.status == 409
    assert "web-01" in str(refused.value)
    assert first.title in str(refused.value)
    assert Job.objects.count() == 1
    make_things.run_here(first)
    start(admin)  # free again


def test_a_job_that_only_mentions_an_object_does_not_hold_it(admin):
    start(admin)
    Job.start(make_things, title="Look", by=admin, objects=[Ref("guest", 7, "web-01")], names=[])


def test_a_second_delivery_of_the_same_job_does_nothing(admin):
    job = start(admin)
    make_things.run_here(job)
    run(job.pk, make_things.function)
    assert made == ["one", "two"]


def test_a_waiting_job_that_is_cancelled_never_runs_and_frees_its_objects(admin):
    job = start(admin)
    job.request_cancel(admin)
    make_things.run_here(job)
    job.refresh_from_db()
    assert (job.status, made) == ("cancelled", [])
    start(admin)


def test_a_running_job_that_is_cancelled_stops_at_its_next_step_and_is_taken_back(admin):
    job = start(admin, names=["one", "two", "three"])

    def cancelled_after_one(running, *, names):
        running.step("Making one")
        running.undo("tests.remove", name="one")
        job.request_cancel(admin)
        running.step("Making two")

    run(job.pk, cancelled_after_one)
    job.refresh_from_db()
    assert (job.status, job.error_code, taken_back) == ("cancelled", "cancelled", ["one"])


def test_every_change_is_in_the_audit_log_with_its_end(admin):
    job = start(admin, fail_with="user")
    make_things.run_here(job)
    rows = AuditEntry.objects.filter(job_id=job.pk).order_by("pk")
    assert [(row.actor, row.action, row.object_name, row.result) for row in rows] == [
        (admin.username, "make_things", "web-01", "started"),
        (admin.username, "make_things", "web-01", "failed"),
    ]
