"""kill -9 at any instant: what the journal says is taken back, by whoever comes next."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs.models import Job, Ref
from jobs.runner import roll_back_dead_jobs, run

from .conftest import make_things, taken_back

WEB = Ref("guest", 7, "web-01", exclusive=True)


class Killed(BaseException):
    """Stands for the instant at which the process is gone: nothing of ours runs after it."""


@pytest.fixture
def dead_job(admin, monkeypatch):
    """A job whose worker was killed after its second step."""
    job = Job.start(make_things, title="Make things", by=admin, objects=[WEB], names=[])

    def die(running):
        for name in ("one", "two"):
            running.undo("tests.remove", name=name)
        raise Killed

    job.arguments = {}
    job.save()
    with pytest.raises(Killed):
        run(job.pk, die)
    job.refresh_from_db()
    assert job.status == "running"
    return job


def expire(job):
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_dead_workers_job_is_taken_back_once_its_lease_ran_out(dead_job):
    roll_back_dead_jobs()
    assert taken_back == []  # it may still be alive
    expire(dead_job)
    roll_back_dead_jobs()
    dead_job.refresh_from_db()
    assert dead_job.status == "failed"
    assert "worker was stopped" in dead_job.error
    assert taken_back == ["two", "one"]
    assert not dead_job.objects_of.filter(held=True).exists()


def test_a_worker_that_is_killed_as_it_ends_a_job_holds_nothing_for_ever(admin):
    job = Job.start(make_things, title="Make things", by=admin, objects=[WEB], names=[])

    def kill(execute, sql, *rest):
        if sql.startswith('UPDATE "jobs_jobobject"'):
            raise Killed
        return execute(sql, *rest)

    with connection.execute_wrapper(kill), pytest.raises(Killed):
        run(job.pk, lambda _running, **_arguments: None)
    expire(job)
    roll_back_dead_jobs()
    assert not job.objects_of.filter(held=True).exists()
    Job.start(make_things, title="Make more", by=admin, objects=[WEB], names=[])


def test_what_cannot_be_taken_back_now_is_tried_again(dead_job):
    dead_job.journal.create(verb="tests.remove", arguments={"name": "stubborn"})
    expire(dead_job)
    roll_back_dead_jobs()
    dead_job.refresh_from_db()
    assert taken_back == ["two", "one"]
    assert "tried again" in dead_job.error
    left = dead_job.journal.get()
    assert left.retry_at > timezone.now()
    left.arguments = {"name": "stubborn no more"}
    left.retry_at = timezone.now()
    left.save()
    roll_back_dead_jobs()
    assert taken_back[-1] == "stubborn no more"
    assert not dead_job.journal.exists()


def test_a_job_that_never_reached_a_worker_is_sent_again(admin, monkeypatch):
    sent = []
    monkeypatch.setattr("jobs.runner.current_app.send_task", lambda name, args: sent.append((name, args)))
    job = Job.start(make_things, title="Make things", by=admin, names=[])
    roll_back_dead_jobs()
    assert sent == []
    expire(job)
    roll_back_dead_jobs()
    roll_back_dead_jobs()
    assert sent == [(make_things.name, [job.pk])]


def test_a_worker_that_was_taken_for_dead_stops_at_its_next_step(admin):
    job = Job.start(make_things, title="Make things", by=admin, objects=[WEB], names=[])

    def slow(running, names):
        running.undo("tests.remove", name="one")
        expire(job)
        roll_back_dead_jobs()
        running.step("Going on")
        raise AssertionError("it went on although another worker had taken the job back")

    run(job.pk, slow)
    job.refresh_from_db()
    assert (job.status, taken_back) == ("failed", ["one"])
    assert "worker was stopped" in job.error
