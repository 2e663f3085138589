"""Rows of networks and bridges follow what libvirt says, are written when it differs and told just then."""

from dataclasses import replace
from uuid import uuid4

import pytest

from networking import inventory
from networking.models import Bridge, Network
from virt.types import BridgeInfo, NetworkInfo

NET = NetworkInfo(
    uuid=str(uuid4()),
    name="default",
    bridge="virbr0",
    forward="nat",
    is_active=True,
    is_persistent=True,
    autostart=True,
    ipv4="192.168.122.1/24",
    dhcp_start="192.168.122.2",
    dhcp_end="192.168.122.254",
    domain=None,
    xml="<network/>",
)
BR0 = BridgeInfo(
    name="br0", mac="52:54:00:aa:bb:cc", is_active=True, ports=("ens33",), addresses=("10.0.0.2/24",), network=None
)


@pytest.fixture
def told(monkeypatch) -> list[set[str]]:
    calls: list[set[str]] = []
    monkeypatch.setattr(inventory, "publish", lambda *topics: calls.append(set(topics)))
    return calls


def test_a_network_is_written_when_it_differs_and_only_then(local_host, told, django_assert_num_queries):
    inventory.sync_networks(local_host, [NET], complete=True)
    row = Network.objects.get()
    assert (row.forward, row.cidr, row.dhcp_range) == ("nat", "192.168.122.1/24", "192.168.122.2 – 192.168.122.254")
    assert told == [{"networks", f"network-{row.pk}"}]
    with django_assert_num_queries(1):
        assert inventory.sync_networks(local_host, [NET], complete=True) == []
    assert len(told) == 1
    inventory.sync_networks(local_host, [replace(NET, is_active=False)], complete=True)
    assert not Network.objects.get().is_active
    assert len(told) == 2


def test_a_network_that_vanishes_is_missing_and_comes_back_as_itself(local_host, told):
    inventory.sync_networks(local_host, [NET], complete=True)
    pk = Network.objects.get().pk
    inventory.sync_networks(local_host, [], complete=False)
    assert not Network.objects.get().is_missing
    inventory.sync_networks(local_host, [], complete=True)
    gone = Network.objects.get()
    assert (gone.is_missing, gone.is_active, gone.state) == (True, False, "missing")
    before = len(told)
    inventory.sync_networks(local_host, [], complete=True)
    assert len(told) == before
    inventory.sync_networks(local_host, [replace(NET, name="renamed")], complete=True)
    back = Network.objects.get()
    assert (back.pk, back.name, back.is_missing) == (pk, "renamed", False)


def test_a_forwarding_that_we_do_not_know_is_other(local_host):
    inventory.sync_networks(local_host, [replace(NET, forward="hostdev", ipv4=None, dhcp_start=None)], complete=True)
    row = Network.objects.get()
    assert (row.forward, row.cidr, row.dhcp_range) == ("other", "", "")


def test_bridges_of_networks_are_no_rows_of_their_own(local_host, told):
    of_network = replace(BR0, name="virbr0", network="default")
    inventory.sync_bridges(local_host, [BR0, of_network])
    row = Bridge.objects.get()
    assert (row.name, row.ports, row.addresses) == ("br0", ["ens33"], ["10.0.0.2/24"])
    inventory.sync_bridges(local_host, [BR0, of_network])
    assert told == [{"bridges", f"bridge-{row.pk}"}]
    inventory.sync_bridges(local_host, [of_network])
    assert Bridge.objects.get().is_missing
