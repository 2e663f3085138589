"""What the machine's own libvirt tells about it, and whether guests boot with KVM there."""

import pytest

from hosts import inventory, services
from hosts.models import Host
from jobs.models import Job
from virt import connection
from virt.host import host_usage

pytestmark = [pytest.mark.libvirt, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def machine() -> Host:
    return Host.objects.create(name="machine", uri="qemu:///system")


@pytest.fixture
def told(monkeypatch) -> list[str]:
    topics: list[str] = []
    monkeypatch.setattr(inventory, "publish", lambda *changed: topics.extend(changed))
    return topics


def test_facts_are_read_and_told_once(machine, virsh, told):
    with connection.connect(machine.uri) as conn:
        assert inventory.refresh_facts(machine, conn)
        assert not inventory.refresh_facts(Host.objects.get(), conn)
    machine.refresh_from_db()
    assert machine.cpus == int(virsh("nodeinfo").split("CPU(s):")[1].split()[0])
    assert machine.facts["libvirt_version"] in virsh("version", "--daemon")
    assert told == [f"host-{machine.pk}", "hosts"]


def test_a_load_is_told_when_it_moved(machine, told):
    with connection.connect(machine.uri) as conn:
        first = host_usage(conn)
        inventory.record_usage(machine, first)
        told.clear()
        inventory.record_usage(Host.objects.get(), first)
    assert told == []
    machine.refresh_from_db()
    assert machine.memory_used_mib > 0
    assert machine.sampled_at


def test_the_probe_agrees_with_the_machine_and_leaves_nothing(machine, admin, virsh):
    job = services.probe_kvm(machine, by=admin)
    from hosts.tasks import probe_kvm

    probe_kvm.run_here(job)
    job.refresh_from_db()
    machine.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED, job.error
    assert machine.kvm_works is job.result["accelerated"]
    assert machine.kvm_reason
    assert machine.kvm_probed_boot == inventory.boot_of(machine) != ""
    assert not inventory.needs_probe(machine)
    assert "kvmweb-probe" not in virsh("list", "--all", "--name")


def test_a_new_boot_of_the_host_is_probed_anew(machine):
    assert inventory.needs_probe(machine)
    machine.kvm_probed_at, machine.kvm_probed_boot = machine.created_at, inventory.boot_of(machine)
    assert not inventory.needs_probe(machine)
    machine.kvm_probed_boot = "another"
    assert inventory.needs_probe(machine)


def test_a_disabled_host_stays_disabled_whatever_the_watcher_says(machine, admin, told):
    services.set_enabled(machine, False, by=admin)
    assert not inventory.record_state(machine, Host.State.CONNECTED)
    assert Host.objects.get().state == "disabled"
