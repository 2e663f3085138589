"""Disks that change hands, and what lies about."""

import subprocess
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiToken
from guests.disks import leftovers, services
from guests.disks import tasks as disk_tasks
from guests.inventory import refresh_guest
from guests.models import Disk, Guest
from jobs.models import Job
from storage.inventory import refresh_pool
from storage.models import Iso, Pool, Volume
from virt.errors import Invalid, WrongState

MIB = 2**20


def drive(path, target="vdb"):
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
        f"<target dev='{target}' bus='virtio'/><boot order='1'/></disk>"
    )


@pytest.fixture
def data(directory, store, conn):
    """A qcow2 in the pool."""
    path = directory / "data.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "8M"], check=True)
    refresh_pool(store.host, conn, store.name, rescan=True)
    return path


def given(guest, to, user, target="vdb"):
    job = services.reassign_disk(guest, target, to, by=user)
    disk_tasks.reassign_disk.run_here(job)
    job.refresh_from_db()
    return job


@pytest.mark.libvirt
@pytest.mark.parametrize("runs", [False, True])
def test_a_disk_goes_to_another_guest(operator, new_domain, ready_host, conn, virsh, data, runs):
    giver, taker = new_domain("giver", devices=drive(data)), new_domain("taker")
    if runs:
        virsh("start", taker)
    guest, to = refresh_guest(ready_host, conn, giver), refresh_guest(ready_host, conn, taker)
    job = given(guest, to, operator)
    assert job.status == "succeeded", job.error
    assert str(data) not in virsh("domblklist", giver)
    for flags in ((), ("--inactive",)):
        assert str(data) in virsh("domblklist", taker, *flags)
    assert "<boot" not in virsh("dumpxml", taker, "--inactive").split(str(data))[1].split("</disk>")[0]
    disk = Disk.objects.get(guest=to)
    assert (disk.volume.name, job.result["target"]) == ("data.qcow2", disk.target)
    assert not Disk.objects.filter(guest=guest).exists()


@pytest.mark.libvirt
def test_a_disk_that_the_other_guest_refuses_is_where_it_was(
    operator, new_domain, ready_host, conn, virsh, data, monkeypatch
):
    giver, taker = new_domain("giver", devices=drive(data)), new_domain("taker")
    guest, to = refresh_guest(ready_host, conn, giver), refresh_guest(ready_host, conn, taker)
    put_in = disk_tasks.put_in

    def refuse(conn, key, target, xml):
        if key == str(to.uuid):
            raise WrongState("No slot is free.")
        put_in(conn, key, target, xml)

    monkeypatch.setattr(disk_tasks, "put_in", refuse)
    job = given(guest, to, operator)
    assert (job.status, job.error) == ("failed", "No slot is free.")
    assert str(data) in virsh("domblklist", giver)
    assert str(data) not in virsh("domblklist", taker)
    assert Disk.objects.get(guest=guest).volume.name == "data.qcow2"
    assert not job.journal.exists()


@pytest.mark.libvirt
def test_an_image_that_points_elsewhere_is_not_given_to_anybody(operator, new_domain, ready_host, conn, virsh, data):
    giver, taker = new_domain("giver", devices=drive(data)), new_domain("taker")
    guest, to = refresh_guest(ready_host, conn, giver), refresh_guest(ready_host, conn, taker)
    evil = ["qemu-img", "rebase", "-u", "-F", "raw", "-b", "/etc/shadow", str(data)]
    subprocess.run(evil, check=True, capture_output=True)
    job = given(guest, to, operator)
    assert (job.status, job.error_code) == ("failed", "unsafe_image")
    assert "/etc/shadow" in job.error
    assert str(data) in virsh("domblklist", giver)


@pytest.fixture
def rows(local_host):
    """A pool and two guests, as rows."""
    pool = Pool.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="store", type="dir", is_active=True, target_path="/s"
    )
    guests = [Guest.objects.create(host=local_host, uuid=uuid.uuid4(), name=name) for name in ("web-01", "web-02")]
    return pool, *guests


def test_what_cannot_be_given_away(rows, operator):
    _pool, guest, to = rows
    Disk.objects.create(guest=guest, target="vda", source="/s/a")
    Disk.objects.create(guest=guest, target="sda", device="cdrom", source="/s/b")
    for target, taker, field in (("vdz", to, "target"), ("sda", to, "target"), ("vda", guest, "guest")):
        with pytest.raises(Invalid) as refused:
            services.reassign_disk(guest, target, taker, by=operator)
        assert refused.value.field == field
    assert not Job.objects.exists()


def test_the_page_and_rest_start_the_job(client, rows, operator, viewer):
    _pool, guest, to = rows
    Disk.objects.create(guest=guest, target="vda", source="/s/a")
    page = f"/guests/{guest.pk}/disks/vda/reassign/"
    client.force_login(operator)
    assert "web-02" in client.get(page).content.decode()
    assert client.post(page, {"guest": "nobody"}).status_code == 422
    assert client.post(page, {"guest": "web-02"}).status_code == 302
    Job.objects.all().delete()
    headers = {"HTTP_AUTHORIZATION": f"Bearer {ApiToken.issue(operator, 't', ApiToken.Scope.ADMINISTER)[1]}"}
    url = f"/api/v1/guests/{guest.pk}/disks/vda/reassign"
    started = client.post(url, {"guest": to.pk}, content_type="application/json", **headers)
    assert started.status_code == 202, started.content
    client.force_login(viewer)
    assert client.get(page).status_code == 404


def test_what_lies_about_is_found_at_a_constant_cost(client, rows, viewer, stranger):
    pool, guest, _to = rows

    def volume(name, **columns):
        return Volume.objects.create(pool=pool, name=name, path=f"/s/{name}", allocation_bytes=MIB, **columns)

    volume("idle")
    Iso.objects.create(volume=volume("debian.iso"))
    base, used = volume("base"), volume("used")
    top = volume("top", backing_path=base.path)
    lost = volume("lost", backing_path="/s/never")
    gone = volume("gone", missing_since=timezone.now() - timedelta(days=1))
    for number, (source, row) in enumerate(
        [("/s/used", used), ("/s/top", top), ("/s/lost", lost), ("/s/gone", gone), ("/elsewhere/x.img", None)]
    ):
        Disk.objects.create(guest=guest, target=f"vd{number}", source=source, volume=row)
    Pool.objects.create(host=pool.host, uuid=uuid.uuid4(), name="twin", type="dir", target_path="/s")
    found = leftovers.find(viewer)
    assert [each.name for each in found.unused] == ["idle"]
    assert (found.unused_count, found.unused_bytes) == (1, MIB)
    assert [each.source for each in found.in_no_pool] == ["/elsewhere/x.img"]
    assert [each.source for each in found.gone] == ["/s/gone"]
    assert [each.name for each in found.broken] == ["lost"]
    assert [each["target_path"] for each in found.twice] == ["/s"]
    assert leftovers.find(stranger).is_empty

    client.force_login(viewer)
    with CaptureQueriesContext(connection) as few:
        assert "/elsewhere/x.img" in client.get("/guests/leftovers/").content.decode()
    Volume.objects.bulk_create(Volume(pool=pool, name=f"v{n}", path=f"/s/v{n}") for n in range(200))
    with CaptureQueriesContext(connection) as many:
        client.get("/guests/leftovers/")
    assert len(many) == len(few)
    headers = {"HTTP_AUTHORIZATION": f"Bearer {ApiToken.issue(viewer, 't', ApiToken.Scope.READ)[1]}"}
    answer = client.get("/api/v1/guests/leftovers", **headers).json()
    assert (answer["unused_count"], answer["broken"][0]["name"], answer["twice"][0]["pools"]) == (201, "lost", 2)


@pytest.mark.libvirt
def test_no_guest_is_made_with_an_image_that_points_elsewhere(operator, ready_host, store, conn, virsh, data, kvt):
    from guests import services as guest_services
    from guests.plan import NewGuest
    from guests.tasks import create_guest

    evil = ["qemu-img", "rebase", "-u", "-F", "raw", "-b", "/etc/shadow", str(data)]
    subprocess.run(evil, check=True, capture_output=True)
    volume = Volume.objects.get(name="data.qcow2")
    plan = guest_services.plan_guest(
        NewGuest(name=f"{kvt}-new", os="debian12", volume=volume.pk, has_network=False), by=operator
    )
    job = guest_services.create_guest(plan, by=operator)
    create_guest.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "unsafe_image"), job.error
    assert f"{kvt}-new" not in virsh("list", "--all")
