"""Guests that install from a tree at an address: real libvirt, and a web server of ours as the distribution's."""

from pathlib import Path

import pytest

from guests import services
from guests.models import Guest
from guests.plan import NewGuest
from guests.tasks import create_guest
from jobs.models import Job, JobUndo
from tests.storage import web as webs

pytestmark = pytest.mark.libvirt
KERNEL = Path(__file__).resolve().parent.parent / ".cache" / "kvmweb-test.vmlinuz"
TREEINFO = b"[general]\nfamily = Fedora\narch = x86_64\n[images-x86_64]\nkernel = k/vmlinuz\ninitrd = k/initrd.img\n"


@pytest.fixture
def web(settings):
    settings.FETCH_NETWORKS = ["127.0.0.1/32"]
    with webs.running() as running:
        yield running


@pytest.fixture
def make(admin, store, kvt):
    """`make(url)` has the guest made by the service that pages and REST call, and gives the job as it ended."""

    def run(url: str) -> Job:
        wanted = NewGuest(name=f"{kvt}-a", vcpus=1, memory_mib=128, pool=store.pk, disk_gib=1, tree_url=url)
        job = services.create_guest(services.plan_guest(wanted, by=admin), by=admin)
        create_guest.run_here(job)
        job.refresh_from_db()
        return job

    return run


def test_the_kernel_is_booted_once_and_is_gone(web, make, store, kvt, virsh, volumes_in):
    assert KERNEL.is_file(), f"{KERNEL} is missing: script/test builds it"
    web.files |= {"/f/.treeinfo": TREEINFO, "/f/k/vmlinuz": KERNEL.read_bytes(), "/f/k/initrd.img": b"\0" * 4096}
    job = make(web.url("/f/"))
    assert job.status == "succeeded", (job.error, job.error_details)
    now, then = virsh("dumpxml", f"{kvt}-a"), virsh("dumpxml", "--inactive", f"{kvt}-a")
    assert f"<kernel>{store.target_path}/{kvt}-a-install-kernel</kernel>" in now
    assert f"<cmdline>inst.repo={web.url('/f')}/ ip=dhcp</cmdline>" in now
    assert "<on_reboot>destroy</on_reboot>" in now
    assert "<kernel>" not in then
    assert "<on_reboot>restart</on_reboot>" in then
    assert virsh("domstate", f"{kvt}-a") == "running"
    assert volumes_in(store) == [f"{kvt}-a-vda.qcow2"]
    assert not JobUndo.objects.exists()
    virsh("destroy", f"{kvt}-a")
    assert "<kernel>" not in virsh("dumpxml", f"{kvt}-a")
    assert Guest.objects.get().persistent


def test_what_is_no_tree_leaves_nothing(web, make, store, kvt, virsh, volumes_in, settings):
    page = b"<!DOCTYPE html><html>Welcome</html>"
    web.files |= {"/page/images/pxeboot/vmlinuz": page, "/page/images/pxeboot/initrd.img": page}
    assert make(web.url("/page")).error_code == "no_kernel"
    assert make(web.url("/none")).error_code == "no_kernel"
    web.files |= {"/half/.treeinfo": TREEINFO, "/half/k/vmlinuz": KERNEL.read_bytes()}
    assert make(web.url("/half")).error_code == "no_kernel"
    web.files |= {"/evil/.treeinfo": TREEINFO, "/evil/k/vmlinuz": KERNEL.read_bytes()}
    web.redirects["/evil/k/initrd.img"] = "http://169.254.169.254/latest/meta-data"
    assert make(web.url("/evil")).error_code == "address_refused"
    assert volumes_in(store) == []
    assert not Guest.objects.exists()
    assert not JobUndo.objects.exists()
    assert f"{kvt}-a" not in virsh("list", "--all", "--name")


def test_a_start_that_fails_takes_the_kernel_back(web, make, store, volumes_in, monkeypatch):
    web.files |= {"/f/.treeinfo": TREEINFO, "/f/k/vmlinuz": b"MZ" + bytes(5000), "/f/k/initrd.img": b"\0" * 4096}
    job = make(web.url("/f"))
    assert job.status == "failed"
    assert volumes_in(store) == []
    assert not Guest.objects.exists()
    assert not JobUndo.objects.exists()
