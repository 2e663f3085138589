"""Pools and volumes, to the last byte of the file system."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from pathlib import Path

import pytest

from tests.virt.helpers import URI, tiny_guest, unique
from virt import pools, power, stray_files, transfer, volumes
from virt.connection import connect
from virt.content_xml import ContentXML
from virt.device_xml import DiskSpec, disk_element
from virt.errors import (
    Invalid,
    PoolBusy,
    PoolExists,
    PoolFull,
    PoolNotFound,
    VirtError,
    VolumeExists,
    VolumeInUse,
    VolumeNotFound,
    WrongState,
)
from virt.volume_xml import VolumeXML

pytestmark = pytest.mark.libvirt

MIB = 2**20


def raw(name, mib=1):
    return VolumeXML(name=name, format="raw", capacity_bytes=mib * MIB)


def guest_with(path):
    return tiny_guest(unique(), disk_element(DiskSpec(path=path, format="raw"), bus="virtio", target="vda"))


def test_setting_a_pool_up_twice_changes_nothing(conn, pool, virsh):
    info = pools.pool_info(conn, pool)
    assert (info.is_active, info.autostart, info.is_persistent, info.type) == (True, True, True, "dir")
    assert pools.ensure_dir_pool(conn, pool, info.path).uuid == info.uuid
    assert Path(info.path).stat().st_uid == 0
    assert info.capacity_bytes > info.available_bytes > 0
    assert f"Name:           {pool}" in virsh("pool-info", pool)


def test_setting_a_pool_up_starts_one_that_was_stopped(conn, pool):
    path = pools.pool_info(conn, pool).path
    assert pools.stop_pool(conn, pool) is True
    assert pools.stop_pool(conn, pool) is False
    pools.set_pool_autostart(conn, pool, False)
    info = pools.ensure_dir_pool(conn, pool, path)
    assert (info.is_active, info.autostart) == (True, True)
    assert pools.start_pool(conn, pool) is False


def test_a_pools_name_and_directory_belong_to_one_pool(conn, pool, directory):
    path = pools.pool_info(conn, pool).path
    with pytest.raises(PoolExists, match="Choose another name"):
        pools.ensure_dir_pool(conn, pool, f"{directory}/other")
    with pytest.raises(PoolExists, match=pool):
        pools.ensure_dir_pool(conn, unique(), path)
    for name, where in (("a b", "/x"), ("ok", "relative"), ("ok", "/a/../b")):
        with pytest.raises(Invalid):
            pools.ensure_dir_pool(conn, name, where)


def test_a_pool_that_is_not_there(conn):
    name = unique()
    assert pools.find_pool(conn, name) is None
    assert pools.delete_pool(conn, name) is False
    for action in (pools.pool_info, pools.start_pool, pools.refresh_pool, volumes.list_volumes):
        with pytest.raises(PoolNotFound):
            action(conn, name)


def test_a_directory_goes_only_when_it_is_empty(conn, directory):
    name, path = unique(), directory / "gone"
    pools.ensure_dir_pool(conn, name, str(path))
    volumes.create_volume(conn, name, raw("a"))
    with pytest.raises(WrongState, match="1 volumes"):
        pools.delete_pool(conn, name, delete_files=True)
    volumes.delete_volume(conn, name, "a")
    assert pools.delete_pool(conn, name, delete_files=True) is True
    assert not path.exists()


def test_an_inactive_pool_says_so(conn, pool):
    pools.stop_pool(conn, pool)
    for action in (volumes.list_volumes, pools.refresh_pool):
        with pytest.raises(WrongState):
            action(conn, pool)
    with pytest.raises(WrongState, match="Start it first"):
        volumes.create_volume(conn, pool, raw("a"))
    pools.start_pool(conn, pool)


@pytest.mark.parametrize("name", ["a.qcow2", "中文 disk.qcow2", "it's & so.qcow2"])
def test_a_volume_is_what_was_asked_for(conn, pool, name, virsh):
    made = volumes.create_volume(conn, pool, VolumeXML(name=name, capacity_bytes=64 * MIB))
    assert (made.name, made.format, made.capacity_bytes, made.type) == (name, "qcow2", 64 * MIB, "file")
    assert made.allocation_bytes < MIB
    assert name in virsh("vol-list", pool)
    assert volumes.volume_by_path(conn, made.path) == volumes.volume_info(conn, pool, name)
    assert volumes.resize_volume(conn, pool, name, capacity_bytes=100 * MIB) == 100 * MIB
    with pytest.raises(Invalid, match="can only grow"):
        volumes.resize_volume(conn, pool, name, capacity_bytes=MIB)
    assert volumes.delete_volume(conn, pool, name) is True
    assert volumes.delete_volume(conn, pool, name) is False
    assert volumes.volume_by_path(conn, made.path) is None


def test_space_is_taken_at_once_when_asked_for(conn, pool):
    full = volumes.create_volume(conn, pool, raw("full", 4), preallocation="full")
    sparse = volumes.create_volume(conn, pool, raw("sparse", 4))
    assert full.allocation_bytes >= 4 * MIB > sparse.allocation_bytes


def test_a_name_that_is_taken_is_refused_even_by_a_file_that_libvirt_has_not_seen(conn, pool):
    path = Path(pools.pool_info(conn, pool).path)
    (path / "mine.img").write_bytes(b"precious")
    with pytest.raises(VolumeExists, match="Choose another name") as failure:
        volumes.create_volume(conn, pool, raw("mine.img"))
    assert failure.value.field == "name"
    assert (path / "mine.img").read_bytes() == b"precious"
    volumes.create_volume(conn, pool, raw("a"))
    with pytest.raises(VolumeExists):
        volumes.clone_volume(conn, pool, "a", raw("mine.img"))


def test_a_pool_in_which_a_copy_is_made_can_still_be_used(conn, pool):
    volumes.create_volume(conn, pool, raw("a", 512), preallocation="full")
    done = threading.Event()

    def copy():
        with connect(URI, timeout_s=20) as own:
            volumes.clone_volume(own, pool, "a", VolumeXML(name="copy", capacity_bytes=512 * MIB))
        done.set()

    thread = threading.Thread(target=copy)
    thread.start()
    while not done.is_set():
        volumes.create_volume(conn, pool, raw(name := unique()))
        volumes.list_volumes(conn, pool, refresh=True)
        with contextlib.suppress(PoolBusy):
            pools.refresh_pool(conn, pool)
        volumes.delete_volume(conn, pool, name)
    thread.join()
    assert volumes.volume_info(conn, pool, "copy").format == "qcow2"


def test_a_file_put_beside_is_found(conn, pool):
    (Path(pools.pool_info(conn, pool).path) / "new.iso").write_bytes(b"x" * 5000)
    assert volumes.volume_info(conn, pool, "new.iso").capacity_bytes == 5000
    assert [info.name for info in volumes.list_volumes(conn, pool, refresh=True)] == ["new.iso"]
    with pytest.raises(VolumeNotFound):
        volumes.volume_info(conn, pool, "none")


def test_files_whose_names_are_no_text_do_not_hide_the_others(conn, pool):
    directory = Path(pools.pool_info(conn, pool).path)
    for name in (b"good.img", b"bad\xff\xfe.img", "no\uffff.img".encode()):
        Path(os.fsdecode(bytes(directory) + b"/" + name)).write_bytes(b"x")
    assert [info.name for info in volumes.list_volumes(conn, pool, refresh=True)] == ["good.img"]
    assert volumes.create_volume(conn, pool, raw("new")).name == "new"
    transfer.create_empty(conn, pool, ContentXML(name="newer"))
    with pytest.raises(VolumeExists):
        transfer.create_empty(conn, pool, ContentXML(name="good.img"))
    names = {file.name for file in stray_files.look_into(conn, str(directory)).files}
    assert names == {"good.img", "new", "newer"}


def test_an_image_that_libvirt_cannot_look_at_does_not_hide_the_others(conn, pool):
    directory = Path(pools.pool_info(conn, pool).path)
    below = b"/" + b"a" * 1022  # longer than any name of a file
    header = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 256, len(below), 16, MIB).ljust(256, b"\0") + below
    (directory / "long.qcow2").write_bytes(header.ljust(65536, b"\0"))
    (directory / "good.img").write_bytes(b"x")
    assert [info.name for info in volumes.list_volumes(conn, pool, refresh=True)] == ["good.img"]


def test_an_image_that_claims_more_than_there_can_be_counts_as_an_eib(conn, pool):
    header = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, 16, 2**64 - 1).ljust(104, b"\0")
    (Path(pools.pool_info(conn, pool).path) / "liar.qcow2").write_bytes(header.ljust(65536, b"\0"))
    assert volumes.volume_info(conn, pool, "liar.qcow2").capacity_bytes == 2**60


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\nb", "x" * 256])
def test_bad_names_do_not_reach_the_disk(conn, pool, name):
    with pytest.raises(Invalid):
        volumes.create_volume(conn, pool, raw(name))
    assert volumes.list_volumes(conn, pool, refresh=True) == []


def test_a_disk_larger_than_its_file_system_is_refused_and_leaves_nothing(conn, small_pool):
    with pytest.raises(PoolFull, match="storage is full") as failure:
        volumes.create_volume(conn, small_pool, raw("big", 64), preallocation="full")
    assert failure.value.status == 507
    assert "No space left on device" in failure.value.details
    assert os.listdir(pools.pool_info(conn, small_pool).path) == []


def test_a_copy_that_fills_the_disk_leaves_nothing(conn, small_pool):
    volumes.create_volume(conn, small_pool, raw("a", 10), preallocation="full")
    transfer.upload(conn, small_pool, "a", [os.urandom(10 * MIB)], length=10 * MIB)
    with pytest.raises(PoolFull):
        volumes.clone_volume(conn, small_pool, "a", raw("b", 10))
    assert os.listdir(pools.pool_info(conn, small_pool).path) == ["a"]


def test_an_upload_that_fills_the_disk_says_so(conn, small_pool):
    volumes.create_volume(conn, small_pool, raw("a", 32))
    with pytest.raises(PoolFull):
        transfer.upload(conn, small_pool, "a", [os.urandom(MIB)] * 32, length=32 * MIB)
    assert conn.is_alive
    assert volumes.delete_volume(conn, small_pool, "a")


def test_what_libvirt_confirms_and_did_not_write_is_missed(conn, pool):
    """It does so now and then when the disk is full; here the file is cut afterwards."""
    volumes.create_volume(conn, pool, raw("a", 8))
    path = Path(volumes.volume_info(conn, pool, "a").path)
    sent = [os.urandom(MIB), os.urandom(MIB), bytes(MIB)]
    last = transfer._Last(0)
    transfer.upload(conn, pool, "a", last.noted(sent), length=3 * MIB)
    volume = conn.call(lambda handle: handle.storagePoolLookupByName(pool).storageVolLookupByName("a"), "look")
    last.require(conn, pool, volume)  # zeros at the end do not count
    for length in (2 * MIB - 1, MIB, 0):
        os.truncate(path, length)
        with pytest.raises(PoolFull, match="Could not write all of volume a"):
            last.require(conn, pool, volume)
        os.truncate(path, 8 * MIB)
        with pytest.raises(PoolFull):
            last.require(conn, pool, volume)


def test_bytes_go_in_and_come_out_the_same(conn, pool):
    content = os.urandom(5 * MIB + 12345)
    volumes.create_volume(conn, pool, raw("a", 8))
    progress: list[int] = []
    chunks = (content[at : at + 300_000] for at in range(0, len(content), 300_000))
    assert transfer.upload(conn, pool, "a", chunks, length=len(content), on_progress=progress.append) == len(content)
    assert progress[-1] == len(content)
    assert progress == sorted(progress)
    assert b"".join(transfer.download(conn, pool, "a", length=len(content))) == content
    assert transfer.read_range(conn, pool, "a", 100, 3) == content[100:103]
    assert transfer.read_range(conn, pool, "a", 8 * MIB - 2, 100) == b"\0\0"
    assert transfer.read_range(conn, pool, "a", 8 * MIB, 100) == b""


def test_a_cancelled_upload_leaves_the_connection_in_order(conn, pool):
    volumes.create_volume(conn, pool, raw("a", 8))

    def cancel(_done):
        raise KeyError("cancelled")

    with pytest.raises(KeyError):
        transfer.upload(conn, pool, "a", [bytes(MIB)] * 8, length=8 * MIB, on_progress=cancel)
    assert volumes.volume_info(conn, pool, "a").capacity_bytes == 8 * MIB


def test_a_reader_that_stops_half_way_leaves_the_connection_in_order(conn, pool):
    volumes.create_volume(conn, pool, raw("a", 8))
    reader = transfer.download(conn, pool, "a")
    next(reader)
    reader.close()
    assert volumes.volume_info(conn, pool, "a").capacity_bytes == 8 * MIB


def test_a_disk_that_a_running_guest_has_open_is_left_alone(conn, pool, define):
    path = volumes.create_volume(conn, pool, raw("a")).path
    uuid = define(guest_with(path))
    power.start(conn, uuid)
    for action in (
        lambda: volumes.delete_volume(conn, pool, "a"),
        lambda: volumes.resize_volume(conn, pool, "a", capacity_bytes=2 * MIB),
        lambda: volumes.clone_volume(conn, pool, "a", raw("b")),
        lambda: volumes.wipe_volume(conn, pool, "a"),
    ):
        with pytest.raises(VolumeInUse, match=r"Shut .* down and try again") as failure:
            action()
        assert failure.value.status == 409
    assert [guest.uuid for guest in volumes.guests_using(conn, path)] == [uuid]
    second = define(guest_with(path))
    with pytest.raises(VolumeInUse, match="one of its disks open"):
        power.start(conn, second)
    power.destroy(conn, uuid)
    assert volumes.delete_volume(conn, pool, "a")


def test_a_guest_whose_disk_is_gone_says_so(conn, define, directory):
    uuid = define(guest_with(f"{directory}/none.img"))
    with pytest.raises(VirtError) as failure:
        power.start(conn, uuid)
    assert "none.img" in failure.value.details


def test_what_a_running_guest_has_below_its_disk_is_in_use(conn, pool, define, directory):
    base = volumes.create_volume(conn, pool, VolumeXML(name="base.qcow2", capacity_bytes=8 * MIB))
    pools.ensure_dir_pool(conn, other := unique(), str(directory / "other"))
    try:
        spec = VolumeXML(name="over.qcow2", capacity_bytes=8 * MIB, backing_path=base.path, backing_format="qcow2")
        over = volumes.create_volume(conn, other, spec)
        disk = disk_element(DiskSpec(path=over.path), bus="virtio", target="vda")
        uuid = define(tiny_guest(unique(), disk))
        power.start(conn, uuid)
        with pytest.raises(VolumeInUse, match="running guest"):
            volumes.delete_volume(conn, pool, "base.qcow2")
        power.destroy(conn, uuid)
        volumes.delete_volume(conn, other, "over.qcow2")
    finally:
        pools.delete_pool(conn, other)


def test_guests_that_name_a_volume_by_pool_are_found_and_those_of_pools_that_are_gone_do_no_harm(conn, pool, define):
    path = volumes.create_volume(conn, pool, raw("a")).path
    uuids = []
    for source in (pool, unique()):
        disk = disk_element(DiskSpec(path="/none", format="raw"), bus="virtio", target="vda")
        xml = tiny_guest(unique(), disk).replace('<disk type="file"', '<disk type="volume"')
        uuids.append(define(xml.replace('<source file="/none"/>', f'<source pool="{source}" volume="a"/>')))
    assert [guest.uuid for guest in volumes.guests_using(conn, path)] == uuids[:1]


def test_an_overlay_names_what_it_lies_on(conn, pool):
    base = volumes.create_volume(conn, pool, VolumeXML(name="base.qcow2", capacity_bytes=8 * MIB))
    spec = VolumeXML(name="over.qcow2", capacity_bytes=8 * MIB, backing_path=base.path, backing_format="qcow2")
    over = volumes.create_volume(conn, pool, spec)
    assert over.backing_path == base.path
    with pytest.raises(VolumeInUse, match=r"over\.qcow2 lies on base\.qcow2"):
        volumes.delete_volume(conn, pool, "base.qcow2")
    volumes.delete_volume(conn, pool, "over.qcow2")
    with pytest.raises(Invalid):
        VolumeXML(name="x", capacity_bytes=MIB, backing_path=base.path).to_xml()


def test_a_copy_may_have_another_format(conn, pool):
    volumes.create_volume(conn, pool, raw("a", 4))
    transfer.upload(conn, pool, "a", [b"kvt" * 1000], length=3000)
    copy = volumes.clone_volume(conn, pool, "a", VolumeXML(name="b.qcow2", capacity_bytes=4 * MIB))
    assert (copy.format, copy.capacity_bytes) == ("qcow2", 4 * MIB)
    volumes.clone_volume(conn, pool, "b.qcow2", raw("c", 4))
    assert transfer.read_range(conn, pool, "c", 2997, 6) == b"kvt\0\0\0"
    volumes.wipe_volume(conn, pool, "a")
    assert transfer.read_range(conn, pool, "a", 0, 6) == bytes(6)
