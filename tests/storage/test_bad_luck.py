"""Bad luck that no other file has: an image that goes while a guest boots from it, a slow pool, a lost parent."""

import subprocess
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from guests import services as guest_services
from guests.inventory import refresh_guest
from guests.models import Guest
from guests.tasks import change_media, start_guest
from hosts.models import Host
from jobs.models import Busy, Job, JobUndo
from storage import services, tasks
from storage.inventory import refresh_pool
from storage.models import Iso, Volume
from tests.lab_hosts import running_lab
from tests.storage.conftest import run
from virt.errors import VolumeInUse

pytestmark = pytest.mark.libvirt
MIB = 1024**2
SLOW_MOUNT = """#!/bin/sh
sleep 6
exec /var/lib/libvirt/mount.real -t tmpfs -o size=8m tmpfs /var/lib/libvirt/images
"""


def look(pool):
    with pool.host.connect() as conn:
        return refresh_pool(pool.host, conn, pool.name, rescan=True)


def ended(task, job: Job) -> Job:
    task.run_here(job)
    job.refresh_from_db()
    return job


def test_an_iso_that_is_deleted_while_a_guest_boots_from_it(pool, admin, new_guest, build_iso, virsh):
    image = build_iso(Path(pool.target_path, "boot.iso"), "Ubuntu-Server 24.04 LTS amd64")
    look(pool)
    while job := Job.objects.active().first():
        assert run(job).status == "succeeded", job.error
    iso = Iso.objects.get()
    name = new_guest()
    virsh("attach-disk", name, str(image), "sda", "--type", "cdrom", "--mode", "readonly", "--config")
    virsh("start", name)
    with pool.host.connect() as conn:
        guest = refresh_guest(pool.host, conn, virsh("domuuid", name))
    with pytest.raises(VolumeInUse, match=name):
        services.delete_iso(iso, by=admin)
    image.unlink()  # beside kvmweb
    look(pool)
    iso.volume.refresh_from_db()
    assert iso.volume.missing_since
    assert virsh("domstate", name) == "running"  # it has the file open

    virsh("destroy", name)
    with pool.host.connect() as conn:
        refresh_guest(pool.host, conn, guest.uuid)
    job = ended(start_guest, guest_services.power(Guest.objects.get(), "start", by=admin))
    assert job.status == "failed"
    assert job.error_code != "internal_error"
    assert "boot.iso" in f"{job.error} {job.error_details}"
    job = ended(change_media, guest_services.change_media(Guest.objects.get(), "sda", None, by=admin))
    assert job.status == "succeeded", job.error
    job = ended(start_guest, guest_services.power(Guest.objects.get(), "start", by=admin))
    assert job.status == "succeeded", job.error


def test_an_overlay_whose_parent_is_missing(pool, admin):
    top, base = Path(pool.target_path, "top.qcow2"), Path(pool.target_path, "base.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "8M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(top)], check=True)
    base.unlink()
    look(pool)
    volume = Volume.objects.get(name="top.qcow2")
    assert volume.backing_path == str(base)
    job = run(services.copy_volume(volume, pool, "copy.qcow2", by=admin))
    assert job.status == "failed"
    assert job.error_code != "internal_error"
    assert "base.qcow2" in f"{job.error} {job.error_details}"
    assert [path.name for path in Path(pool.target_path).iterdir()] == ["top.qcow2"]
    assert not JobUndo.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_pool_that_takes_its_time_to_start(admin, client, settings):
    """Longer than any other call may take: the job waits for it, nobody else does, and it is not started twice."""
    settings.LIBVIRT_TIMEOUT_S = 3
    with running_lab(net="192.168.198") as lab:
        slow = Path(lab.environment["LAB_STATE"], "h1", "var-lib-libvirt", "mount")
        slow.write_text(SLOW_MOUNT)
        slow.chmod(0o755)
        lab.run("exec", "1", "cp", "/usr/bin/mount", "/var/lib/libvirt/mount.real")
        lab.run("exec", "1", "/var/lib/libvirt/mount.real", "--bind", "/var/lib/libvirt/mount", "/usr/bin/mount")
        lab.virsh(1, "pool-define-as", "slow", "netfs", "--source-host", "127.0.0.1", "--source-path", "/x",
                  "--source-format", "nfs", "--target", "/var/lib/libvirt/images")  # fmt: skip
        host = Host.objects.create(name="far", uri=lab.uri(1), state="connected")
        pool = look_at(host, "slow")
        job = services.start_pool(pool, by=admin)
        began = time.monotonic()
        worker = threading.Thread(target=work, args=(job,))
        worker.start()
        time.sleep(1)
        client.force_login(admin)
        assert client.get(f"/pools/{pool.pk}/").status_code == 200  # pages ask no host
        job.refresh_from_db()
        assert job.status == "running", (job.error, job.error_details)
        with pytest.raises(Busy):
            services.start_pool(pool, by=admin)
        worker.join(60)
        took = time.monotonic() - began
        job.refresh_from_db()
        assert job.status == "succeeded", (job.error, job.error_details)
        assert took > 6
        pool.refresh_from_db()
        assert pool.is_active
        assert "running" in lab.virsh(1, "pool-info", "slow")
        lab.virsh(1, "pool-destroy", "slow")


def look_at(host, name):
    with host.connect() as conn:
        return refresh_pool(host, conn, name)


def work(job: Job) -> None:
    """As a worker would, with a connection of its own to the database."""
    try:
        tasks.start_pool.run_here(job)
    finally:
        connection.close()
