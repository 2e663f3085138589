"""A guest boots its installer over HTTP from an image of the library, on an isolated network of a lab host."""

import asyncio
import ctypes
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from jobs.models import Job
from storage.inventory import refresh_pool
from storage.models import Iso
from storage.trees import services, tasks
from storage.trees.app import TreeApp
from tests.lab_hosts import running_lab

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


@pytest.fixture
def iso(pool, admin):
    """The small test guest's disc in the library, published for the isolated network."""
    assert IMAGE.is_file(), f"{IMAGE} is missing. script/test builds it, or: tests/lab/make-test-iso tests/.cache"
    shutil.copy(IMAGE, f"{pool.target_path}/installer.iso")
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
