"""The job that makes what guests need: pools at their directories, the network. Safe to repeat."""

import shutil
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from hosts import services
from hosts.models import Host
from hosts.tasks import prepare_host
from inventory.preparation import ensure_pool
from jobs.models import Job
from networking import preparation as networking_preparation
from storage.models import Pool
from virt import connection
from virt.errors import VirtError

pytestmark = [pytest.mark.libvirt, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def place(virsh):
    """A directory for pools; those below it are gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="kvmweb-test-prepare-", dir="/var/tmp"))
    home.chmod(0o755)
    yield home
    for name in virsh("pool-list", "--all", "--name").split():
        if str(home) in virsh("pool-dumpxml", name):
            virsh("pool-destroy", name, check=False)
            virsh("pool-undefine", name)
    shutil.rmtree(home)


@pytest.fixture
def machine(settings, place, monkeypatch) -> Host:
    """The machine's libvirt, whose network `default` cannot be started: no test touches the machine's network."""
    unique = uuid4().hex[:8]
    settings.ISO_DIR, settings.STORE_DIR = str(place / f"kvt-iso-{unique}"), str(place / f"kvt-store-{unique}")

    def refuse(_conn):
        raise VirtError("Could not start network default: this machine cannot.", details="no bridges here")

    monkeypatch.setattr(networking_preparation, "ensure_default", refuse)
    return Host.objects.create(name="machine", uri="qemu:///system", state=Host.State.CONNECTED)


def prepare(machine: Host) -> Job:
    job = services.prepare_host(machine, by=None)
    prepare_host.run_here(job)
    job.refresh_from_db()
    return job


def test_pools_are_made_and_a_network_that_cannot_run_is_told(machine, settings, virsh):
    job = prepare(machine)
    assert job.status == Job.Status.SUCCEEDED, job.error
    assert job.result["problems"] == ["Could not start network default: this machine cannot."]
    log = " ".join(line.text for line in job.log_lines)
    assert "no bridges here" in log
    machine.refresh_from_db()
    assert machine.prepared_at
    for directory in (settings.ISO_DIR, settings.STORE_DIR):
        name = Path(directory).name
        assert Pool.objects.get(name=name).is_active
        assert f"<path>{directory}</path>" in virsh("pool-dumpxml", name)
        assert "yes" in virsh("pool-info", name).split("Autostart:")[1].split()[0]
        assert Path(directory).stat().st_uid == 0


def test_repeating_changes_nothing(machine, settings, virsh):
    prepare(machine)
    before = virsh("pool-list", "--all", "--details")
    name = Path(settings.STORE_DIR).name
    definition = virsh("pool-dumpxml", name)
    assert prepare(machine).status == Job.Status.SUCCEEDED
    assert virsh("pool-list", "--all", "--details") == before
    assert virsh("pool-dumpxml", name) == definition


def test_a_pool_of_that_name_elsewhere_is_left_alone(machine, settings, place, virsh):
    name = Path(settings.STORE_DIR).name
    (place / "elsewhere").mkdir()
    virsh("pool-define-as", name, "dir", "--target", str(place / "elsewhere"))
    assert prepare(machine).status == Job.Status.SUCCEEDED
    assert str(place / "elsewhere") in virsh("pool-dumpxml", name)
    assert settings.STORE_DIR in virsh("pool-dumpxml", f"{name}-2")


def test_a_pool_of_that_directory_keeps_its_own_name(machine, settings, place, virsh):
    own = f"kvt-own-{uuid4().hex[:6]}"
    Path(settings.STORE_DIR).mkdir()
    virsh("pool-define-as", own, "dir", "--target", settings.STORE_DIR)
    with connection.connect(machine.uri) as conn:
        assert ensure_pool(conn, settings.STORE_DIR).name == own
    assert "running" in virsh("pool-info", own)


def test_a_directory_that_cannot_be_made_fails_the_job_with_a_sentence(machine, settings, place):
    (place / "file").write_text("in the way")
    settings.STORE_DIR = str(place / "file" / f"kvt-{uuid4().hex[:6]}")
    job = prepare(machine)
    assert job.status == Job.Status.FAILED
    assert "Could not" in job.error
    assert Pool.objects.filter(name=Path(settings.ISO_DIR).name).exists()  # the others are made all the same
