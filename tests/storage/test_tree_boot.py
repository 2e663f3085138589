"""Guests boot their installer from an image of the library, on an isolated network of a lab host: by hand over PXE, and
made by the wizard, whose kernel stays for the first start only."""

import asyncio
import ctypes
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import uvicorn

from guests import services as guest_services
from guests.models import Guest
from guests.plan import NewGuest
from guests.sheets import refresh_sheets
from guests.tasks import create_guest
from hosts.inventory import refresh_facts
from hosts.models import Host
from jobs.models import Job
from networking.inventory import sync_networks
from storage.inventory import refresh_pool
from storage.models import Iso
from storage.trees import services, tasks
from storage.trees.app import TreeApp
from tests.lab_hosts import running_lab
from virt.console import open_console
from virt.networks import list_networks

pytestmark = [pytest.mark.libvirt, pytest.mark.django_db(transaction=True)]
IMAGE = Path(__file__).resolve().parent.parent / ".cache" / "kvmweb-test.iso"
HOST, PORT = "10.77.93.1", 8093
CLONE_NEWNET = 0x40000000
BOOTS_IN_S = 120


@pytest.fixture
def directory():
    path = Path(tempfile.mkdtemp(prefix="kvmweb-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


TREEINFO = """[general]
family = Fedora
version = 40
arch = x86_64
[images-x86_64]
kernel = boot/vmlinuz
initrd = boot/initrd.gz
"""


@pytest.fixture
def iso(pool, admin):
    """The small test guest's disc in the library, published for the isolated network."""
    assert IMAGE.is_file(), f"{IMAGE} is missing. script/test builds it, or: tests/lab/make-test-iso tests/.cache"
    shutil.copy(IMAGE, f"{pool.target_path}/installer.iso")
    return published(pool, admin)


@pytest.fixture
def yum_iso(pool, admin, tmp_path):
    """The same as a distribution of the Red Hat family would have it."""
    (tmp_path / "treeinfo").write_text(TREEINFO)
    (tmp_path / "repomd.xml").write_text("<repomd/>")
    words = ["xorriso", "-indev", str(IMAGE), "-outdev", f"{pool.target_path}/installer.iso"]
    words += ["-map", str(tmp_path / "treeinfo"), "/.treeinfo"]
    words += ["-map", str(tmp_path / "repomd.xml"), "/repodata/repomd.xml"]
    subprocess.run(words, check=True, capture_output=True)
    return published(pool, admin)


def published(pool, admin) -> Iso:
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)
    iso = Iso.objects.get()
    iso.volume.refresh_from_db()
    Job.objects.all().delete()  # the check of the new image, which is not what this is about
    job = services.publish_tree(iso, "10.77.93.0/24", by=admin)
    tasks.publish_tree.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.result["kernel"]) == ("succeeded", "boot/vmlinuz"), job.error
    return iso


def listen_in(namespace: str) -> socket.socket:
    """A listening socket of a network namespace: it stays there whoever uses it."""
    made: list[socket.socket] = []

    def make() -> None:
        with Path(namespace).open() as handle:
            if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.create_server((HOST, PORT)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


class Served:
    """The tree's application, and what was asked of it."""

    def __init__(self) -> None:
        self.app = TreeApp()
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            self.asked.append((scope["client"][0], scope["path"]))
            await self.app(scope, receive, send)


@pytest.mark.timeout(240)
def test_a_guest_boots_its_installer_over_http_from_an_image_of_the_library(iso, directory):
    serial = directory / "serial.log"
    (directory / "net.xml").write_text(
        "<network><name>kvt-isolated</name><bridge name='kvtbr93'/>"
        f"<ip address='{HOST}' netmask='255.255.255.0'><dhcp><range start='10.77.93.100' end='10.77.93.120'/>"
        f"<bootp file='http://{HOST}:{PORT}/tree/{iso.pk}.ipxe'/></dhcp></ip></network>"
    )
    (directory / "guest.xml").write_text(
        "<domain type='qemu'><name>kvt-netboot</name><memory unit='MiB'>512</memory><vcpu>1</vcpu>"
        "<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='network'/></os><features><acpi/></features>"
        "<devices><interface type='network'><source network='kvt-isolated'/><model type='virtio'/></interface>"
        f"<serial type='file'><source path='{serial}'/></serial></devices></domain>"
    )
    served = Served()
    with running_lab(net="192.168.193") as lab:
        lab.virsh(1, "net-create", str(directory / "net.xml"))
        with listen_in("/run/netns/lh1") as listener:
            config = uvicorn.Config(served, log_level="warning", lifespan="off")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
            thread.start()
            try:
                lab.virsh(1, "create", str(directory / "guest.xml"))
                said = wait_for(serial, "KVMWEB-TEST NET", BOOTS_IN_S)
            finally:
                lab.run("exec", "1", "virsh", "destroy", "kvt-netboot", check=False)
                server.should_exit = True
                thread.join(20)
    assert "KVMWEB-TEST READY" in said
    assert "KVMWEB-TEST NET eth0 10.77.93.1" in said  # and it is on that network
    asked = [path for client, path in served.asked if client.startswith("10.77.93.1")]
    base = f"/tree/{iso.pk}"
    assert asked[:3] == [f"{base}.ipxe", f"{base}/boot/vmlinuz", f"{base}/boot/initrd.gz"]


def wait_for(file: Path, words: str, seconds: float) -> str:
    end = time.monotonic() + seconds
    while True:
        text = file.read_text(errors="replace") if file.exists() else ""
        if words in text:
            return text
        assert time.monotonic() < end, f"the guest said: {text[-2000:]}"
        time.sleep(0.3)


@pytest.mark.timeout(240)
def test_the_wizard_installs_a_guest_from_a_published_tree(yum_iso, directory, admin):
    """Kernel and initrd go to a pool of the guest's host, are booted once, and are gone afterwards."""
    (directory / "net.xml").write_text(
        "<network><name>kvt-trees</name><bridge name='kvtbr94'/>"
        f"<ip address='{HOST}' netmask='255.255.255.0'><dhcp><range start='10.77.93.100' end='10.77.93.120'/></dhcp>"
        "</ip></network>"
    )
    served = Served()
    with running_lab(net="192.168.193") as lab, ExitStack() as stack:
        lab.virsh(1, "net-create", str(directory / "net.xml"))
        lab.virsh(1, "pool-create-as", "kvt-far", "dir", "--target", "/var/lib/libvirt/images")
        listener = stack.enter_context(listen_in("/run/netns/lh1"))
        server = uvicorn.Server(uvicorn.Config(served, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            host = Host.objects.create(name="far", uri=lab.uri(1), state="connected")
            with host.connect() as conn:
                refresh_facts(host, conn)
                refresh_sheets(host, conn)
                sync_networks(host, list_networks(conn), complete=True)
                pool = refresh_pool(host, conn, "kvt-far", rescan=True)
            host.kvm_works = False
            host.save()
            job = create(admin, host, pool, yum_iso)
            assert job.status == "succeeded", (job.error, job.error_details)
            guest = Guest.objects.get()
            with open_console(host.uri, guest.uuid) as console:
                shell = Shell(console)
                assert f"inst.repo=http://{HOST}:{PORT}/tree/{yum_iso.pk}/" in shell.ask("cat /proc/cmdline")
                assert "images-x86_64" in shell.ask(f"wget -qO- http://{HOST}:{PORT}/tree/{yum_iso.pk}/.treeinfo")
                assert lab.virsh(1, "vol-list", "kvt-far").split()[0::2] == ["kvt-tree-vda.qcow2"]
                assert "<kernel>" in lab.virsh(1, "dumpxml", "kvt-tree")
                assert "<kernel>" not in lab.virsh(1, "dumpxml", "--inactive", "kvt-tree")
                shell.say("reboot -f")
                wait_until(lambda: lab.virsh(1, "domstate", "kvt-tree") == "shut off")
        finally:
            lab.run("exec", "1", "virsh", "destroy", "kvt-tree", check=False)
            server.should_exit = True
            thread.join(20)


def create(admin, host, pool, iso) -> Job:
    """By the service that pages and REST call."""
    wanted = NewGuest(
        name="kvt-tree",
        host=host.pk,
        vcpus=1,
        memory_mib=512,
        pool=pool.pk,
        disk_gib=1,
        network=host.networks.get(name="kvt-trees").pk,
        tree=iso.pk,
        tree_base=f"http://{HOST}:{PORT}",
        tree_arguments="kvmweb.noformat console=ttyS0",
    )
    plan = guest_services.plan_guest(wanted, by=admin)
    assert "<kernel>" in plan.first_xml
    assert "<kernel>" not in plan.xml
    job = guest_services.create_guest(plan, by=admin)
    create_guest.run_here(job)
    job.refresh_from_db()
    return job


class Shell:
    """The shell that the test guest has on its serial port, over libvirt's stream."""

    def __init__(self, console) -> None:
        self.console, self.text = console, ""
        self.wait_for("KVMWEB-TEST NET", BOOTS_IN_S)

    def say(self, command: str) -> None:
        self.console.send(f"{command}\n".encode())

    def ask(self, command: str) -> str:
        """What the command wrote."""
        mark = uuid.uuid4().hex[:8]
        self.text = ""
        self.say(f"{command}; echo {mark[:4]}''{mark[4:]}")
        return self.wait_for(mark, 60)

    def wait_for(self, words: str, seconds: float) -> str:
        end = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < end, f"the guest said: {self.text[-2000:]}"
            with suppress(TimeoutError):
                self.text += self.console.recv(65536, timeout_s=1).decode(errors="replace")
        return self.text


def wait_until(question, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)
