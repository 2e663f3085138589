"""What a guest was before: kept when it changes, signed as far as anybody knows, and put back. With a real libvirt."""

import re

import pytest

from accounts.models import AuditEntry, Grant
from accounts.permissions import NotAllowed
from guests import services
from guests.definitions import history
from guests.definitions import services as definitions
from guests.definitions.models import MOST_VERSIONS, DefinitionText, DefinitionVersion
from guests.definitions.restore import DefinitionChanged, DiskMissing
from guests.inventory import refresh_guest, sync_guests
from guests.models import Guest
from guests.tasks import change_guest, restore_definition
from jobs.models import Job
from jobs.undo import take_back
from storage.inventory import refresh_pool
from virt import domains
from virt.errors import GuestNotFound, VolumeInUse, WrongState

pytestmark = pytest.mark.libvirt
SECRET_DISPLAY = "<graphics type='spice' autoport='yes' passwd='geheim'><listen type='none'/></graphics>"


def disk(path: object, target: str = "vda") -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
        f"<target dev='{target}' bus='virtio'/></disk>"
    )


def edited(virsh, tmp_path, name: str, *pairs: tuple[str, str]) -> None:
    """Change the definition as somebody with virsh would."""
    xml = virsh("dumpxml", "--inactive", "--security-info", name)
    for old, new in pairs:
        assert old in xml, (old, xml)
        xml = xml.replace(old, new)
    path = tmp_path / "edited.xml"
    path.write_text(xml)
    virsh("define", str(path))


def origins(guest: Guest) -> list[tuple[int, str]]:
    return [(version.number, version.origin) for version in history.versions_of(guest)]


def restored(guest: Guest, number: int, user) -> Job:
    guest.refresh_from_db()
    job = definitions.restore(guest, number, by=user)
    restore_definition.run_here(job)
    job.refresh_from_db()
    guest.refresh_from_db()
    return job


def words(guest: Guest, number: int) -> list[str]:
    return [change.text for change in history.comparison(guest, number, number - 1).changes]


def test_a_guest_that_never_changed_has_its_first_definition_and_no_rows(new_domain, ready_host, conn):
    guest = refresh_guest(ready_host, conn, new_domain())
    refresh_guest(ready_host, conn, guest.uuid)
    assert origins(guest) == [(1, "first")]
    assert history.find_version(guest, 1)[1] == guest.xml
    assert not DefinitionText.objects.exists()


def test_a_change_by_virsh_is_kept_and_waits_to_be_seen(new_domain, ready_host, conn, virsh, operator):
    guest = refresh_guest(ready_host, conn, new_domain())
    virsh("setmaxmem", guest.name, "64M", "--config")
    virsh("setmem", guest.name, "64M", "--config")
    guest = refresh_guest(ready_host, conn, guest.uuid)
    assert origins(guest) == [(2, "outside"), (1, "first")]
    assert words(guest, 2) == ["Memory: 32 MiB → 64 MiB"]
    version = history.versions_of(guest)[0]
    assert version.is_drift
    assert version.earliest_at is not None
    assert version.earliest_at < version.seen_at
    refresh_guest(ready_host, conn, guest.uuid)  # nothing new
    assert DefinitionVersion.objects.count() == 2
    assert definitions.acknowledge(DefinitionVersion.objects.filter(guest=guest), by=operator) == 1
    assert not DefinitionVersion.objects.drift().exists()
    assert AuditEntry.objects.filter(action="acknowledge_change", object_name=guest.name).exists()


def test_what_kvmweb_changes_is_signed_with_the_job_and_its_user(new_domain, ready_host, conn, operator):
    guest = refresh_guest(ready_host, conn, new_domain())
    job = services.change_guest(guest, {"memory_mib": 48, "title": "Größe <b>"}, by=operator)
    change_guest.run_here(job)
    guest.refresh_from_db()
    version = history.versions_of(guest)[0]
    assert (version.origin, version.actor, version.job_id) == ("kvmweb", operator.username, job.pk)
    assert not version.is_drift
    assert "Title added: Größe <b>" in words(guest, version.number)


def test_a_watcher_that_sees_the_change_while_the_job_runs_signs_it_the_same(
    new_domain, ready_host, conn, operator, monkeypatch
):
    guest = refresh_guest(ready_host, conn, new_domain())
    real = domains.set_memory

    def change_and_watch(conn, key, memory_mib, **how):
        real(conn, key, memory_mib, **how)
        refresh_guest(ready_host, conn, key)

    monkeypatch.setattr(domains, "set_memory", change_and_watch)
    job = services.change_guest(guest, {"memory_mib": 48}, by=operator)
    change_guest.run_here(job)
    assert origins(guest) == [(2, "kvmweb"), (1, "first")]


def test_a_reading_that_was_overtaken_changes_nothing(new_domain, ready_host, conn, virsh):
    guest = refresh_guest(ready_host, conn, new_domain())
    late = domains.domain_info(conn, guest.uuid)
    virsh("desc", guest.name, "--config", "--title", "new")
    refresh_guest(ready_host, conn, guest.uuid)
    sync_guests(ready_host, [late], complete=False)
    guest.refresh_from_db()
    assert guest.title == "new"
    assert [number for number, _origin in origins(guest)] == [2, 1]


def test_a_rename_by_virsh_is_a_rename(new_domain, ready_host, conn, virsh):
    guest = refresh_guest(ready_host, conn, new_domain())
    before = guest.name
    virsh("domrename", before, f"{before}-é-2")
    again = refresh_guest(ready_host, conn, guest.uuid)
    assert (again.pk, again.name) == (guest.pk, f"{before}-é-2")
    assert words(again, 2) == [f"Name: {before} → {before}-é-2"]


def test_starting_and_stopping_is_no_change(new_domain, ready_host, conn, virsh):
    guest = refresh_guest(ready_host, conn, new_domain())
    virsh("start", guest.name)
    refresh_guest(ready_host, conn, guest.uuid)
    virsh("destroy", guest.name)
    refresh_guest(ready_host, conn, guest.uuid)
    assert origins(guest) == [(1, "first")]


def test_what_a_transient_guest_is_counts_for_nothing(new_domain, ready_host, conn, virsh, tmp_path):
    guest = refresh_guest(ready_host, conn, new_domain())
    (tmp_path / "guest.xml").write_text(virsh("dumpxml", "--inactive", guest.name))
    virsh("undefine", guest.name)
    virsh("create", str(tmp_path / "guest.xml"))
    guest = refresh_guest(ready_host, conn, guest.uuid)
    assert not guest.persistent
    virsh("define", str(tmp_path / "guest.xml"))
    guest = refresh_guest(ready_host, conn, guest.uuid)
    assert origins(guest) == [(1, "first")]
    virsh("desc", guest.name, "--config", "--title", "x")
    refresh_guest(ready_host, conn, guest.uuid)
    (tmp_path / "guest.xml").write_text(virsh("dumpxml", "--inactive", guest.name))
    virsh("undefine", guest.name)
    refresh_guest(ready_host, conn, guest.uuid)
    virsh("define", str(tmp_path / "guest.xml"))
    assert origins(refresh_guest(ready_host, conn, guest.uuid)) == [(2, "outside"), (1, "first")]


def test_only_so_many_are_kept_and_each_text_once(new_domain, ready_host, conn, virsh, monkeypatch):
    monkeypatch.setattr("guests.definitions.record.MOST_VERSIONS", 3)
    guest = refresh_guest(ready_host, conn, new_domain())
    for title in ("a", "b", "a", "b", "a"):
        virsh("desc", guest.name, "--config", "--title", title)
        refresh_guest(ready_host, conn, guest.uuid)
    guest.refresh_from_db()
    assert [number for number, _origin in origins(guest)] == [6, 5, 4]
    assert DefinitionText.objects.count() == 2
    assert MOST_VERSIONS >= 50
    Guest.objects.all().delete()
    assert not DefinitionText.objects.exists()


def test_an_older_definition_is_put_back_with_all_that_nobody_models(
    new_domain, ready_host, conn, virsh, operator, tmp_path
):
    guest = refresh_guest(ready_host, conn, new_domain(devices=SECRET_DISPLAY))
    edited(
        virsh, tmp_path, guest.name,
        ("</features>", "<kvm><hidden state='on'/></kvm></features>"),
        ("</metadata>", "<x:note xmlns:x='urn:kvt'>für später &lt;&amp;</x:note></metadata>"),
    )  # fmt: skip
    guest = refresh_guest(ready_host, conn, guest.uuid)
    kept = guest.xml
    assert "für später" in kept
    assert any("features/kvm added" in text for text in words(guest, 2))
    edited(virsh, tmp_path, guest.name, ("<kvm>", ""), ("<hidden state='on'/>", ""), ("</kvm>", ""), ("für", "nie"))
    guest = refresh_guest(ready_host, conn, guest.uuid)
    assert guest.xml != kept
    job = restored(guest, 2, operator)
    assert (job.status, job.error) == ("succeeded", "")
    assert guest.xml == kept
    assert origins(guest) == [(4, "kvmweb"), (3, "outside"), (2, "outside"), (1, "first")]
    assert history.versions_of(guest)[0].actor == operator.username
    assert "passwd='geheim'" in virsh("dumpxml", "--security-info", guest.name)
    assert not any("geheim" in text.xml for text in DefinitionText.objects.all())


def test_a_running_guest_has_it_at_its_next_start(new_domain, ready_host, conn, virsh, operator):
    guest = refresh_guest(ready_host, conn, new_domain())
    virsh("setmaxmem", guest.name, "64M", "--config")
    guest = refresh_guest(ready_host, conn, guest.uuid)
    virsh("start", guest.name)
    guest = refresh_guest(ready_host, conn, guest.uuid)
    job = restored(guest, 1, operator)
    assert (job.status, job.result["at_next_start"]) == ("succeeded", True)
    assert virsh("domstate", guest.name) == "running"
    assert guest.needs_restart
    assert any("next shut down and started" in line.text for line in job.log_lines)


def test_the_name_of_today_stays(new_domain, ready_host, conn, virsh, operator):
    guest = refresh_guest(ready_host, conn, new_domain())
    before = guest.name
    virsh("desc", before, "--config", "--title", "x")
    refresh_guest(ready_host, conn, guest.uuid)
    virsh("domrename", before, f"{before}-2")
    guest = refresh_guest(ready_host, conn, guest.uuid)
    job = restored(guest, 1, operator)
    assert (job.status, guest.name, guest.title) == ("succeeded", f"{before}-2", "")


def test_what_changed_since_the_page_was_made_is_not_overwritten(new_domain, ready_host, conn, virsh, operator):
    guest = refresh_guest(ready_host, conn, new_domain())
    virsh("desc", guest.name, "--config", "--title", "second")
    guest = refresh_guest(ready_host, conn, guest.uuid)
    shown = history.versions_of(guest)[0].digest
    job = definitions.restore(guest, 1, by=operator, shown=shown)
    virsh("desc", guest.name, "--config", "--title", "third")  # while the job waits
    restore_definition.run_here(job)
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "definition_changed")
    assert virsh("desc", guest.name, "--title") == "third"
    guest.refresh_from_db()
    assert guest.title == "third"  # and the row shows it
    with pytest.raises(DefinitionChanged):
        definitions.restore(guest, 1, by=operator, shown=shown)
    assert virsh("desc", guest.name, "--title") == "third"


def test_it_is_refused_without_its_disks(new_domain, store, conn, virsh, operator, directory):
    virsh("vol-create-as", store.name, "data.qcow2", "1M", "--format", "qcow2")
    refresh_pool(store.host, conn, store.name)
    guest = refresh_guest(store.host, conn, new_domain(devices=disk(directory / "data.qcow2")))
    virsh("detach-disk", guest.name, "vda", "--config")
    guest = refresh_guest(store.host, conn, guest.uuid)
    assert any(re.match("Disk vda removed: .*data.qcow2", text) for text in words(guest, 2))
    (directory / "data.qcow2").unlink()  # nobody told libvirt: the rows say that it is there
    Grant.objects.filter(user=operator).update(role=Grant.Role.ADMINISTRATOR)
    job = restored(guest, 1, operator)
    assert (job.status, job.error_code) == ("failed", "disk_missing")
    assert "data.qcow2" in job.error
    assert virsh("domblklist", guest.name, "--inactive") == ""
    refresh_pool(store.host, conn, store.name)
    with pytest.raises(DiskMissing):
        definitions.restore(guest, 1, by=operator)


def test_it_is_refused_where_a_disk_is_another_guests_now(new_domain, store, conn, virsh, admin, operator, directory):
    virsh("vol-create-as", store.name, "data.qcow2", "1M", "--format", "qcow2")
    refresh_pool(store.host, conn, store.name)
    guest = refresh_guest(store.host, conn, new_domain(devices=disk(directory / "data.qcow2")))
    virsh("detach-disk", guest.name, "vda", "--config")
    guest = refresh_guest(store.host, conn, guest.uuid)
    other = refresh_guest(store.host, conn, new_domain("other", devices=disk(directory / "data.qcow2")))
    with pytest.raises(VolumeInUse, match=other.name):
        definitions.restore(guest, 1, by=admin)
    virsh("undefine", other.name)
    refresh_guest(store.host, conn, other.uuid)
    with pytest.raises(NotAllowed):  # it would reach a file of the host that the guest does not have now
        definitions.restore(guest, 1, by=operator)
    assert restored(guest, 1, admin).status == "succeeded"


def test_it_is_taken_back_when_the_worker_dies_after_it(new_domain, ready_host, conn, virsh):
    guest = refresh_guest(ready_host, conn, new_domain(devices=SECRET_DISPLAY))
    before = domains.domain_xml(conn, guest.uuid)
    step = {"host_id": ready_host.pk, "uuid": str(guest.uuid), "xml": before}
    take_back("guests.define_back", step)  # the step was never made
    virsh("desc", guest.name, "--config", "--title", "made by the job")
    take_back("guests.define_back", step)
    assert domains.domain_xml(conn, guest.uuid) == before
    assert "passwd='geheim'" in virsh("dumpxml", "--security-info", guest.name)
    virsh("undefine", guest.name)
    take_back("guests.define_back", step)  # the guest is gone: nothing to take back


def test_a_guest_that_vanished_has_its_history_and_no_way_back(new_domain, ready_host, conn, virsh, admin):
    guest = refresh_guest(ready_host, conn, new_domain())
    virsh("desc", guest.name, "--config", "--title", "x")
    refresh_guest(ready_host, conn, guest.uuid)
    virsh("undefine", guest.name)
    assert refresh_guest(ready_host, conn, guest.uuid) is None
    guest.refresh_from_db()
    assert len(origins(guest)) == 2
    assert not DefinitionVersion.objects.drift().exists()
    with pytest.raises(GuestNotFound):
        definitions.restore(guest, 1, by=admin)


def test_what_is_in_use_already_is_not_put_back(new_domain, ready_host, conn, admin):
    guest = refresh_guest(ready_host, conn, new_domain())
    with pytest.raises(WrongState):
        definitions.restore(guest, 1, by=admin)
    with pytest.raises(history.DefinitionNotFound):
        definitions.restore(guest, 7, by=admin)
