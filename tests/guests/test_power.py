"""Switching guests: the verbs, those that find nothing to do, and many at once."""

import pytest

from guests import services
from guests.inventory import refresh_guest
from guests.models import Guest
from guests.tasks import power, power_guests
from jobs.models import Busy, Job
from virt.errors import GuestNotFound, Invalid

pytestmark = pytest.mark.libvirt


@pytest.fixture
def guest(new_domain, local_host, conn) -> Guest:
    return refresh_guest(local_host, conn, new_domain())


def do(verb: str, guest: Guest, user) -> Job:
    job = services.power(guest, verb, by=user)
    power.TASKS[verb][0].run_here(job)
    job.refresh_from_db()
    return job


def test_each_verb_does_what_it_says(operator, guest, virsh):
    def state() -> tuple[str, str]:
        guest.refresh_from_db()
        return virsh("domstate", guest.name), guest.state

    for verb, libvirt, ours in [
        ("start", "running", "running"),
        ("suspend", "paused", "paused"),
        ("resume", "running", "running"),
        ("reset", "running", "running"),
        ("save", "shut off", "saved"),
        ("start", "running", "running"),
        ("destroy", "shut off", "shutoff"),
    ]:
        job = do(verb, guest, operator)
        assert (job.status, job.error, job.result["changed"]) == ("succeeded", "", True), verb
        assert state() == (libvirt, ours), verb


def test_what_is_so_already_is_no_error(operator, guest):
    assert do("destroy", guest, operator).message.endswith("is off already.")
    assert do("shutdown", guest, operator).result == {"guest_id": guest.pk, "changed": False}
    do("start", guest, operator)
    again = do("start", guest, operator)
    assert (again.status, again.result["changed"]) == ("succeeded", False)
    assert again.message == f"{guest.name} runs already."


def test_a_shutdown_is_a_request(operator, guest, virsh):
    do("start", guest, operator)
    job = do("shutdown", guest, operator)  # nobody in this guest hears it
    assert job.status == "succeeded"
    assert "decides when" in job.message
    assert virsh("domstate", guest.name) == "running"


def test_a_verb_that_does_not_fit_says_why(operator, guest):
    job = do("suspend", guest, operator)
    assert job.status == "failed"
    assert job.error_code == "wrong_state"
    assert guest.name in job.error


def test_two_changes_at_once_are_refused_by_name(operator, guest):
    first = services.power(guest, "start", by=operator)
    with pytest.raises(Busy, match=first.title):
        services.power(guest, "destroy", by=operator)


def test_a_guest_that_vanished_is_marked_missing(operator, guest, virsh):
    virsh("undefine", guest.name)
    job = do("start", guest, operator)
    assert job.error_code == "guest_not_found"
    guest.refresh_from_db()
    assert guest.state == "missing"
    with pytest.raises(GuestNotFound):
        services.power(guest, "start", by=operator)


def test_many_at_once_is_one_job_with_a_child_each(operator, new_domain, local_host, conn, virsh):
    guests = [refresh_guest(local_host, conn, new_domain(name)) for name in ("a", "b", "c")]
    services.power(guests[2], "suspend", by=operator)  # c is busy
    pks = [guest.pk for guest in guests]
    parent = services.power_many(Guest.objects.filter(pk__in=pks), "start", by=operator)
    power_guests.run_here(parent)
    parent.refresh_from_db()
    assert [virsh("domstate", guest.name) for guest in guests] == ["running", "running", "shut off"]
    assert (parent.status, parent.error_code) == ("failed", "some_failed")
    assert "1 of 3" in parent.error
    assert guests[2].name in parent.error
    assert {child.status for child in parent.children.all()} == {"succeeded"}
    assert parent.children.count() == 2
    assert (parent.done, parent.total) == (3, 3)


def test_many_at_once_stops_when_asked(operator, new_domain, local_host, conn, virsh, monkeypatch):
    guests = [refresh_guest(local_host, conn, new_domain(name)) for name in ("a", "b")]
    parent = services.power_many(Guest.objects.all(), "start", by=operator)
    real = power.start_guest.run_here

    def cancelled_after_the_first(job):
        real(job)
        Job.objects.get(pk=parent.pk).request_cancel(operator)

    monkeypatch.setattr(power.start_guest, "run_here", cancelled_after_the_first)
    power_guests.run_here(parent)
    parent.refresh_from_db()
    assert parent.status == "cancelled"
    assert sorted(virsh("domstate", guest.name) for guest in guests) == ["running", "shut off"]
    assert sorted(child.status for child in parent.children.all()) == ["cancelled", "succeeded"]


def test_nothing_selected_is_refused(operator, local_host):
    with pytest.raises(Invalid):
        services.power_many(Guest.objects.all(), "start", by=operator)
