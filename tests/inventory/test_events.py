"""What virsh does to a host is in the rows within a second, and open pages hear of it."""

import time
from typing import Any

import pytest

from guests.models import DefinitionVersion, Guest
from networking.models import Network
from storage.models import Pool, Volume
from tests.inventory.conftest import ALIAS, Listener, wait_for

pytestmark = pytest.mark.libvirt
SOON_S = 1.5  # the promise is about one second; the machine may be busy with other tests


def guest(uuid: str) -> Any:
    return Guest.objects.using(ALIAS).filter(uuid=uuid).first()


def state_of(uuid: str) -> str:
    row = guest(uuid)
    return row.state if row else ""


def kept(uuid: str) -> list[tuple[int, str]]:
    """The definitions that are kept of a guest, and who made them."""
    rows = DefinitionVersion.objects.using(ALIAS).filter(guest__uuid=uuid).order_by("number")
    return list(rows.values_list("number", "origin"))


def test_a_guest_is_followed_from_its_definition_to_its_end(watched, new_guest, virsh):
    name, uuid = new_guest()
    assert wait_for(lambda: guest(uuid), SOON_S).name == name
    row = guest(uuid)
    assert (row.state, row.memory_mib, row.is_emulated) == ("shutoff", 24, True)

    virsh("start", uuid)
    wait_for(lambda: state_of(uuid) == "running", SOON_S)
    virsh("suspend", uuid)
    wait_for(lambda: state_of(uuid) == "paused", SOON_S)
    virsh("destroy", uuid)
    wait_for(lambda: state_of(uuid) == "shutoff", SOON_S)
    assert guest(uuid).state_reason == "destroyed"

    virsh("domrename", name, f"{name}-b")
    wait_for(lambda: guest(uuid).name == f"{name}-b", SOON_S)
    assert kept(uuid) == [(1, "first"), (2, "outside")]

    virsh("undefine", uuid)
    wait_for(lambda: state_of(uuid) == "missing", SOON_S)
    assert guest(uuid).pk == row.pk


def test_a_change_that_libvirt_tells_nobody_of_is_found(watched, new_guest, virsh):
    _name, uuid = new_guest()
    wait_for(lambda: guest(uuid), SOON_S)
    virsh("setmaxmem", uuid, "32M", "--config")
    wait_for(lambda: guest(uuid).memory_mib == 32, 30)
    assert kept(uuid) == [(1, "first"), (2, "outside")]


def test_a_guest_that_comes_back_gets_its_row_again(watched, new_guest, virsh, tmp_path):
    _name, uuid = new_guest()
    row = wait_for(lambda: guest(uuid), SOON_S)
    (tmp_path / "guest.xml").write_text(virsh("dumpxml", uuid))
    virsh("undefine", uuid)
    wait_for(lambda: guest(uuid).missing_since, SOON_S)
    virsh("define", str(tmp_path / "guest.xml"))
    wait_for(lambda: not guest(uuid).missing_since, SOON_S)
    assert (guest(uuid).pk, guest(uuid).state) == (row.pk, "shutoff")


def test_pages_hear_just_what_changed(watched, new_guest, virsh):
    (_one, first), (_two, second) = new_guest(), new_guest()
    changed = wait_for(lambda: guest(first), SOON_S)
    other = wait_for(lambda: guest(second), SOON_S)
    time.sleep(0.3)
    listener = Listener(watched, f"guest-{changed.pk}", f"guest-{other.pk}", "guests")
    begin = time.monotonic()
    virsh("start", first)
    started = time.monotonic()
    wait_for(lambda: {f"guest-{changed.pk}", "guests"} <= set(listener.topics), SOON_S)
    assert f"guest-{other.pk}" not in listener.topics
    assert listener.heard[0][0] - started < 1.0, f"start took {started - begin:.2f} s"


def test_a_virtual_network_is_followed(watched, virsh, tmp_path):
    # Its bridge does not exist, and starting it makes none: nothing of the machine is touched.
    name = f"kvt-inv-{time.time_ns() % 10**9}"
    (tmp_path / "net.xml").write_text(
        f"<network><name>{name}</name><forward mode='bridge'/><bridge name='kvt-none'/></network>"
    )

    def row() -> Any:
        return Network.objects.using(ALIAS).filter(name=name).first()

    virsh("net-define", str(tmp_path / "net.xml"))
    try:
        assert not wait_for(row, SOON_S).is_active
        virsh("net-start", name)
        wait_for(lambda: row().is_active, SOON_S)
        virsh("net-destroy", name)
        wait_for(lambda: not row().is_active, SOON_S)
    finally:
        virsh("net-destroy", name, check=False)
        virsh("net-undefine", name)
    wait_for(lambda: row().missing_since, SOON_S)


def test_a_pool_and_its_volumes_are_followed(watched, virsh):
    name = f"kvt-inv-{time.time_ns() % 10**9}"
    place = watched.home / "pool"
    place.mkdir()

    def row() -> Any:
        return Pool.objects.using(ALIAS).filter(name=name).first()

    def volumes() -> list[str]:
        there = Volume.objects.using(ALIAS).filter(pool__name=name, missing_since=None)
        return list(there.values_list("name", flat=True))

    virsh("pool-define-as", name, "dir", "--target", str(place))
    try:
        assert wait_for(row, SOON_S).is_active is False
        (place / "copied-by-hand.img").write_bytes(b"\0" * 1024)
        virsh("pool-start", name)
        wait_for(lambda: row().is_active and volumes() == ["copied-by-hand.img"], SOON_S)
        (place / "another.img").write_bytes(b"\0" * 1024)
        virsh("pool-refresh", name)
        wait_for(lambda: sorted(volumes()) == ["another.img", "copied-by-hand.img"], SOON_S)
    finally:
        virsh("pool-destroy", name, check=False)
        virsh("pool-undefine", name)
    wait_for(lambda: row().missing_since, SOON_S)
    assert volumes() == []
