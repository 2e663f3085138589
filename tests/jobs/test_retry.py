"""A job that failed is started once more where its kind allows it, by who may; never one that goes on or succeeded."""

import pytest
from django.conf import settings as django_settings

from accounts.models import Grant
from guests import services as guest_services
from guests.models import Guest
from guests.tasks import power, power_guests
from jobs import retrying
from jobs.models import Job, Ref
from tests.guests.rows import make_guest, make_host

from .conftest import make_things


@pytest.fixture
def again(monkeypatch):
    """Things can be made again during the test."""
    monkeypatch.setitem(
        retrying._again,
        make_things.name,
        lambda job, by: Job.start(make_things, title=job.title, by=by, **job.arguments),
    )


def failed(by, **arguments) -> Job:
    job = Job.start(make_things, title="Make things", by=by, names=["one"], **arguments)
    make_things.run_here(job)
    job.refresh_from_db()
    return job


def test_the_same_is_started_as_a_new_job(client, admin, again):
    client.force_login(admin)
    job = failed(admin, fail_with="user")
    assert job.can_retry
    for page in ("/jobs/", "/jobs/tray/", f"/jobs/{job.pk}/"):
        assert f"/jobs/{job.pk}/retry/" in client.get(page).content.decode(), page
    assert client.get(f"/api/v1/jobs/{job.pk}").json()["can_retry"]
    answer = client.post(f"/api/v1/jobs/{job.pk}/retry")
    assert answer.status_code == 202
    new = Job.objects.get(pk=answer.json()["id"])
    assert (new.pk > job.pk, new.arguments, new.title) == (True, job.arguments, job.title)
    assert client.post(f"/jobs/{job.pk}/retry/").status_code == 302
    assert Job.objects.count() == 3


def test_what_succeeded_or_has_no_way_to_be_retried_is_refused(client, admin, again):
    client.force_login(admin)
    fine = failed(admin)
    other = Job.objects.create(kind="x", task="x", title="x", status="failed", created_by=admin)
    for job in (fine, other):
        assert not job.can_retry
        answer = client.post(f"/api/v1/jobs/{job.pk}/retry")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_retriable")


def test_the_right_is_asked_anew(client, viewer, operator, django_user_model):
    guest = make_guest(make_host(), "web-01")
    someone = django_user_model.objects.create_user("someone", password="x")
    grant = Grant.objects.create(user=someone, role="operator", scope_kind="guest", scope_id=guest.pk)
    job = guest_services.power(guest, "start", by=someone)
    job.request_cancel(someone)
    client.force_login(viewer)
    assert client.post(f"/api/v1/jobs/{job.pk}/retry").status_code == 404
    client.force_login(someone)
    retried = client.post(f"/api/v1/jobs/{job.pk}/retry")
    assert retried.status_code == 202
    Job.objects.get(pk=retried.json()["id"]).request_cancel(someone)
    grant.delete()
    assert client.post(f"/api/v1/jobs/{job.pk}/retry").status_code == 403


def test_of_many_only_those_that_are_left_are_tried_again(client, operator):
    host = make_host()
    guests = [make_guest(host, name) for name in ("a", "b", "c")]
    parent = guest_services.power_many(Guest.objects.all(), "start", by=operator)
    for guest, status in zip(guests, ("succeeded", "failed", "cancelled"), strict=True):
        child = power.start("start", guest, by=operator, parent=parent)
        child.objects_of.update(held=False)
        Job.objects.filter(pk=child.pk).update(status=status)
    Job.objects.filter(pk=parent.pk).update(status="failed")
    client.force_login(operator)
    answer = client.post(f"/api/v1/jobs/{parent.pk}/retry")
    assert answer.status_code == 202
    assert Job.objects.get(pk=answer.json()["id"]).arguments["guest_ids"] == [guests[1].pk, guests[2].pk]


def test_no_host_gets_all_of_many_at_once(operator, monkeypatch, settings):
    settings.BULK_PER_HOST = 2
    assert django_settings.BULK_PER_HOST == 2
    hosts = [make_host("kvm-a"), make_host("kvm-b")]
    for number in range(12):
        make_guest(hosts[number % 2], f"g{number:02}")
    parent = guest_services.power_many(Guest.objects.all(), "start", by=operator)
    seen: list[int] = []

    def done(job: Job) -> None:
        for host in hosts:
            refs = {"objects_of__kind": "host", "objects_of__object_id": host.pk}
            seen.append(parent.children.active().filter(**refs).count())
        Job.objects.filter(pk=job.pk).update(status="succeeded")
        job.objects_of.update(held=False)

    monkeypatch.setattr(power.start_guest, "run_here", done)
    power_guests.run_here(parent)
    parent.refresh_from_db()
    assert (parent.status, parent.children.count(), parent.done) == ("succeeded", 12, 12)
    assert max(seen) == 2


def test_the_tray_shows_mine_until_asked_for_all(client, operator, viewer):
    Job.objects.create(kind="x", task="x", title="Of somebody else", created_by=viewer, status="running")
    mine = Job.objects.create(kind="x", task="x", title="Of mine", created_by=operator, status="running")
    Job.objects.create(kind="x", task="x", title="A part", created_by=operator, status="running", parent=mine)
    client.force_login(operator)

    def tray(query: str = "") -> str:
        return client.get(f"/jobs/tray/{query}").content.decode()

    assert "Of mine" in tray()
    assert "Of somebody else" not in tray()
    assert "A part" not in tray()
    assert "Of somebody else" in tray("?whose=all")
    assert "Of somebody else" in tray()  # it stays so
    assert "Of somebody else" not in tray("?whose=mine")
    assert "Of somebody else" not in client.get("/jobs/?mine=1").content.decode()
    assert [job["title"] for job in client.get("/api/v1/jobs?mine=true").json()["items"]] == ["A part", "Of mine"]


def test_a_busy_guest_is_said_when_retried(client, operator):
    guest = make_guest(make_host(), "web-01")
    job = guest_services.power(guest, "start", by=operator)
    job.request_cancel(operator)
    other = Job.start(
        make_things, title="Other", by=operator, objects=[Ref("guest", guest.pk, "web-01", True)], names=[]
    )
    client.force_login(operator)
    answer = client.post(f"/api/v1/jobs/{job.pk}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    assert str(other.pk) in answer.json()["message"]
