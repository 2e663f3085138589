"""What is refreshed after which event, and that one object nobody can read does not keep the others from being seen."""

from typing import Any

import pytest
from django.db import OperationalError

from guests import inventory as guests
from guests.models import Guest
from hosts import inventory as hosts
from inventory import sync
from inventory.changes import Changes
from virt import bridges as virt_bridges
from virt import domains as virt_domains
from virt.errors import HostUnreachable, VirtError
from virt.types import ConnectionClosed, DomainEvent, DomainInfo, DomainState, NetworkEvent, NodeDeviceEvent, PoolEvent

XML = (
    "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>"
    "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices/></domain>"
)


def info(number: int) -> DomainInfo:
    uuid, name = f"00000000-0000-4000-8000-{number:012d}", f"g-{number}"
    return DomainInfo(
        uuid=uuid, name=name, state=DomainState.SHUTOFF, reason="shutdown", xml=XML.format(name=name, uuid=uuid),
        live_xml=None, is_persistent=True, autostart=False, has_managed_save=False, id=None,
    )  # fmt: skip


@pytest.fixture
def host_with_three(local_host, monkeypatch) -> Any:
    """Three guests on a host whose other parts have nothing to tell."""
    found = [info(number) for number in range(3)]

    class Reader:
        uuids = frozenset(info.uuid for info in found)

        def __init__(self, _conn: Any) -> None: ...

        def batches(self) -> list[list[DomainInfo]]:
            return [found[:2], found[2:]]

    monkeypatch.setattr(sync, "DomainReader", Reader)
    monkeypatch.setattr(virt_domains, "domain_info", lambda _conn, uuid: next(i for i in found if i.uuid == str(uuid)))
    monkeypatch.setattr(virt_domains, "domain_states", lambda _conn: [])
    monkeypatch.setattr(sync, "_surroundings", lambda *_args: None)
    monkeypatch.setattr(hosts, "refresh_facts", lambda *_args: None)
    return local_host


@pytest.fixture
def second_is_unreadable(monkeypatch) -> None:
    real = guests.sync_guests

    def sync_guests(host: Any, domains: Any, *, complete: bool, ready: Any = None) -> Any:
        listed = list(domains)
        if any(entry.name == "g-1" for entry in listed):
            raise ValueError("nobody can make sense of g-1")
        return real(host, listed, complete=complete, ready=ready)

    monkeypatch.setattr(guests, "sync_guests", sync_guests)


def names() -> list[str]:
    return list(Guest.objects.values_list("name", flat=True))


def test_all_are_seen_but_the_one_that_cannot_be_read(host_with_three, second_is_unreadable):
    sync.everything(host_with_three, None)  # type: ignore[arg-type]
    assert names() == ["g-0", "g-2"]


def test_a_second_look_writes_what_differs_and_nothing_else(host_with_three, django_assert_num_queries):
    sync.all_guests(host_with_three, None)  # type: ignore[arg-type]
    Guest.objects.filter(name="g-1").update(state="running", state_reason="booted", cpu_percent=12.5)
    Guest.objects.filter(name="g-2").update(vcpus=7, digest="of another definition")
    seen = dict(Guest.objects.values_list("name", "state_since"))
    sync.all_guests(host_with_three, None)  # type: ignore[arg-type]
    rows = Guest.objects.order_by("name").values_list("name", "state", "state_reason", "cpu_percent", "vcpus")
    assert [tuple(row) for row in rows] == [(f"g-{n}", "shutoff", "shutdown", None, 1) for n in range(3)]
    moved = {name for name, since in Guest.objects.values_list("name", "state_since") if since != seen[name]}
    assert moved == {"g-1"}
    with django_assert_num_queries(9):  # one for each of the two batches: its rows
        sync.all_guests(host_with_three, None)  # type: ignore[arg-type]


def test_lists_hear_of_new_guests_and_not_of_a_look_that_finds_nothing(host_with_three, monkeypatch):
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(guests, "publish", lambda *topics: told.append(topics))
    monkeypatch.setattr(sync, "TELL_EVERY_S", 3600.0)
    sync.all_guests(host_with_three, None)  # type: ignore[arg-type]
    assert set(told) == {("guests",)}
    told.clear()
    sync.all_guests(host_with_three, None)  # type: ignore[arg-type]
    assert told == []


def test_the_same_after_events(host_with_three, second_is_unreadable):
    changes = Changes(guests={info(number).uuid for number in range(3)})
    sync.changed(host_with_three, None, changes)  # type: ignore[arg-type]
    assert names() == ["g-0", "g-2"]


@pytest.mark.parametrize("error", [HostUnreachable("gone"), OperationalError("database is locked")])
def test_a_host_or_a_database_that_is_away_is_the_caller_s_business(host_with_three, monkeypatch, error):
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(guests, "sync_guests", refuse)
    with pytest.raises(type(error)):
        sync.everything(host_with_three, None)  # type: ignore[arg-type]


def test_a_part_that_libvirt_cannot_tell_is_left_as_it_was(host_with_three, monkeypatch):
    def refuse(_conn: Any) -> None:
        raise VirtError("Could not list the bridges.")

    monkeypatch.setattr(virt_bridges, "list_bridges", refuse)
    sync.bridges(host_with_three, None)  # type: ignore[arg-type]
    sync.everything(host_with_three, None)  # type: ignore[arg-type]
    assert len(names()) == 3


def test_a_burst_about_one_guest_is_one_refresh():
    changes = Changes()
    for kind in ("defined", "started", "resumed", "device_added"):
        changes.note(DomainEvent(uuid="a", name="g", kind=kind))
    assert changes == Changes(guests={"a"})


def test_chatter_is_not_listened_to():
    changes = Changes()
    for kind in ("balloon", "rtc_changed", "graphics"):
        changes.note(DomainEvent(uuid="a", name="g", kind=kind))
    changes.note(NodeDeviceEvent(uuid="", name="usb_1_2", kind="created"))
    changes.note(ConnectionClosed(uuid="", name="", kind="eof"))
    assert not changes


def test_each_event_names_what_it_is_about():
    changes = Changes()
    changes.note(DomainEvent(uuid="g", name="g", kind="agent"))
    changes.note(NetworkEvent(uuid="n", name="n", kind="started"))
    changes.note(PoolEvent(uuid="p", name="p", kind="refreshed"))
    assert changes == Changes(agents={"g"}, networks={"n"}, pools={"p"}, bridges=True)
    other = Changes(guests={"x"})
    other.add(changes)
    assert other == Changes(guests={"x"}, agents={"g"}, networks={"n"}, pools={"p"}, bridges=True)
