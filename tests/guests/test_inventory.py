"""Rows follow what libvirt says: by a full look, by a look at the states only, and guest by guest."""

import uuid
from dataclasses import replace
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from guests.inventory import apply_addresses, apply_states, refresh_guest, sync_guests
from guests.models import Disk, Guest
from jobs.models import Job, JobObject
from networking.models import Network
from storage.models import Pool, Volume
from virt import domains, power
from virt.domain_reader import list_domains
from virt.types import GuestAddress

from .conftest import TINY

DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>"
    "<target dev='vda' bus='virtio'/></disk>"
)
POOLED = (
    "<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='kvt' volume='b.img'/>"
    "<target dev='vdb' bus='virtio'/></disk>"
)
NIC = (
    "<interface type='network'><mac address='52:54:00:aa:bb:01'/><source network='default'/>"
    "<model type='virtio'/></interface>"
)
CDROM = "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"

pytestmark = pytest.mark.libvirt


def ours(conn, kvt):
    return [info for info in list_domains(conn) if info.name.startswith(kvt)]


def synced(host, infos, *, complete):
    return [Guest.objects.get(pk=pk) for pk in sync_guests(host, infos, complete=complete)]


def test_a_guest_that_virsh_defined_gets_a_row_with_what_it_has(conn, kvt, new_domain, local_host):
    pool = Pool.objects.create(host=local_host, uuid=uuid.uuid4(), name="kvt", type="dir")
    by_path = Volume.objects.create(pool=pool, name="a.qcow2", path="/var/tmp/a.qcow2")
    by_name = Volume.objects.create(pool=pool, name="b.img", path="/var/tmp/b.img")
    network = Network.objects.create(host=local_host, uuid=uuid.uuid4(), name="default")
    new_domain(devices=DISK.format("/var/tmp/a.qcow2") + POOLED + CDROM + NIC)

    (guest,) = synced(local_host, ours(conn, kvt), complete=True)
    guest = Guest.objects.get(pk=guest.pk)
    assert (guest.name, guest.state, guest.vcpus, guest.memory_mib) == (f"{kvt}-guest", "shutoff", 1, 32)
    assert (guest.os_name, guest.is_emulated, guest.graphics, guest.arch) == ("Debian 12", True, "vnc", "x86_64")
    assert guest.firmware == "bios"
    assert guest.persistent
    assert not guest.needs_restart
    disks = {disk.target: (disk.device, disk.volume_id) for disk in guest.disks.all()}
    assert disks == {"vda": ("disk", by_path.pk), "vdb": ("disk", by_name.pk), "sda": ("cdrom", None)}
    assert [(nic.mac, nic.network_id) for nic in guest.nics.all()] == [("52:54:00:aa:bb:01", network.pk)]


def test_nothing_is_written_when_nothing_changed(conn, kvt, new_domain, local_host):
    new_domain(devices=CDROM + NIC)
    sync_guests(local_host, ours(conn, kvt), complete=True)
    infos = ours(conn, kvt)
    with CaptureQueriesContext(connection) as queries:
        assert sync_guests(local_host, infos, complete=True) == []
    assert not [q["sql"] for q in queries if q["sql"].split()[0] in ("INSERT", "UPDATE", "DELETE")]
    assert len(queries) < 12


def test_what_is_gone_is_missing_and_comes_back_under_the_same_row(conn, kvt, new_domain, local_host, virsh):
    key = new_domain()
    (guest,) = synced(local_host, ours(conn, kvt), complete=True)
    virsh("undefine", guest.name)
    (gone,) = synced(local_host, ours(conn, kvt), complete=True)
    gone.refresh_from_db()
    assert (gone.pk, gone.state) == (guest.pk, "missing")
    assert gone.missing_since
    assert sync_guests(local_host, ours(conn, kvt), complete=True) == []

    domains.define(conn, TINY.format(name=f"{kvt}-reborn", uuid=key, devices=""))
    back = refresh_guest(local_host, conn, UUID(key))
    assert (back.pk, back.name, back.state, back.missing_since) == (guest.pk, f"{kvt}-reborn", "shutoff", None)


def test_a_partial_look_marks_nothing_missing(conn, kvt, new_domain, local_host):
    new_domain("a")
    new_domain("b")
    infos = ours(conn, kvt)
    sync_guests(local_host, infos, complete=True)
    sync_guests(local_host, infos[:1], complete=False)
    assert not Guest.objects.exclude(missing_since=None).exists()


def test_renaming_keeps_the_row(conn, kvt, new_domain, local_host, virsh):
    key = new_domain("old")
    (guest,) = synced(local_host, ours(conn, kvt), complete=True)
    virsh("domrename", f"{kvt}-old", f"{kvt}-new")
    assert apply_states(local_host, [s for s in domains.domain_states(conn) if s.uuid == key]) == {UUID(key)}
    assert refresh_guest(local_host, conn, key).pk == guest.pk
    assert Guest.objects.get().name == f"{kvt}-new"


def test_states_are_followed_cheaply(conn, kvt, new_domain, local_host, virsh):
    key = new_domain(devices=CDROM)
    (guest,) = synced(local_host, ours(conn, kvt), complete=True)

    def look() -> set[UUID]:
        return apply_states(local_host, [s for s in domains.domain_states(conn) if s.uuid == key])

    assert look() == set()
    virsh("start", guest.name)
    assert look() == {UUID(key)}  # switched on: another definition counts now
    assert refresh_guest(local_host, conn, key).state == "running"
    Guest.objects.update(cpu_percent=50.0, addresses=[{"address": "10.0.0.1", "source": "lease", "mac": ""}])
    virsh("suspend", guest.name)
    assert look() == set()
    guest.refresh_from_db()
    assert (guest.state, guest.cpu_percent) == ("paused", 50.0)
    virsh("destroy", guest.name)
    assert look() == {UUID(key)}
    guest.refresh_from_db()
    assert (guest.state, guest.cpu_percent, guest.addresses) == ("shutoff", None, [])
    virsh("undefine", guest.name)
    assert look() == {UUID(key)}
    assert refresh_guest(local_host, conn, key) is None


def test_saved_and_crashed_are_told_from_shut_off(conn, kvt, new_domain, local_host, virsh):
    key = new_domain()
    virsh("start", f"{kvt}-guest")
    sync_guests(local_host, ours(conn, kvt), complete=True)
    virsh("managedsave", f"{kvt}-guest")

    def look() -> str:
        apply_states(local_host, [s for s in domains.domain_states(conn) if s.uuid == key])
        return Guest.objects.get().state

    assert look() == "saved"
    assert refresh_guest(local_host, conn, key).state == "saved"
    virsh("managedsave-remove", f"{kvt}-guest")
    assert refresh_guest(local_host, conn, key).state == "shutoff"
    assert look() == "shutoff"
    (off,) = [replace(s, reason="crashed") for s in domains.domain_states(conn) if s.uuid == key]
    apply_states(local_host, [off])
    assert Guest.objects.get().state == "crashed"


def test_a_change_that_waits_for_a_restart_is_seen(conn, kvt, new_domain, local_host, virsh):
    key = new_domain(devices=CDROM)
    power.start(conn, key)
    assert not refresh_guest(local_host, conn, key).needs_restart
    virsh("setmaxmem", f"{kvt}-guest", "64M", "--config")
    guest = refresh_guest(local_host, conn, key)
    assert guest.changes_at_restart == [{"what": "memory", "now": "32 MiB", "then": "64 MiB"}]
    assert guest.memory_mib == 32  # what it is now
    power.destroy(conn, key)
    guest = refresh_guest(local_host, conn, key)
    assert (guest.needs_restart, guest.memory_mib) == (False, 64)


def test_disks_follow_the_definition(conn, kvt, new_domain, local_host):
    key = new_domain(devices=DISK.format("/var/tmp/one.qcow2"))
    refresh_guest(local_host, conn, key)
    domains.define(conn, TINY.format(name=f"{kvt}-guest", uuid=key, devices=CDROM + NIC))
    refresh_guest(local_host, conn, key)
    assert [(disk.target, disk.source) for disk in Disk.objects.all()] == [("sda", "")]
    pool = Pool.objects.create(host=local_host, uuid=uuid.uuid4(), name="late", type="dir")
    domains.define(conn, TINY.format(name=f"{kvt}-guest", uuid=key, devices=DISK.format("/var/tmp/late.qcow2")))
    refresh_guest(local_host, conn, key)
    volume = Volume.objects.create(pool=pool, name="late.qcow2", path="/var/tmp/late.qcow2")
    sync_guests(local_host, ours(conn, kvt), complete=True)
    assert Disk.objects.get().volume == volume  # known only now


def test_a_guest_under_creation_is_not_missing_until_its_job_ends(local_host, db):
    row = Guest.objects.create(host=local_host, uuid=uuid.uuid4(), name="kvt-new", state="creating")
    job = Job.objects.create(kind="create_guest", task="x", title="Create kvt-new")
    held = JobObject.objects.create(job=job, kind="guest", object_id=row.pk, name="kvt-new", held=True)
    assert sync_guests(local_host, [], complete=True) == []
    assert apply_states(local_host, []) == set()
    held.delete()
    sync_guests(local_host, [], complete=True)
    assert not Guest.objects.exists()


def test_addresses_that_others_can_use_are_kept(local_host, db, django_assert_num_queries):
    key = uuid.uuid4()
    Guest.objects.create(host=local_host, uuid=key, name="a", state="running")

    def seen(address: str, source: str) -> GuestAddress:
        family = "ipv6" if ":" in address else "ipv4"
        return GuestAddress(
            interface="eth0", mac="52:54:00:00:00:01", address=address, prefix=24, family=family, source=source
        )

    found = [
        seen("fd00::5", "agent"),
        seen("fe80::1", "agent"),
        seen("127.0.0.1", "agent"),
        seen("192.168.122.9", "lease"),
        seen("192.168.122.9", "agent"),
    ]
    apply_addresses(local_host, {key: found})
    assert [(a["address"], a["source"]) for a in Guest.objects.get().addresses] == [
        ("192.168.122.9", "agent"),
        ("fd00::5", "agent"),
    ]
    with django_assert_num_queries(1):
        apply_addresses(local_host, {key: found})
