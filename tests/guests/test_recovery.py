"""A worker that dies at any instant leaves no half guest and no orphan disk, and the job says what happened."""

import json
import os
import signal
import subprocess
import sys

import pytest
from django.conf import settings
from django.utils import timezone

from guests import services
from guests.models import Guest
from guests.plan import NewGuest
from guests.tasks import create_guest, delete_guest
from jobs.models import Job, JobUndo
from jobs.runner import roll_back_dead_jobs
from virt import domains, power, volumes

pytestmark = pytest.mark.libvirt


class Killed(BaseException):
    """What no handler of the worker's catches."""


def plan(admin, store, kvt):
    wanted = NewGuest(name=f"{kvt}-web", vcpus=1, memory_mib=64, disk_gib=1, pool=store.pk, has_network=False)
    return services.plan_guest(wanted, by=admin)


def recover(job: Job) -> Job:
    """What the next worker does, once the lease of the dead one has run out."""
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now())
    roll_back_dead_jobs()
    job.refresh_from_db()
    return job


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("module", "function"),
    [(volumes, "create_volume"), (domains, "define"), (power, "start")],
    ids=lambda each: str(each),
)
def test_death_at_each_step_of_a_creation(admin, store, kvt, virsh, volumes_in, monkeypatch, module, function, moment):
    job = services.create_guest(plan(admin, store, kvt), by=admin)
    real = getattr(module, function)

    def die(*args, **kwargs):
        if moment == "after":
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, function, die)
        with pytest.raises(Killed):
            create_guest.run_here(job)
    assert Job.objects.get().status == "running"

    job = recover(job)
    assert job.status == "failed"
    assert "worker was stopped" in job.error
    assert virsh("list", "--all", "--name").count(kvt) == 0
    assert volumes_in(store) == []
    assert not Guest.objects.exists()
    assert not JobUndo.objects.exists()
    roll_back_dead_jobs()  # once more changes nothing


@pytest.mark.parametrize("stage", ["volume", "start"])
def test_kill_9_for_real(kvt, directory, virsh, tmp_path, stage):
    environment = {**os.environ, "KVMWEB_VAR": str(tmp_path), "PYTHONPATH": str(settings.BASE_DIR)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.guests.killed_worker", *words]
        return subprocess.run(
            command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=200, check=False
        )

    died = run("work", f"{kvt}-store", str(directory), f"{kvt}-web", stage)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert any(directory.iterdir()), "the disk was made before it died"
    assert (kvt + "-web" in virsh("list", "--all", "--name")) == (stage != "volume")

    recovered = run("recover")
    assert recovered.returncode == 0, recovered.stderr
    found = json.loads(recovered.stdout.strip().splitlines()[-1])
    assert found["before"] == ["running"]
    assert (found["status"], found["guests"], found["journal"]) == ("failed", 0, 0)
    assert "taken back" in found["error"]
    assert f"{kvt}-web" not in virsh("list", "--all", "--name")
    assert list(directory.iterdir()) == []


def test_what_cannot_be_taken_back_now_is_tried_again(admin, store, kvt, virsh, volumes_in, monkeypatch):
    job = services.create_guest(plan(admin, store, kvt), by=admin)
    with monkeypatch.context() as patched:
        patched.setattr(power, "start", lambda *_args, **_kwargs: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            create_guest.run_here(job)
    uri, store.host.uri = store.host.uri, "qemu+unix:///system?socket=/nowhere"
    store.host.save()
    job = recover(job)
    assert "tried again" in job.error
    assert Guest.objects.get().name == f"{kvt}-web"  # what stays on the host keeps its page
    store.host.uri = uri
    store.host.save()
    JobUndo.objects.update(retry_at=timezone.now())
    roll_back_dead_jobs()
    JobUndo.objects.update(retry_at=timezone.now())
    roll_back_dead_jobs()
    assert not JobUndo.objects.exists()
    assert volumes_in(store) == []
    assert virsh("list", "--all", "--name").count(kvt) == 0
    assert not Guest.objects.exists()


@pytest.mark.parametrize("function", ["delete_volume", "undefine"])
def test_death_in_a_deletion_is_finished_by_the_next_worker(
    admin, store, kvt, virsh, volumes_in, monkeypatch, function
):
    job = services.create_guest(plan(admin, store, kvt), by=admin, start=False)
    create_guest.run_here(job)
    guest = Guest.objects.get()
    job = services.delete_guest(guest, by=admin, disks=["vda"])
    module = volumes if function == "delete_volume" else domains
    real = getattr(module, function)

    def done_and_dead(*args, **kwargs):
        real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, function, done_and_dead)
        with pytest.raises(Killed):
            delete_guest.run_here(job)
    job = recover(job)
    assert "The deletion was finished." in [line.text for line in job.log_lines]
    assert volumes_in(store) == []
    assert virsh("list", "--all", "--name").count(kvt) == 0
    guest.refresh_from_db()
    assert guest.is_deleted


def test_a_deletion_is_not_finished_when_the_guest_was_started_again(admin, store, kvt, virsh, volumes_in, monkeypatch):
    job = services.create_guest(plan(admin, store, kvt), by=admin, start=False)
    create_guest.run_here(job)
    job = services.delete_guest(Guest.objects.get(), by=admin, disks=["vda"])
    with monkeypatch.context() as patched:
        patched.setattr(volumes, "delete_volume", lambda *_args, **_kwargs: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            delete_guest.run_here(job)
    virsh("start", f"{kvt}-web")
    recover(job)
    assert virsh("domstate", f"{kvt}-web") == "running"
    assert len(volumes_in(store)) == 1
