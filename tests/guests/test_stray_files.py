"""Image files that lie in no pool: found through real libvirt, shown with who has them, adopted by a pool over them."""

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from guests.models import Disk, StrayFiles
from guests.strays import services, tasks
from jobs.models import Job
from storage.inventory import refresh_pool
from storage.models import Pool, Volume

from .rows import make_guest, make_host, make_pool

MIB = 1024**2


@pytest.fixture
def top() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kvmweb-test-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.libvirt
def test_what_lies_beside_disks_and_below_pools_is_found(top, admin, operator, client, virsh):
    pool_path, beside = top / "pool", top / "béside"
    deep = pool_path / "old" / "deeper"
    for path in (deep, beside):
        path.mkdir(parents=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(deep / "lost.qcow2"), "64M"], check=True)
    (pool_path / "seen.img").write_bytes(os.urandom(MIB))
    (pool_path / "old" / "notes.txt").write_text("no image")
    (beside / "used").write_bytes(os.urandom(2 * MIB))  # a guest says that it is one
    (beside / "spare.raw").write_bytes(os.urandom(3 * MIB))
    (beside / "passwd").write_text("no image")
    host, name = make_host("kvm-test", uri="qemu:///system"), f"kvt-{uuid.uuid4().hex[:8]}"
    virsh("pool-define-as", name, "dir", "--target", str(pool_path))
    virsh("pool-start", name)
    try:
        with host.connect() as conn:
            pool = refresh_pool(host, conn, name, rescan=True)
        guest = make_guest(host, "web-01")
        Disk.objects.create(guest=guest, target="vda", source=str(beside / "used"))
        Disk.objects.create(guest=guest, target="vdb", source="/dev/null")
        before = virsh("pool-list", "--all", "--name").split()
        job = services.look(host, by=admin)
        tasks.look_for_stray_files.run_here(job)
        job.refresh_from_db()
        assert job.status == "succeeded", job.error
        assert virsh("pool-list", "--all", "--name").split() == before
        found = services.places(host, StrayFiles.objects.get())
        assert [place.path for place in found] == [str(beside), str(deep)]
        assert [(file.name, file.used_by) for file in found[0].files] == [("spare.raw", []), ("used", ["web-01"])]
        assert (found[1].files[0].format, found[1].files[0].size_bytes) == ("qcow2", 64 * MIB)
        assert (timezone.now() - found[1].files[0].changed_at).total_seconds() < 600
        client.force_login(admin)
        page = client.get(f"/hosts/{host.pk}/stray-files/").content.decode()
        assert "spare.raw" in page
        form = client.get(found[0].pool_url).content.decode()
        assert str(beside) in form  # adopting is the form of a pool, filled in
        assert "name=b-side" in unquote(found[0].pool_url)
        answer = client.get(f"/api/v1/hosts/{host.pk}/stray-files").json()
        assert {Path(file["path"]).name for file in answer["files"]} == {"spare.raw", "used", "lost.qcow2"}
        Pool.objects.create(host=host, uuid=uuid.uuid4(), name="adopted", type="dir", target_path=str(beside))
        assert [place.path for place in services.places(host, StrayFiles.objects.get())] == [str(deep)]
        client.force_login(operator)  # what lies in a directory is an administrator's to see
        assert client.get(f"/hosts/{host.pk}/stray-files/").status_code == 404
        assert client.post(f"/api/v1/hosts/{host.pk}/stray-files").status_code == 404
        assert pool is not None
    finally:
        virsh("pool-destroy", name, check=False)
        virsh("pool-undefine", name, check=False)


@pytest.mark.libvirt
def test_what_cannot_be_looked_into_is_said(top, admin):
    host = make_host("kvm-test", uri="qemu:///system")
    guest = make_guest(host, "web-01")
    Disk.objects.create(guest=guest, target="vda", source=str(top / "gone" / "disk.img"))
    job = services.look(host, by=admin)
    tasks.look_for_stray_files.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.result["found"]) == ("succeeded", 0)
    assert str(top / "gone") in StrayFiles.objects.get().problem


def test_the_page_costs_the_same_for_many_files(client, admin, db):
    host = make_host()
    pool = make_pool(host)
    client.force_login(admin)

    def cost(files: int) -> int:
        entry = {"format": "qcow2", "size_bytes": 1, "allocation_bytes": 1, "changed_at": None}
        found = [{"path": f"/x/{number % 7}/{number}.img", **entry} for number in range(files)]
        StrayFiles.objects.update_or_create(host=host, defaults={"found": found})
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/hosts/{host.pk}/stray-files/").status_code == 200
        return len(queries)

    cost(1)
    assert cost(2) == cost(1000)
    Volume.objects.create(pool=pool, name="top", path="/srv/top", backing_path="/x/1/1.img")
    (stray,) = [f for place in services.places(host, StrayFiles.objects.get()) for f in place.files if f.overlays]
    assert (stray.path, stray.overlays) == ("/x/1/1.img", ["top"])
    assert client.post(f"/hosts/{host.pk}/stray-files/").status_code == 302
    assert Job.objects.get().kind == "look_for_stray_files"
