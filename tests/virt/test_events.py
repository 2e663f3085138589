"""What others do to the host is told at once."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.virt.helpers import tiny_guest, unique, wait_for
from virt import devices, domains, event_kinds, events, pools, power
from virt.device_xml import NicSpec, nic_element
from virt.types import DomainEvent, DomainState, Event, PoolEvent
from virt.xmltree import dump

pytestmark = pytest.mark.libvirt


@pytest.fixture
def told(conn):
    """Everything that the feed delivers."""
    received: list[Event] = []
    feed = events.EventFeed(conn, received.append)
    yield received
    feed.close()


def kinds(told, name):
    return [(event.kind, event.detail) for event in list(told) if event.name == name]


def test_what_virsh_does_to_a_guest_is_told_within_a_second(told, define, conn, virsh):
    name = unique(" 中文")
    uuid = define(tiny_guest(name))
    virsh("start", uuid)
    virsh("suspend", uuid)
    virsh("resume", uuid)
    begun = time.monotonic()
    virsh("destroy", uuid)
    assert wait_for(lambda: ("stopped", "destroyed") in kinds(told, name))
    assert time.monotonic() - begun < 5  # QEMU itself takes some of it
    virsh("undefine", uuid)
    expected = [
        ("defined", "added"),
        ("started", "booted"),
        ("suspended", "paused"),
        ("resumed", "unpaused"),
        ("stopped", "destroyed"),
        ("undefined", "removed"),
    ]
    assert wait_for(lambda: set(expected) <= set(kinds(told, name)))
    assert all(isinstance(event, DomainEvent) and event.uuid == uuid for event in told if event.name == name)


def test_a_qemu_that_dies_is_told_and_the_state_says_why(told, running, conn):
    name = domains.domain_state(conn, running).name
    with open(f"/run/libvirt/qemu/{name}.pid") as text:
        os.kill(int(text.read()), signal.SIGKILL)
    assert wait_for(lambda: ("stopped", "failed") in kinds(told, name))
    state = domains.domain_state(conn, running)
    assert (state.state, state.reason) == (DomainState.SHUTOFF, "crashed")


def test_devices_and_titles_are_told(told, running, conn, virsh):
    name = domains.domain_state(conn, running).name
    devices.attach_device(conn, running, dump(nic_element(NicSpec(), model="virtio")), live=True)
    virsh("desc", running, "--title", "--live", "--config", "--new-desc", "a title")
    assert wait_for(lambda: ("metadata", "title") in kinds(told, name))
    assert wait_for(lambda: "device_added" in [kind for kind, _detail in kinds(told, name)])
    power.reset(conn, running)
    assert wait_for(lambda: ("rebooted", "") in kinds(told, name))


def test_pools_are_told(told, pool, conn):
    pools.refresh_pool(conn, pool)
    pools.stop_pool(conn, pool)
    pools.start_pool(conn, pool)
    wanted = {"defined", "started", "refreshed", "stopped"}
    assert wait_for(lambda: wanted <= {kind for kind, _detail in kinds(told, pool)})
    assert all(isinstance(event, PoolEvent) for event in told if event.name == pool)


def test_our_own_probe_guests_are_not_told(told, define, conn):
    define(tiny_guest(f"{domains.PROBE_PREFIX}1-{unique()}"))
    name = unique()
    define(tiny_guest(name))
    assert wait_for(lambda: kinds(told, name))
    assert not [event for event in told if domains.is_probe(event.name)]


def test_a_closed_feed_is_silent(conn, define):
    received: list[Event] = []
    feed = events.EventFeed(conn, received.append)
    feed.close()
    feed.close()
    define(tiny_guest(unique()))
    time.sleep(0.3)
    assert received == []
    assert conn.is_alive


def test_a_receiver_that_fails_loses_one_event_and_not_the_feed(conn, define, caplog):
    received: list[Event] = []

    def fail_once(event):
        received.append(event)
        if len(received) == 1:
            raise ValueError("mine")

    feed = events.EventFeed(conn, fail_once)
    try:
        first, second = unique(), unique()
        define(tiny_guest(first))
        define(tiny_guest(second))
        assert wait_for(lambda: second in [event.name for event in received])
        assert "a receiver of libvirt events failed" in caplog.text
    finally:
        feed.close()


def test_networks_and_devices_have_words_for_all_their_events():
    read = event_kinds.NETWORK[0][2]
    assert [read("lifecycle", (n, 0, None))[0] for n in range(5)] == [
        "defined", "undefined", "started", "stopped", "unknown",
    ]  # fmt: skip
    read = event_kinds.NODE_DEVICE[0][2]
    assert [read("lifecycle", (n, 0, None))[0] for n in range(4)] == ["created", "deleted", "defined", "undefined"]
