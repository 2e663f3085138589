"""Virtual networks and bridges, on libvirt's test driver: the machine's own network is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virt.helpers import DATA
from virt import bridges, networks
from virt.connection import connect
from virt.errors import NetworkNotFound


@pytest.fixture
def node():
    """A host that is only a file: a network of libvirt's, one on a bridge, and the bridges of both."""
    with connect(f"test://{DATA}/test-node.xml") as conn:
        yield conn


def test_a_network_is_described(node):
    lab = networks.network_info(node, "lab")
    assert (lab.forward, lab.bridge, lab.ipv4, lab.domain) == ("nat", "virbr7", "192.168.122.1/24", "lab.example")
    assert (lab.dhcp_start, lab.dhcp_end) == ("192.168.122.10", "192.168.122.20")
    assert [(info.name, info.forward) for info in networks.list_networks(node)] == [("lab", "nat"), ("lan", "bridge")]


def test_starting_and_stopping_what_is_so_already_is_no_error(node):
    assert networks.start_network(node, "lab") is False
    assert networks.stop_network(node, "lab") is True
    assert networks.stop_network(node, "lab") is False
    assert not networks.network_info(node, "lab").is_active
    assert networks.leases(node, "lab") == []
    assert networks.start_network(node, "lab") is True
    networks.set_network_autostart(node, "lab", True)
    assert networks.network_info(node, "lab").autostart


def test_a_network_that_is_not_there(node):
    for action in (networks.network_info, networks.start_network, networks.stop_network, networks.leases):
        with pytest.raises(NetworkNotFound):
            action(node, "none")


def test_the_default_network_is_made_beside_what_is_there(node):
    default = networks.ensure_default(node)
    assert (default.is_active, default.autostart, default.forward) == (True, True, "nat")
    assert default.ipv4 == "192.168.123.1/24"  # 122 is taken by "lab"
    assert (default.dhcp_start, default.dhcp_end) == ("192.168.123.2", "192.168.123.254")
    assert networks.ensure_default(node).uuid == default.uuid


def test_a_default_network_may_stay_off(node):
    assert not networks.ensure_default(node, start=False).is_active


def test_bridges_of_people_are_told_from_those_of_libvirt(node):
    own, virtual = bridges.list_bridges(node)
    assert (own.name, own.network, own.ports) == ("br0", None, ("ens33", "vnet0"))
    assert own.addresses == ("192.168.189.14/24",)
    assert (virtual.name, virtual.network) == ("virbr7", "lab")


@pytest.mark.libvirt
def test_the_bridges_of_this_machine_are_those_that_the_kernel_has(conn):
    kernel = {path.parent.name for path in Path("/sys/class/net").glob("*/bridge")}
    assert {bridge.name for bridge in bridges.list_bridges(conn)} == kernel


@pytest.mark.libvirt
def test_the_networks_of_this_machine_are_those_that_virsh_lists(conn, virsh):
    assert [info.name for info in networks.list_networks(conn)] == virsh("net-list", "--all", "--name").split()
