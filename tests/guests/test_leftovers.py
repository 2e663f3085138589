"""What does not fit together on a host, and files of guests that are gone."""

import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.models import Grant
from guests.inventory import refresh_guest
from guests.leftovers import services
from guests.leftovers.models import Leftovers
from guests.leftovers.rows import misfits
from guests.models import Disk, Guest, Nic
from guests.tasks import leftovers as tasks
from hosts import commands
from hosts.commands import Done
from storage.models import Volume
from virt.errors import NotSupported

from .rows import make_guest, make_host, make_pool


def kinds(host, user) -> list[tuple[str, str]]:
    return [(each.kind, each.title) for each in misfits(host, user)]


def test_guests_without_their_disks_and_networks_are_named(admin, stranger, db):
    host, other = make_host(), make_host("kvm-b")
    pool = make_pool(host)
    there = Volume.objects.create(pool=pool, name="a.qcow2", path="/srv/store/a.qcow2")
    web, db01 = make_guest(host, "web-01"), make_guest(host, "db-01")
    Disk.objects.create(guest=web, target="vda", source=there.path, volume=there)
    assert kinds(host, admin) == []
    Disk.objects.create(guest=web, target="vdb", source="/srv/store/größe.qcow2")
    Disk.objects.create(guest=web, target="vdc", source="/somewhere/else.img")  # in no pool: nobody knows
    Disk.objects.create(guest=web, target="sda", device="cdrom", is_readonly=True, source="/srv/store/cd.iso")
    Disk.objects.create(guest=db01, target="vda", source=there.path, volume=there)
    Nic.objects.create(guest=db01, mac="52:54:00:00:00:01", kind="bridge", source="br9")
    make_guest(other, "db-01-copy", state="shutoff")
    Guest.objects.filter(name="db-01-copy").update(uuid=db01.uuid)
    gone = make_guest(host, "old", state="missing")
    Guest.objects.filter(pk=gone.pk).update(missing_since=gone.first_seen_at)
    assert kinds(host, admin) == [
        ("disk_missing", "The disc in sda of web-01 is gone: /srv/store/cd.iso"),
        ("disk_missing", "Disk vdb of web-01 is gone: /srv/store/größe.qcow2"),
        ("disk_shared", "db-01, web-01 have the same disk: /srv/store/a.qcow2"),
        ("network_missing", "db-01 is plugged into br9, which the host does not have"),
        ("guest_twice", "db-01-copy is on kvm-b too"),
        ("guest_missing", "old is not on the host any more"),
    ]
    Grant.objects.create(user=stranger, role="viewer", scope_kind="host", scope_id=host.pk)
    assert "guest_twice" not in dict(kinds(host, stranger))  # it is on a host that is not theirs


@pytest.fixture
def places(monkeypatch) -> Iterator[Path]:
    """Directories like those that libvirt keeps, with files of no guest in them."""
    with tempfile.TemporaryDirectory(prefix="kvmweb-test-", dir="/var/tmp") as name:
        path = Path(name)
        places = (("nvram", f"{path}/nvram", "f"), ("tpm", f"{path}/tpm", "d"), ("snapshots", f"{path}/none", "d"))
        monkeypatch.setattr(tasks, "PLACES", places)
        (path / "nvram").mkdir()
        (path / "tpm").mkdir()
        yield path


@pytest.mark.libvirt
def test_files_that_no_guest_has_are_found_and_left_alone(operator, client, places, new_domain, kvt):
    host = make_host("kvm-test", uri="qemu:///system")
    key = new_domain("has-both")
    (places / "tpm" / key).mkdir()
    (places / "nvram" / f"{kvt}-has-both_VARS.fd").touch()
    lost = places / "nvram" / "wég mit\n'mir'_VARS.fd"
    lost.write_bytes(b"x" * 100)
    (places / "tpm" / str(uuid.UUID(int=7))).mkdir()
    client.force_login(operator)
    page = f"/hosts/{host.pk}/leftovers/"
    assert "Nobody has looked yet" in client.get(page).content.decode()
    job = services.look(host, by=operator)
    tasks.look_for_leftovers.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error) == ("succeeded", "")
    found = Leftovers.objects.get(host=host)
    assert [(entry["kind"], entry["path"]) for entry in found.found] == [
        ("nvram", str(lost)),
        ("tpm", f"{places}/tpm/{uuid.UUID(int=7)}"),
    ]
    assert found.found[0]["size_bytes"] == 100
    assert "'\"'\"'mir'\"'\"'_VARS.fd" in services.command_for(found)
    assert lost.exists()
    shown = client.get(page).content.decode()
    assert "TPM state" in shown
    assert "rm -rI" in shown


@pytest.mark.libvirt
def test_a_snapshot_that_lacks_a_file_is_named_with_what_helps(
    operator, client, bearer, places, ready_host, conn, new_domain, virsh, directory
):
    base, top = directory / "base image.qcow2", directory / "top.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    disk = f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{base}'/>"
    guest = refresh_guest(ready_host, conn, new_domain(devices=f"{disk}<target dev='vda' bus='virtio'/></disk>"))
    name = "before Größe"
    virsh("snapshot-create-as", guest.name, name, "--disk-only", "--diskspec", f"vda,file={top}")
    try:
        assert lacking(ready_host, operator, guest) == []
        base.rename(directory / "elsewhere")
        (broken,) = lacking(ready_host, operator, guest)
        assert broken.title == f"The snapshot {name} of {guest.name} lacks a file: {base}"
        assert broken.means.endswith(f"virsh snapshot-delete --metadata {guest.name} '{name}'")
        shown = client.get(f"/api/v1/hosts/{ready_host.pk}/leftovers", **bearer).json()["misfits"]
        assert ("snapshot_broken", guest.pk) in [(each["kind"], each["guest_id"]) for each in shown]
        virsh(*broken.means.split("virsh ")[1].split("'")[0].split(), name)
        assert lacking(ready_host, operator, guest) == []
    finally:
        virsh("snapshot-delete", "--metadata", guest.name, name, check=False)


def lacking(host, user, guest):
    job = services.look(host, by=user)
    tasks.look_for_leftovers.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error) == ("succeeded", "")
    return [each for each in misfits(host, user) if each.kind == "snapshot_broken" and each.guest_id == guest.pk]


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [("", "sudo: a password is required"), ("/\0", "find: '/srv/store/base.qcow2': Permission denied")],
)
def test_what_could_not_be_looked_at_is_not_called_lost(monkeypatch, db, stdout, stderr):
    monkeypatch.setattr(commands, "run", lambda *_words, **_options: Done(1, stdout, stderr))
    with pytest.raises(commands.CommandFailed) as failed:
        tasks._missing(make_host(), ["/srv/store/base.qcow2"])
    assert failed.value.details == stderr


def test_a_host_without_commands_is_not_looked_into(operator, client, bearer, db):
    session = make_host("kvm-session", uri="qemu:///session")
    host = make_host("kvm-tcp", uri="qemu+tcp://192.0.2.1/system")
    for each in (host, session):  # a session's guests have their files elsewhere
        with pytest.raises(NotSupported, match="SSH"):
            services.look(each, by=operator)
    shown = client.get(f"/api/v1/hosts/{host.pk}/leftovers", **bearer).json()
    assert shown == {"misfits": [], "files": [], "problem": "", "looked_at": None}
    assert client.post(f"/api/v1/hosts/{host.pk}/leftovers", **bearer).json()["code"] == "not_supported"
