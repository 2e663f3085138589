"""Making a guest: what the plan checks, what the job makes, and that nothing half-made stays."""

import pytest

from guests import services
from guests.models import Guest
from guests.plan import NewGuest
from guests.tasks import create_guest
from jobs.models import Job, JobUndo
from storage.models import Volume
from virt import domains
from virt.errors import GuestExists, Invalid, PoolFull, UserError

pytestmark = pytest.mark.libvirt


def wanted(kvt: str, **values: object) -> NewGuest:
    common = {"name": f"{kvt}-web", "vcpus": 1, "memory_mib": 64, "disk_gib": 1, "has_network": False}
    return NewGuest(**{**common, **values})  # type: ignore[arg-type]


def create(user, what: NewGuest) -> Job:
    plan = services.plan_guest(what, by=user)
    job = services.create_guest(plan, by=user, start=what.start)
    create_guest.run_here(job)
    job.refresh_from_db()
    return job


def test_a_guest_is_made_and_started(admin, store, kvt, virsh, volumes_in):
    plan = services.plan_guest(wanted(kvt, pool=store.pk, os="debian12", title="The web"), by=admin)
    job = services.create_guest(plan, by=admin)
    guest = Guest.objects.get()
    assert (guest.state, guest.name, guest.uuid) == ("creating", f"{kvt}-web", plan.uuid)
    assert {ref.kind for ref in job.objects_of.all()} == {"guest", "host"}

    create_guest.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error) == ("succeeded", "")
    assert job.result == {"guest_id": guest.pk, "uuid": str(plan.uuid)}
    assert virsh("domstate", f"{kvt}-web") == "running"
    assert virsh("domuuid", f"{kvt}-web") == str(plan.uuid)
    assert volumes_in(store) == [f"{kvt}-web-vda.qcow2"]
    guest.refresh_from_db()
    assert (guest.state, guest.is_emulated, guest.os_name, guest.title) == ("running", True, "Debian 12", "The web")
    disk = guest.disks.get(device="disk")
    assert disk.volume == Volume.objects.get(name=f"{kvt}-web-vda.qcow2")
    assert not JobUndo.objects.exists()
    assert "type='qemu'" in virsh("dumpxml", f"{kvt}-web")


def test_a_guest_with_an_odd_name_is_made(admin, store, kvt, virsh, volumes_in):
    name = f'{kvt}-网页 "01" <a&b>\''
    job = create(admin, wanted(kvt, name=name, pool=store.pk, start=False))
    assert (job.status, job.error) == ("succeeded", "")
    assert name in virsh("list", "--all", "--name")
    assert volumes_in(store)[0].endswith("-vda.qcow2")


def test_the_volume_of_a_guest_is_taken_over(admin, store, kvt, conn, virsh):
    virsh("vol-create-as", store.name, "old.qcow2", "1G", "--format", "qcow2")
    from storage.inventory import refresh_pool

    refresh_pool(store.host, conn, store.name)
    volume = Volume.objects.get(name="old.qcow2")
    job = create(admin, wanted(kvt, volume=volume.pk, disk_gib=None, start=False))
    assert (job.status, job.error) == ("succeeded", "")
    assert Guest.objects.get().disks.get(device="disk").volume == volume
    with pytest.raises(UserError, match=r"old\.qcow2"):  # it has a guest now
        services.plan_guest(wanted(kvt, name=f"{kvt}-b", volume=volume.pk, disk_gib=None), by=admin)


def test_a_name_that_is_taken_is_refused_before_anything_is_made(admin, store, kvt, volumes_in):
    create(admin, wanted(kvt, pool=store.pk, start=False))
    with pytest.raises(GuestExists) as raised:
        services.plan_guest(wanted(kvt, pool=store.pk), by=admin)
    assert (raised.value.status, raised.value.field) == (409, "name")
    assert len(volumes_in(store)) == 1


def test_a_name_that_only_libvirt_knows_of_is_refused_too(admin, store, kvt, new_domain, volumes_in, virsh):
    key = new_domain("web")
    job = create(admin, wanted(kvt, pool=store.pk))
    assert (job.status, job.error_code) == ("failed", "guest_exists")
    assert volumes_in(store) == []
    assert virsh("domuuid", f"{kvt}-web") == key  # the other one is untouched
    assert not Guest.objects.exists()


def test_two_at_once_cannot_have_one_name(admin, store, kvt):
    first = services.plan_guest(wanted(kvt, pool=store.pk), by=admin)
    second = services.plan_guest(wanted(kvt, pool=store.pk), by=admin)
    services.create_guest(first, by=admin)
    with pytest.raises(GuestExists):
        services.create_guest(second, by=admin)
    assert Guest.objects.count() == Job.objects.count() == 1


def test_a_disk_that_somebody_made_meanwhile_is_not_taken_back(admin, store, kvt, virsh, volumes_in):
    plan = services.plan_guest(wanted(kvt, pool=store.pk), by=admin)
    job = services.create_guest(plan, by=admin)
    virsh("vol-create-as", store.name, plan.disk.name, "1M")
    create_guest.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "volume_exists")
    assert volumes_in(store) == [plan.disk.name]
    assert virsh("list", "--all", "--name").count(kvt) == 0
    assert not Guest.objects.exists()


def test_a_start_that_fails_takes_all_of_it_back(admin, store, kvt, virsh, volumes_in):
    plan = services.plan_guest(wanted(kvt, pool=store.pk), by=admin)
    job = services.create_guest(plan, by=admin)
    job.arguments["xml"] = plan.xml.replace(
        "<memory", "<memtune><hard_limit unit='KiB'>4</hard_limit></memtune><memory"
    )
    job.save()
    create_guest.run_here(job)
    job.refresh_from_db()
    assert job.status == "failed", job.error
    assert volumes_in(store) == []
    assert virsh("list", "--all", "--name").count(kvt) == 0
    assert not Guest.objects.exists()
    assert not JobUndo.objects.exists()


def test_a_creation_cancelled_while_it_waits_leaves_no_row(admin, store, kvt):
    from jobs.runner import roll_back_dead_jobs

    plan = services.plan_guest(wanted(kvt, pool=store.pk), by=admin)
    job = services.create_guest(plan, by=admin)
    job.request_cancel(admin)
    roll_back_dead_jobs()
    assert not Guest.objects.exists()
    assert not JobUndo.objects.exists()


@pytest.mark.parametrize(
    ("values", "error", "field"),
    [
        ({"name": ""}, Invalid, "name"),
        ({"name": "a/b"}, Invalid, "name"),
        ({"name": "a\nb"}, Invalid, "name"),
        ({"name": "x" * 300}, Invalid, "name"),
        ({"name": ".."}, Invalid, "name"),
        ({"vcpus": 0}, Invalid, "vcpus"),
        ({"vcpus": -1}, Invalid, "vcpus"),
        ({"vcpus": 10**9}, Invalid, "vcpus"),
        ({"memory_mib": 0}, Invalid, "memory_mib"),
        ({"memory_mib": -5}, Invalid, "memory_mib"),
        ({"memory_mib": 10**9}, Invalid, "memory_mib"),
        ({"disk_gib": 0.5}, Invalid, "disk_gib"),
        ({"disk_gib": -1}, Invalid, "disk_gib"),
        ({"disk_gib": float("nan")}, Invalid, "disk_gib"),
        ({"disk_gib": float("inf")}, Invalid, "disk_gib"),
        ({"disk_gib": 10**6}, Invalid, "disk_gib"),
        ({"disk_gib": 64 * 1024}, PoolFull, "disk_gib"),
        ({"format": "vmdk"}, Invalid, "format"),
        ({"firmware": "coreboot"}, Invalid, "firmware"),
        ({"os": "no such system"}, Invalid, "os"),
        ({"pool": 10**12}, Invalid, "pool"),
        ({"iso": 10**12}, Invalid, "iso"),
        ({"volume": 10**12}, Invalid, "volume"),
        ({"host": 10**12}, Invalid, "host"),
        ({"has_network": True, "network": 10**12}, Invalid, "network"),
        ({"has_network": True, "bridge": 10**12}, Invalid, "bridge"),
        ({"title": "two\nlines"}, Invalid, "title"),
        ({"description": "\x00"}, Invalid, "description"),
    ],
)
def test_bad_input_is_refused_with_its_field(admin, store, kvt, values, error, field):
    with pytest.raises(error) as raised:
        services.plan_guest(wanted(kvt, **{"pool": store.pk, **values}), by=admin)
    assert raised.value.field == field
    assert str(raised.value).endswith(".")
    assert not Guest.objects.exists()


def test_the_plan_says_what_fits_and_what_will_be_slow(admin, store, kvt):
    store.host.memory_used_mib = store.host.memory_mib - 32
    store.host.save()
    plan = services.plan_guest(wanted(kvt, pool=store.pk, os="debian12", vcpus=store.host.cpus + 1), by=admin)
    texts = {check.text: check.verdict for check in plan.checks}
    assert any(verdict == "warn" and "emulated" in text for text, verdict in texts.items())
    assert any(verdict == "warn" and "do not fit now" in text for text, verdict in texts.items())
    assert any(verdict == "warn" and "More vCPUs" in text for text, verdict in texts.items())
    assert any(verdict == "info" and "nothing to boot" in text for text, verdict in texts.items())


def test_definitions_of_each_firmware_are_accepted(admin, store, kvt, conn):
    from guests.sheets import sheet_for

    for number, firmware in enumerate(sheet_for(store.host).firmwares):
        job = create(
            admin, wanted(kvt, name=f"{kvt}-{number}", pool=store.pk, firmware=firmware, os="debian12", start=False)
        )
        assert (job.status, job.error, job.error_details) == ("succeeded", "", "")
    found = {guest.firmware for guest in Guest.objects.all()}
    assert found == set(sheet_for(store.host).firmwares)
    assert all(domains.domain_info(conn, guest.uuid).is_persistent for guest in Guest.objects.all())
