"""Guests: defined, read, started, stopped and forgotten, with libvirt itself as the judge."""

from __future__ import annotations

import pytest

from tests.virt.helpers import tiny_guest, unique, wait_for
from virt import domains, kvm_probe, power
from virt.domain_reader import list_domains
from virt.domain_summary import parse_domain
from virt.errors import (
    DefinitionRefused,
    GuestExists,
    GuestNotFound,
    Invalid,
    NotSupported,
    WrongState,
)
from virt.types import DomainState
from virt.xmltree import E, dump

pytestmark = pytest.mark.libvirt

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("odd", ["\"'<&> 中文,=%s$(x)`y`;|\\é#[]{}", "x" * 170], ids=["odd", "long"])
def test_a_guest_with_an_odd_name_can_be_started_and_is_called_so(conn, define, virsh, odd):
    name = unique() + odd
    uuid = define(tiny_guest(name))
    assert power.start(conn, uuid)
    assert virsh("domname", uuid) == name
    assert domains.domain_info(conn, uuid).name == name
    found = domains.find_domain(conn, name)
    assert found is not None
    assert found.uuid == uuid


def test_a_second_guest_of_that_name_is_refused(conn, define, guest):
    name = domains.domain_state(conn, guest).name
    with pytest.raises(GuestExists, match="Choose another name") as failure:
        domains.define(conn, tiny_guest(name))
    assert failure.value.status == 409
    assert "already exists with uuid" in failure.value.details


@pytest.mark.parametrize("vcpus", ["-1", "0", "1000000000", "4294967295", "1.5", "two", ""])
def test_a_vcpu_count_that_would_crash_libvirtd_never_reaches_it(conn, vcpus):
    xml = tiny_guest(unique()).replace("<vcpu>1</vcpu>", f"<vcpu>{vcpus}</vcpu>")
    with pytest.raises(Invalid, match="whole number from 1 to"):
        domains.define(conn, xml)


@pytest.mark.parametrize("name", [".", "..", "a/b", "x" * 248, " "])
def test_a_name_that_would_damage_libvirts_state_never_reaches_it(conn, name):
    with pytest.raises(Invalid):
        domains.define(conn, tiny_guest(name))


def test_what_the_schema_does_not_know_is_refused_with_libvirts_words(conn):
    with pytest.raises(DefinitionRefused, match="does not follow libvirt's schema") as failure:
        domains.define(conn, tiny_guest(unique()).replace("<vcpu>", "<nonsense/><vcpu>"))
    assert "nonsense" in failure.value.details


@pytest.mark.parametrize(
    "xml", ["", "<domain", "<pool/>", "no xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><domain>&a;</domain>"]
)
def test_what_is_no_domain_is_refused(conn, xml):
    with pytest.raises(Invalid):
        domains.define(conn, xml)


def test_starting_what_runs_and_stopping_what_is_off_is_no_error(conn, guest, virsh):
    assert power.start(conn, guest) is True
    assert power.start(conn, guest) is False
    assert virsh("domstate", guest) == "running"
    state = domains.domain_state(conn, guest)
    assert (state.state, state.reason) == (DomainState.RUNNING, "booted")
    assert power.destroy(conn, guest) is True
    assert power.destroy(conn, guest) is False
    assert power.shutdown(conn, guest) is False
    assert virsh("domstate", guest) == "shut off"
    state = domains.domain_state(conn, guest)
    assert (state.state, state.reason) == (DomainState.SHUTOFF, "destroyed")


def test_pausing_and_resuming(conn, running, virsh):
    assert power.suspend(conn, running) is True
    assert power.suspend(conn, running) is False
    assert virsh("domstate", running) == "paused"
    with pytest.raises(WrongState, match="Resume it first"):
        power.shutdown(conn, running)
    with pytest.raises(WrongState, match="Resume it first"):
        power.reboot(conn, running)
    assert power.resume(conn, running) is True
    assert power.resume(conn, running) is False
    power.reset(conn, running)
    assert virsh("domstate", running) == "running"


def test_what_needs_a_running_guest_says_so(conn, guest):
    for action in (power.reboot, power.reset, power.suspend, power.resume):
        with pytest.raises(WrongState):
            action(conn, guest)


def test_a_guest_that_is_not_there(conn):
    for action in (power.start, power.destroy, domains.domain_info, domains.domain_state, power.remove_managed_save):
        with pytest.raises(GuestNotFound) as failure:
            action(conn, NOBODY)
        assert failure.value.status == 404
    assert domains.undefine(conn, NOBODY) is False
    assert domains.find_domain(conn, unique()) is None


def test_managed_save_goes_on_where_it_was(conn, running, virsh):
    assert power.managed_save(conn, running) is True
    assert power.managed_save(conn, running) is False
    assert domains.domain_info(conn, running).has_managed_save
    assert domains.domain_state(conn, running).reason == "saved"
    assert power.start(conn, running) is True
    assert virsh("domstate", running, "--reason") == "running (restored)"
    power.managed_save(conn, running)
    assert power.remove_managed_save(conn, running) is True
    assert power.remove_managed_save(conn, running) is False


def test_undefining_takes_the_managed_save_along(conn, running, virsh):
    power.managed_save(conn, running)
    assert domains.undefine(conn, running) is True
    assert domains.undefine(conn, running) is False
    assert running not in virsh("list", "--all", "--uuid").split()


def test_undefining_a_running_guest_leaves_it_running(conn, running):
    assert domains.undefine(conn, running) is True
    info = domains.domain_info(conn, running)
    assert (info.is_active, info.is_persistent, info.autostart) == (True, False, False)
    assert info.xml == info.live_xml
    assert domains.undefine(conn, running) is False
    with pytest.raises(WrongState):
        domains.set_autostart(conn, running, True)


def test_the_list_tells_what_a_guest_is_and_what_it_will_be(conn, running, virsh):
    domains.set_memory(conn, running, 48)
    (info,) = [info for info in list_domains(conn) if info.uuid == running]
    assert parse_domain(info.xml).memory_mib == 48
    assert parse_domain(info.live_xml or "").memory_mib == 32
    assert info.id == int(virsh("domid", running))
    (status,) = [status for status in domains.domain_states(conn) if status.uuid == running]
    assert (status.name, status.state) == (info.name, DomainState.RUNNING)


def test_autostart(conn, guest, virsh):
    domains.set_autostart(conn, guest, True)
    assert "Autostart:      enable" in virsh("dominfo", guest)
    assert domains.domain_info(conn, guest).autostart
    domains.set_autostart(conn, guest, False)
    assert not domains.domain_info(conn, guest).autostart


def test_renaming(conn, guest, virsh):
    name = unique("{0} 新")
    domains.rename(conn, guest, name)
    domains.rename(conn, guest, name)
    assert virsh("domname", guest) == name


def test_renaming_is_refused_while_it_runs_or_when_the_name_is_taken(conn, define, running):
    other = define(tiny_guest(unique()))
    with pytest.raises(WrongState, match="Shut it down"):
        domains.rename(conn, running, unique())
    with pytest.raises(GuestExists):
        domains.rename(conn, other, domains.domain_state(conn, running).name)
    with pytest.raises(Invalid):
        domains.rename(conn, other, "..")


def test_memory_is_bounded_by_the_host(conn, guest):
    for mib in (0, -1, 15, 10**9):
        with pytest.raises(Invalid) as failure:
            domains.set_memory(conn, guest, mib)
        assert failure.value.field == "memory_mib"
    domains.set_memory(conn, guest, 64)
    assert parse_domain(domains.domain_xml(conn, guest)).memory_mib == 64


def test_more_memory_than_a_running_guest_was_started_with_waits_for_its_next_start(conn, running):
    with pytest.raises(WrongState, match="next start"):
        domains.set_memory(conn, running, 64, live=True)
    with pytest.raises(WrongState, match="without a memory balloon"):
        domains.set_memory(conn, running, 24, live=True)


def test_a_balloon_takes_memory_from_a_running_guest(conn, define, virsh):
    uuid = define(tiny_guest(unique()).replace('<memballoon model="none"/>', '<memballoon model="virtio"/>'))
    power.start(conn, uuid)
    domains.set_memory(conn, uuid, 24, live=True)
    assert parse_domain(domains.domain_xml(conn, uuid)).memory_mib == 24


def test_vcpus_keep_the_topology_true(conn, define):
    topology = E.cpu(E.topology(sockets="1", dies="1", cores="2", threads="1"), mode="maximum")
    xml = tiny_guest(unique(), vcpus=2).replace("<devices>", dump(topology) + "<devices>")
    uuid = define(xml)
    domains.set_vcpus(conn, uuid, 3)
    assert parse_domain(domains.domain_xml(conn, uuid)).vcpus == 3
    for count in (0, -1, 711):
        with pytest.raises(Invalid):
            domains.set_vcpus(conn, uuid, count)


def test_vcpus_are_not_taken_from_a_running_guest(conn, define):
    uuid = define(tiny_guest(unique(), vcpus=2))
    power.start(conn, uuid)
    with pytest.raises(NotSupported, match="Shut it down first"):
        domains.set_vcpus(conn, uuid, 1, live=True)
    with pytest.raises(WrongState, match="next start"):
        domains.set_vcpus(conn, uuid, 3, live=True)


def test_our_own_probe_guests_are_not_listed(conn, define):
    name = f"{domains.PROBE_PREFIX}1-{unique()}"
    uuid = define(tiny_guest(name))
    assert uuid not in [info.uuid for info in list_domains(conn)]
    assert uuid not in [status.uuid for status in domains.domain_states(conn)]


def test_kvm_guests_boot_here_only_if_the_processor_says_so(conn, virsh):
    with open("/proc/cpuinfo") as text:
        flags = text.read().split()
    probe = kvm_probe.probe_kvm(conn)
    assert probe.accelerated is ("vmx" in flags or "svm" in flags)
    assert probe.reason.endswith(".")
    assert wait_for(lambda: domains.PROBE_PREFIX not in virsh("list", "--all", "--name"))


def test_the_method_of_the_kvm_probe_sees_a_guest_that_boots(conn):
    probe = kvm_probe.probe_kvm(conn, domain_type="qemu", deadline_s=20)
    assert probe.accelerated, probe.reason
    assert probe.seconds < 30


def test_what_an_interrupted_kvm_probe_left_is_removed_by_the_next(conn, virsh):
    stale = tiny_guest(f"{domains.PROBE_PREFIX}1000000000-{unique()}")
    conn.call(lambda handle: handle.createXML(stale, 0), "start a guest", timeout_s=60)
    assert domains.PROBE_PREFIX in virsh("list", "--name")
    kvm_probe.probe_kvm(conn, domain_type="qemu", deadline_s=20)
    assert domains.PROBE_PREFIX not in virsh("list", "--all", "--name")
