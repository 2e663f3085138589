"""The network `default` on a host of its own: no test starts it on the machine itself."""

import shutil
import tempfile
from pathlib import Path

import pytest

from hosts import services
from hosts.models import Host
from hosts.tasks import prepare_host
from jobs.models import Job
from networking.models import Network
from storage.models import Pool
from tests.lab_hosts import running_lab

pytestmark = [pytest.mark.libvirt, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def place(settings):
    home = Path(tempfile.mkdtemp(prefix="kvmweb-test-prepare-", dir="/var/tmp"))
    settings.ISO_DIR, settings.STORE_DIR = str(home / "kvt-iso"), str(home / "kvt-store")
    yield home
    shutil.rmtree(home)


def test_a_bare_host_gets_its_network_and_its_pools_once(place):
    with running_lab() as lab:
        host = Host.objects.create(name="kvm1", uri=lab.uri(1), state=Host.State.CONNECTED)
        for _again in range(2):
            job = services.prepare_host(host, by=None)
            prepare_host.run_here(job)
            job.refresh_from_db()
            assert (job.status, job.result) == (Job.Status.SUCCEEDED, {"problems": []}), job.error
            info = " ".join(lab.virsh(1, "net-info", "default").split())
            assert "Active: yes" in info
            assert "Autostart: yes" in info
        assert lab.virsh(1, "net-list", "--all", "--name").split() == ["default"]
        assert Network.objects.get().is_active
        assert sorted(Pool.objects.values_list("name", "is_active")) == [("kvt-iso", True), ("kvt-store", True)]
