"""The disk of a running guest is grown, moved and copied under it; the guest itself says so, on its serial port."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid as uuid_module
from pathlib import Path

import pytest

from guests.inventory import refresh_guest
from guests.models import Disk
from jobs.models import Job
from storage import copy_tasks, services
from storage.models import Volume
from tests.storage.conftest import run
from tests.story.conftest import CACHE, Serial
from virt import disk_copy

pytestmark = pytest.mark.libvirt
MIB = 1024**2


class Asked(Serial):
    """A shell in the guest: `ask(command)` gives what it wrote."""

    def ask(self, command: str) -> str:
        mark = uuid_module.uuid4().hex[:8]
        self.text = ""
        os.write(self.descriptor, f"{command}; echo {mark[:4]}''{mark[4:]}\n".encode())
        return self.wait_for(mark, seconds=120).split(mark)[0]


@pytest.fixture
def boots(virsh, local_host):
    """boots(volume) -> (guest row, its shell): the test guest, on its feet, with the volume as vda."""
    directory = Path(tempfile.mkdtemp(prefix="kvmweb-test-", dir="/var/tmp"))
    directory.chmod(0o755)
    made = []

    def boot(volume):
        for part in ("vmlinuz", "initrd"):
            if not (CACHE / f"kvmweb-test.{part}").is_file():
                pytest.skip(f"tests/.cache/kvmweb-test.{part} is missing: script/test builds it")
            shutil.copy(CACHE / f"kvmweb-test.{part}", directory / part)
        name = f"kvt-{uuid_module.uuid4().hex[:8]}"
        words = (CACHE / "kvmweb-test.cmdline").read_text().strip()
        xml = directory / "guest.xml"
        xml.write_text(
            f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>"
            f"<os><type arch='x86_64' machine='pc'>hvm</type><kernel>{directory}/vmlinuz</kernel>"
            f"<initrd>{directory}/initrd</initrd><cmdline>{words}</cmdline></os><features><acpi/></features><devices>"
            f"<disk type='file' device='disk'><driver name='qemu' type='{volume.format}'/>"
            f"<source file='{volume.path}'/><target dev='vda' bus='virtio'/></disk>"
            "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
            f"<console type='pty'/></devices></domain>"
        )
        virsh("define", str(xml))
        made.append((name, None))
        virsh("start", name)
        shell = Asked(name)
        made.append((name, shell))
        shell.wait_for("READY", seconds=240)
        shell.ask("true")
        with local_host.connect() as conn:
            guest = refresh_guest(local_host, conn, virsh("domuuid", name))
        return guest, shell

    yield boot
    for name, shell in made:
        if shell:
            shell.close()
        virsh("destroy", name, check=False)
        virsh("undefine", name, check=False)
    shutil.rmtree(directory)


def wait_until(question, seconds=40):
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


def make(pool, admin, name="live.qcow2", mib=64, **options):
    job = run(services.create_volume(pool, name, mib * MIB, by=admin, **options))
    assert job.status == "succeeded", job.error
    return Volume.objects.get(pk=job.result["volume_id"])


def image(path):
    return json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", str(path)]))


def test_grow_clone_and_move_under_a_running_guest(new_pool, admin, boots, virsh):
    here, there = new_pool(), new_pool()
    volume = make(here, admin)
    guest, shell = boots(volume)
    assert Disk.objects.get(guest=guest).volume == volume
    assert "131072" in shell.ask("cat /sys/block/vda/size")

    grown = run(services.resize_volume(volume, 96 * MIB, by=admin))
    assert grown.status == "succeeded", grown.error
    assert "196608" in shell.ask("sleep 1; cat /sys/block/vda/size")
    volume.refresh_from_db()
    assert volume.capacity_bytes == 96 * MIB

    shell.ask("echo written-before > /mnt/data/note; sync")
    wait_until(lambda: "state='connected'" in virsh("dumpxml", guest.name))
    copied = run(services.copy_volume(volume, there, "clone.raw", by=admin, image_format="raw"))
    assert copied.status == "succeeded", copied.error
    assert any("held still" in line.text for line in copied.log_lines)
    clone = Volume.objects.get(pk=copied.result["volume_id"])
    assert (clone.format, clone.capacity_bytes, clone.pool) == ("raw", 96 * MIB, there)
    assert b"written-before" in Path(clone.path).read_bytes()
    assert Disk.objects.get(guest=guest).volume == volume

    moved = run(services.move_volume(volume, there, by=admin))
    assert moved.status == "succeeded", moved.error
    new = Volume.objects.get(pk=moved.result["volume_id"])
    assert new.pool == there
    assert not Path(volume.path).exists()
    assert not Volume.objects.filter(pk=volume.pk).exists()
    assert Disk.objects.get(guest=guest).volume == new
    for flags in ((), ("--inactive",)):
        assert new.path in virsh("domblklist", guest.name, *flags)
    shell.ask("echo 3 > /proc/sys/vm/drop_caches")
    assert "written-before" in shell.ask("cat /mnt/data/note")
    shell.ask("echo written-after > /mnt/data/note2; sync")
    virsh("destroy", guest.name)
    assert image(new.path)["virtual-size"] == 96 * MIB
    subprocess.run(["qemu-img", "convert", "-O", "raw", new.path, f"{there.target_path}/check.raw"], check=True)
    assert b"written-after" in Path(there.target_path, "check.raw").read_bytes()


def test_a_live_move_that_is_cancelled_or_whose_worker_dies_leaves_the_guest_as_it_was(
    new_pool, admin, new_guest, virsh, monkeypatch, local_host
):
    from datetime import timedelta

    from django.utils import timezone

    from jobs.runner import roll_back_dead_jobs

    here, there = new_pool(), new_pool()
    volume = make(here, admin)
    name = new_guest(volume.path, start=True)
    with local_host.connect() as conn:
        guest = refresh_guest(local_host, conn, virsh("domuuid", name))
    job = services.move_volume(volume, there, by=admin)
    report = copy_tasks.reporter

    def cancel(running):
        running.row.request_cancel(admin)
        return lambda done, total: running.check_cancelled()

    monkeypatch.setattr(copy_tasks, "reporter", cancel)
    run(job)
    assert job.status == "cancelled", job.error
    assert list(Path(there.target_path).iterdir()) == []
    assert volume.path in virsh("domblklist", name)
    assert "<mirror" not in virsh("dumpxml", name)

    class Killed(BaseException):
        """The process is gone, and cleans nothing up."""

    def die(running):
        def report(done, total):
            raise Killed

        return report

    monkeypatch.setattr(copy_tasks, "reporter", die)
    monkeypatch.setattr(disk_copy, "stop_copy", lambda *_arguments: None)
    job = services.move_volume(volume, there, by=admin)
    with pytest.raises(Killed):
        copy_tasks.move_volume.run_here(job)
    assert "<mirror" in virsh("dumpxml", name)
    monkeypatch.undo()
    assert copy_tasks.reporter is report
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    roll_back_dead_jobs()
    job.refresh_from_db()
    assert (job.status, job.journal.exists()) == ("failed", False)
    assert list(Path(there.target_path).iterdir()) == []
    assert "<mirror" not in virsh("dumpxml", name)
    assert volume.path in virsh("domblklist", name)
    assert Disk.objects.get(guest=guest).volume == volume


def test_a_live_copy_into_a_pool_that_fills_up_leaves_nothing(new_pool, admin, new_guest, virsh, local_host):
    here, there = new_pool(), new_pool(size_mib=24)
    volume = make(here, admin, mib=96)
    job = services.move_volume(volume, there, by=admin)
    subprocess.run(["qemu-io", "-c", "write -P 9 0 40M", volume.path], check=True, stdout=subprocess.DEVNULL)
    name = new_guest(volume.path, start=True)
    run(job)
    assert (job.status, job.error_code) == ("failed", "pool_full"), job.error
    assert list(Path(there.target_path).iterdir()) == []
    assert volume.path in virsh("domblklist", name)
    assert virsh("domstate", name) == "running"


def test_a_disk_of_a_guest_that_is_off_moves_with_its_definition(new_pool, admin, new_guest, virsh, local_host):
    here, there = new_pool(), new_pool()
    volume = make(here, admin)
    subprocess.run(["qemu-io", "-c", "write -P 9 1M 2M", volume.path], check=True, stdout=subprocess.DEVNULL)
    name = new_guest(volume.path)
    with local_host.connect() as conn:
        guest = refresh_guest(local_host, conn, virsh("domuuid", name))
    job = run(services.move_volume(volume, there, by=admin, name="moved.raw", image_format="raw"))
    assert job.status == "succeeded", job.error
    assert f"{there.target_path}/moved.raw" in virsh("domblklist", name)
    assert "type='raw'" in virsh("dumpxml", name)
    disk = Disk.objects.get(guest=guest)
    assert (disk.volume.name, disk.format) == ("moved.raw", "raw")
    assert not Path(volume.path).exists()
    assert Path(disk.volume.path).read_bytes()[MIB : 3 * MIB] == b"\x09" * 2 * MIB
    virsh("start", name)


def test_a_worker_that_dies_after_the_original_is_gone_loses_nothing(new_pool, admin, monkeypatch):
    from datetime import timedelta

    from django.utils import timezone

    from jobs.runner import roll_back_dead_jobs

    here, there = new_pool(), new_pool()
    volume = make(here, admin)
    subprocess.run(["qemu-io", "-c", "write -P 9 1M 2M", volume.path], check=True, stdout=subprocess.DEVNULL)
    job = services.move_volume(volume, there, by=admin)

    class Killed(BaseException):
        """The process is gone."""

    def die(*_topics):
        raise Killed

    monkeypatch.setattr(copy_tasks, "publish", die)  # the first thing that is done after the original was deleted
    with pytest.raises(Killed):
        copy_tasks.move_volume.run_here(job)
    monkeypatch.undo()
    assert not Path(volume.path).exists()
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    roll_back_dead_jobs()
    job.refresh_from_db()
    assert (job.status, job.journal.exists()) == ("failed", False)
    moved = Path(there.target_path, volume.name)
    subprocess.run(["qemu-io", "-r", "-c", "read -P 9 1M 2M", str(moved)], check=True, stdout=subprocess.DEVNULL)


def test_killing_the_copying_qemu_leaves_nothing_behind(new_pool, admin, monkeypatch):
    here, there = new_pool(), new_pool()
    volume = make(here, admin, name="data.raw", mib=64, image_format="raw")
    subprocess.run(["qemu-io", "-f", "raw", "-c", "write -P 9 0 64M", volume.path], check=True, capture_output=True)

    def kill(running):
        def report(done, total):
            found = subprocess.run(["pgrep", "-f", "guest=kvmweb-copy-"], capture_output=True, text=True).stdout.split()
            subprocess.run(["kill", "-9", *found], check=False)

        return report

    monkeypatch.setattr(copy_tasks, "reporter", kill)
    monkeypatch.setattr(disk_copy, "_is_ready", lambda *_arguments: False)
    job = run(services.copy_volume(volume, there, "copy.raw", by=admin))
    assert job.status == "failed"
    assert "internal" not in job.error_code, job.error
    assert list(Path(there.target_path).iterdir()) == []
    assert not Volume.objects.filter(name="copy.raw").exists()
    assert Path(volume.path).read_bytes()[:16] == b"\x09" * 16
