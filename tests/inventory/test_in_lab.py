"""A libvirtd that is killed and started again; networks that run and bridges, which only a lab host may have."""

from typing import Any

import pytest

from guests.models import Guest
from hosts.models import Host
from networking.models import Bridge, Network
from tests.inventory.conftest import ALIAS, wait_for
from tests.lab_hosts import running_lab

pytestmark = pytest.mark.libvirt


@pytest.fixture(scope="module")
def lab():
    with running_lab() as made:
        yield made


@pytest.fixture(scope="module")
def lab_host(lab, watched):
    """A host of the lab, looked after by the same watcher as the machine's own."""
    row = watched.new_host("kvm1", lab.uri(1))
    wait_for(lambda: host().is_connected, 30)
    return row


def host() -> Any:
    return Host.objects.using(ALIAS).get(name="kvm1")


def test_libvirtd_is_killed_and_comes_back(lab, lab_host, watched):
    definition = watched.home / "guest.xml"
    definition.write_text(
        "<domain type='qemu'><name>kvt-lab</name><memory unit='MiB'>24</memory>"
        "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices/></domain>"
    )

    def guest() -> Any:
        return Guest.objects.using(ALIAS).get(host=lab_host)

    lab.virsh(1, "define", str(definition))
    lab.virsh(1, "start", "kvt-lab")
    wait_for(lambda: Guest.objects.using(ALIAS).filter(host=lab_host, state="running").exists(), 3)

    lab.run("crash", "1")
    wait_for(lambda: host().state == "unreachable", 5)
    assert "libvirt" in host().error
    assert guest().state == "running"  # as last seen

    lab.run("start", "1")
    wait_for(lambda: host().is_connected, 20)
    lab.virsh(1, "destroy", "kvt-lab")
    wait_for(lambda: guest().state == "shutoff", 3)


def test_networks_and_bridges_of_a_host(lab, lab_host):
    lab.run("exec", "1", "virsh", "net-destroy", "default", check=False)  # the machine may have set it to autostart
    lab.virsh(1, "net-start", "default")
    network = wait_for(
        lambda: Network.objects.using(ALIAS).filter(host=lab_host, name="default", is_active=True).first(), 3
    )
    assert (network.forward, network.bridge, network.cidr) == ("nat", "virbr0", "192.168.122.1/24")
    assert network.dhcp_range == "192.168.122.2 – 192.168.122.254"

    lab.run("bridge", "1")
    bridge = wait_for(lambda: Bridge.objects.using(ALIAS).filter(host=lab_host, name="br0").first(), 15)
    assert (bridge.is_active, bridge.ports) == (True, ["ens33"])
    assert not Bridge.objects.using(ALIAS).filter(name="virbr0").exists()  # guests reach it through its network
    lab.virsh(1, "net-destroy", "default")
    wait_for(lambda: not Network.objects.using(ALIAS).get(pk=network.pk).is_active, 3)


def test_bridges_of_this_machine_have_their_addresses(lab, watched):
    bridge = wait_for(lambda: Bridge.objects.using(ALIAS).filter(host__name="local", name="lhsw0").first(), 15)
    assert bridge.addresses == ["192.168.190.1/24"]
    assert (bridge.is_active, len(bridge.mac)) == (True, 17)
