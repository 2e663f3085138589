"""Changing guests and deleting them."""

import pytest

from guests import services
from guests.inventory import refresh_guest
from guests.models import DELETED, Guest
from guests.plan import NewGuest
from guests.tasks import change_guest, change_media, create_guest, delete_guest
from jobs.models import Busy, Job
from storage.inventory import refresh_pool
from storage.models import Iso, Volume
from virt import domains
from virt.errors import GuestExists, Invalid, WrongState

pytestmark = pytest.mark.libvirt
CDROM = "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"


def changed(guest: Guest, user, **changes: object) -> Job:
    job = services.change_guest(guest, changes, by=user)
    change_guest.run_here(job)
    job.refresh_from_db()
    guest.refresh_from_db()
    return job


def test_what_a_guest_is_called_and_how_big_it_is(operator, new_domain, ready_host, conn, virsh):
    guest = refresh_guest(ready_host, conn, new_domain())
    name = f"{guest.name}-b"
    job = changed(
        guest, operator, name=name, title="A & B", description="two\nlines", autostart=True, vcpus=2, memory_mib=48
    )
    assert (job.status, job.error) == ("succeeded", "")
    assert (guest.name, guest.title, guest.description) == (name, "A & B", "two\nlines")
    assert (guest.autostart, guest.vcpus, guest.memory_mib) == (True, 2, 48)
    assert "Max memory:     49152 KiB" in virsh("dominfo", name)
    assert "Autostart:      enable" in virsh("dominfo", name)
    assert virsh("desc", name, "--title") == "A & B"
    assert changed(guest, operator, vcpus=2).result["changed"] == []


def test_a_running_guest_changes_at_its_next_start(operator, new_domain, ready_host, conn, virsh):
    guest = refresh_guest(ready_host, conn, new_domain())
    virsh("start", guest.name)
    refresh_guest(ready_host, conn, guest.uuid)
    guest.refresh_from_db()
    job = changed(guest, operator, memory_mib=64)
    assert job.result["at_next_start"] == ["memory_mib"]
    assert (guest.needs_restart, guest.memory_mib) == (True, 32)
    with pytest.raises(WrongState, match="Shut it down"):
        services.change_guest(guest, {"name": "other"}, by=operator)


def test_a_change_that_fails_half_way_is_taken_back(operator, new_domain, ready_host, conn, virsh, monkeypatch):
    guest = refresh_guest(ready_host, conn, new_domain())

    real = domains.set_memory

    def refuse(conn, key, memory_mib, *, live=False):
        if memory_mib == 64:
            raise WrongState("Not now.")
        real(conn, key, memory_mib, live=live)

    monkeypatch.setattr(domains, "set_memory", refuse)
    job = changed(guest, operator, name=f"{guest.name}-b", title="New", memory_mib=64)
    assert (job.status, job.error) == ("failed", "Not now.")
    assert not guest.name.endswith("-b")
    assert guest.title == ""
    assert virsh("domuuid", guest.name) == str(guest.uuid)


@pytest.mark.parametrize(
    "changes",
    [
        {"vcpus": 0},
        {"vcpus": -1},
        {"vcpus": 10**9},
        {"memory_mib": -1},
        {"memory_mib": 10**9},
        {"name": "a/b"},
        {"name": "x" * 300},
        {"title": "x" * 300},
        {"description": "\x1b"},
        {},
    ],
)
def test_bad_changes_start_no_job(operator, ready_host, db, changes):
    guest = Guest.objects.create(host=ready_host, uuid="0" * 32, name="kvt-x", is_emulated=True)
    with pytest.raises(Invalid):
        services.change_guest(guest, changes, by=operator)
    assert not Job.objects.exists()


def test_a_name_of_another_guest_is_refused(operator, ready_host, db):
    Guest.objects.create(host=ready_host, uuid="1" * 32, name="taken")
    guest = Guest.objects.create(host=ready_host, uuid="0" * 32, name="kvt-x")
    with pytest.raises(GuestExists):
        services.change_guest(guest, {"name": "taken"}, by=operator)


@pytest.mark.parametrize("running", [False, True])
def test_a_disc_goes_in_and_out(operator, store, new_domain, conn, virsh, running):
    virsh("vol-create-as", store.name, "disc.iso", "1M", "--format", "raw")
    refresh_pool(store.host, conn, store.name)
    iso = Iso.objects.get(volume__name="disc.iso")
    guest = refresh_guest(store.host, conn, new_domain(devices=CDROM))
    if running:
        virsh("start", guest.name)
        guest = refresh_guest(store.host, conn, guest.uuid)
    for disc, path in ((iso, iso.volume.path), (None, "")):
        job = services.change_media(guest, "sda", disc, by=operator)
        change_media.run_here(job)
        job.refresh_from_db()
        assert (job.status, job.error) == ("succeeded", "")
        assert guest.disks.get(target="sda").source == path
        assert (
            (path in virsh("domblklist", guest.name)) if path else ("disc.iso" not in virsh("domblklist", guest.name))
        )
        assert not Guest.objects.get().needs_restart
    with pytest.raises(Invalid):
        services.change_media(guest, "vdz", iso, by=operator)


@pytest.fixture
def made(operator, store, kvt) -> Guest:
    wanted = NewGuest(
        name=f"{kvt}-web", vcpus=1, memory_mib=64, disk_gib=1, pool=store.pk, has_network=False, start=False
    )
    job = services.create_guest(services.plan_guest(wanted, by=operator), by=operator, start=False)
    create_guest.run_here(job)
    return Guest.objects.get()


def delete(guest: Guest, user, **how: object) -> Job:
    job = services.delete_guest(guest, by=user, **how)
    delete_guest.run_here(job)
    job.refresh_from_db()
    guest.refresh_from_db()
    return job


def test_deleting_keeps_disks_that_are_not_chosen(operator, made, store, virsh, volumes_in):
    assert delete(made, operator).status == "succeeded"
    assert made.name not in virsh("list", "--all", "--name")
    assert len(volumes_in(store)) == 1
    assert (made.state, made.state_reason) == ("missing", DELETED)
    assert not Guest.objects.listed().exists()


def test_deleting_takes_chosen_disks_with_it(operator, made, store, virsh, volumes_in):
    job = delete(made, operator, disks=["vda"])
    assert (job.status, job.error) == ("succeeded", "")
    assert volumes_in(store) == []
    assert not Volume.objects.filter(missing_since=None).exists()


def test_a_running_guest_is_deleted_by_force_only(operator, made, store, virsh, volumes_in, conn):
    virsh("start", made.name)
    made = refresh_guest(store.host, conn, made.uuid)
    with pytest.raises(WrongState):
        services.delete_guest(made, by=operator)
    Guest.objects.update(state="shutoff")  # the row is old: the job looks for itself
    stale = Guest.objects.get()
    job = delete(stale, operator, disks=["vda"])
    assert (job.status, job.error_code) == ("failed", "wrong_state")
    assert virsh("domstate", made.name) == "running"
    made.refresh_from_db()
    job = delete(made, operator, disks=["vda"], force=True)
    assert (job.status, job.error) == ("succeeded", "")
    assert volumes_in(store) == []


def test_a_disk_that_another_guest_has_is_kept(operator, made, store, new_domain, virsh, volumes_in):
    path = made.disks.get(target="vda").source
    new_domain(
        "other",
        devices=f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
        "<target dev='vda' bus='virtio'/></disk>",
    )
    job = delete(made, operator, disks=["vda"])
    assert (job.status, job.error_code) == ("failed", "volume_in_use")
    assert "-other" in job.error
    assert len(volumes_in(store)) == 1
    assert made.name in virsh("list", "--all", "--name")  # nothing of it was done


def test_a_disk_that_another_volume_lies_on_is_kept(operator, made, store, virsh, volumes_in):
    base = made.disks.get(target="vda").volume.name
    virsh("vol-create-as", store.name, "top.qcow2", "1G", "--format", "qcow2", "--backing-vol", base,
          "--backing-vol-format", "qcow2")  # fmt: skip
    job = delete(made, operator, disks=["vda"])
    assert (job.status, job.error_code) == ("failed", "volume_in_use")
    assert "top.qcow2" in job.error
    assert made.name in virsh("list", "--all", "--name")


def test_what_is_no_disk_of_it_cannot_be_deleted(operator, made):
    for target in ("sda", "vdz", "../../etc/passwd"):
        with pytest.raises(Invalid):
            services.delete_guest(made, by=operator, disks=[target])


def test_a_busy_guest_is_not_deleted(operator, made):
    services.power(made, "start", by=operator)
    with pytest.raises(Busy):
        services.delete_guest(made, by=operator)


def test_only_what_is_gone_can_be_forgotten(admin, operator, made, virsh):
    with pytest.raises(WrongState):
        services.forget_guest(made, by=admin)
    delete(made, operator)
    services.forget_guest(made, by=admin)
    assert not Guest.objects.exists()
