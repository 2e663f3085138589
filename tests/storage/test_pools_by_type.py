"""What libvirt's drivers cannot do is offered on no page, and refused over REST with a reason."""

import uuid

import pytest

from jobs.models import Job
from storage.fetching.forms import pools_for
from storage.models import Iso, Pool, Volume
from storage.rules import UNWRITABLE_POOLS
from storage.uploads.creation import upload_pools
from tests.storage.test_pools_changed_pages import rest
from virt.pool_xml import FIELDS

MIB = 1024**2
# In the order of the menu.
CAN = {
    "dir": ["resize", "copy", "download", "move", "wipe", "delete"],
    "fs": ["resize", "copy", "download", "move", "wipe", "delete"],
    "netfs": ["resize", "copy", "download", "move", "wipe", "delete"],
    "vstorage": ["resize", "copy", "download", "move", "wipe", "delete"],
    "logical": ["copy", "download", "move", "wipe", "delete"],
    "disk": ["copy", "download", "move", "wipe", "delete"],
    "zfs": ["copy", "download", "move", "delete"],
    "iscsi": ["copy", "download", "move", "wipe"],
    "scsi": ["copy", "download", "move", "wipe"],
    "mpath": ["copy", "download", "move", "wipe"],
    "rbd": ["resize", "wipe", "delete"],
    "gluster": ["delete"],
    "iscsi-direct": ["wipe"],
}
ENTRIES = {
    "resize": "Resize…",
    "copy": "Copy…",
    "download": "Download",
    "move": "Move or convert…",
    "wipe": "Wipe…",
    "delete": "Delete…",
}


@pytest.fixture
def volume_in(local_host):
    """Makes a running pool of that type, with a volume in it that nobody uses."""

    def make(kind: str) -> Volume:
        pool = Pool.objects.create(
            host=local_host, uuid=uuid.uuid4(), name=kind, type=kind, is_active=True, available_bytes=512 * MIB
        )
        Pool.objects.update(capacity_bytes=1024 * MIB)
        return Volume.objects.create(pool=pool, name="a", path="/x/a", format="raw", capacity_bytes=8 * MIB)

    return make


@pytest.mark.parametrize("kind", FIELDS)
def test_a_menu_has_what_the_type_of_pool_can(client, admin, volume_in, kind):
    volume = volume_in(kind)
    client.force_login(admin)
    menu = client.get(f"/volumes/{volume.pk}/menu/").content.decode()
    assert [name for name, entry in ENTRIES.items() if entry in menu] == CAN[kind]
    makes = kind not in ("iscsi", "iscsi-direct", "scsi", "mpath", "gluster")
    assert ("New volume" in client.get(f"/pools/{volume.pool_id}/").content.decode()) == makes
    assert client.get(f"/pools/{volume.pool_id}/volumes/new/").status_code == (200 if makes else 501)
    may_empty = "Delete the 1 volume" in client.get(f"/pools/{volume.pool_id}/delete/").content.decode()
    assert may_empty == ("delete" in CAN[kind])
    asked = {
        "resize": rest(client, admin, "post", f"/volumes/{volume.pk}/resize", {"capacity_bytes": 16 * MIB}),
        "wipe": rest(client, admin, "post", f"/volumes/{volume.pk}/wipe"),
        "delete": rest(client, admin, "delete", f"/volumes/{volume.pk}"),
    }
    for name, answer in asked.items():
        if name not in CAN[kind]:
            assert (answer.status_code, answer.json()["code"]) == (501, "not_supported"), name
        Job.objects.all().delete()
    body = {"pool": volume.pool_id, "name": "" if kind == "disk" else "b", "capacity_bytes": MIB, "format": "raw"}
    assert rest(client, admin, "post", "/volumes", body).status_code == (202 if makes else 501)


def test_what_the_storage_divided_is_full_and_no_reason_to_worry(client, admin, volume_in):
    pools = {kind: volume_in(kind).pool for kind in ("iscsi-direct", "logical")}
    Pool.objects.update(available_bytes=0, allocation_bytes=1024 * MIB)
    client.force_login(admin)
    assert "fuller than" not in client.get(f"/pools/{pools['iscsi-direct'].pk}/").content.decode()
    assert "fuller than" in client.get(f"/pools/{pools['logical'].pk}/").content.decode()
    overview = client.get("/").content.decode()
    assert "Pool logical on local is 100 % full" in overview
    assert "iscsi-direct on local" not in overview


def test_what_is_put_into_a_pool_goes_only_where_that_works(admin, volume_in):
    for kind in FIELDS:
        volume_in(kind)
    usable = FIELDS.keys() - UNWRITABLE_POOLS
    assert {pool.type for pool in upload_pools(admin)} == {pool.type for pool in pools_for(admin)} == usable
    assert usable == {"dir", "fs", "netfs", "vstorage", "logical", "zfs"}


def test_a_copy_or_import_into_a_disk_says_what_to_do_instead(client, admin, volume_in, local_host):
    disk, image = volume_in("disk").pool, volume_in("dir")
    copied = rest(client, admin, "post", f"/volumes/{image.pk}/copy", {"pool": disk.pk, "name": "b", "format": "raw"})
    assert (copied.status_code, copied.json()["field"]) == (501, "pool")
    assert "Make one on the page of the pool" in copied.json()["message"]
    iso = Iso.objects.create(volume=image)
    assert rest(client, admin, "post", f"/isos/{iso.pk}/copy", {"pools": [disk.pk]}).status_code == 501
    assert not Job.objects.exists()


def test_a_partition_is_made_by_its_size_alone(client, admin, volume_in):
    pool = volume_in("disk").pool
    client.force_login(admin)
    page = client.get(f"/pools/{pool.pk}/volumes/new/").content.decode()
    assert 'name="name"' not in page
    assert 'name="preallocation"' not in page
    assert 'name="image_format"' not in page
    assert "A partition in the pool" in page
    answer = client.post(f"/pools/{pool.pk}/volumes/new/", {"size_gib": "0.25"})
    job = Job.objects.get()
    assert answer.status_code == 302
    assert job.title == "Make a partition in the pool disk"
    assert (job.arguments["name"], job.arguments["capacity_bytes"]) == ("", 256 * MIB)
    body = {"pool": pool.pk, "name": "mine", "capacity_bytes": MIB, "format": "raw"}
    named = rest(client, admin, "post", "/volumes", body)
    assert (named.status_code, named.json()["field"]) == (422, "name")
    elsewhere = rest(client, admin, "post", "/volumes", {**body, "pool": volume_in("dir").pool_id, "name": ""})
    assert (elsewhere.status_code, elsewhere.json()["field"]) == (422, "name")
