"""The pages of pools and volumes: what they show, to whom, and how many queries that takes."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Grant
from guests.models import Disk, Guest
from hosts.models import Host
from storage.models import Iso, Pool, Volume

GIB = 1024**3


@pytest.fixture
def store(local_host):
    return Pool.objects.create(
        host=local_host,
        uuid=uuid.uuid4(),
        name="store",
        type="dir",
        is_active=True,
        target_path="/data_kvm/store",
        capacity_bytes=500 * GIB,
        allocation_bytes=182 * GIB,
        available_bytes=318 * GIB,
    )


def add_volumes(pool, count, start=0):
    return Volume.objects.bulk_create(
        Volume(
            pool=pool,
            name=f"disk-{number:05}.qcow2",
            path=f"{pool.target_path}/disk-{number:05}.qcow2",
            format="qcow2",
            capacity_bytes=20 * GIB,
            allocation_bytes=number,
        )
        for number in range(start, start + count)
    )


def use(volume, *names, state="shutoff"):
    for name in names:
        guest = Guest.objects.create(host=volume.pool.host, uuid=uuid.uuid4(), name=name, state=state)
        Disk.objects.create(guest=guest, target="vda", source=volume.path, volume=volume)


@pytest.fixture
def page(client, operator):
    client.force_login(operator)

    def get(name, *args, **query):
        answer = client.get(reverse(f"storage:{name}", args=args), query)
        assert answer.status_code == 200
        return answer.content.decode()

    return get


def test_a_pool_shows_how_full_it_is_and_what_is_in_it(page, store):
    add_volumes(store, 3)
    text = page("pool", store.pk)
    for words in ("182 GiB / 500 GiB", "318 GiB", "/data_kvm/store", "disk-00001.qcow2", "New volume"):
        assert words in text
    assert store.name in page("pools")


def test_a_viewer_sees_pools_and_volumes_but_nothing_to_change_them(client, viewer, store):
    volume = add_volumes(store, 1)[0]
    client.force_login(viewer)
    for url in (store.get_absolute_url(), volume.get_absolute_url(), "/pools/", "/volumes/"):
        text = client.get(url).content.decode()
        assert "disk-00000.qcow2" in text or "store" in text
        for words in ("New volume", "Delete", "Grow", "Stop"):
            assert words not in text, (url, words)
    assert client.get(reverse("storage:volume_new", args=[store.pk])).status_code == 404
    assert client.get(reverse("storage:volume_delete", args=[volume.pk])).status_code == 404
    assert client.post(reverse("storage:pool_start", args=[store.pk])).status_code == 404


def test_what_is_on_another_host_is_not_there(client, stranger, store):
    mine = Host.objects.create(name="mine", uri="test:///mine")
    Grant.objects.create(user=stranger, role="operator", scope_kind="host", scope_id=mine.pk)
    volume = add_volumes(store, 1)[0]
    client.force_login(stranger)
    for url in (store.get_absolute_url(), volume.get_absolute_url()):
        assert client.get(url).status_code == 404
    assert "disk-00000" not in client.get("/volumes/").content.decode()


def test_volumes_are_found_filtered_and_sorted_by_the_server(page, store):
    add_volumes(store, 3)
    used, backing, overlay = Volume.objects.order_by("name")
    use(used, "web-01")
    Volume.objects.filter(pk=overlay.pk).update(backing_path=backing.path)
    Volume.objects.create(pool=store, name="notes.img", path="/data_kvm/store/notes.img", format="raw")
    unused = page("volumes", unused=1)
    assert "disk-00002" in unused
    assert "notes.img" in unused
    assert used.name not in unused
    assert backing.name not in unused.replace(backing.path, "")  # another volume lies on it
    assert "notes.img" not in page("volumes", format="qcow2")
    assert "disk-" not in page("volumes", q="notes store")
    upwards = page("volumes", sort="allocation")
    downwards = page("volumes", sort="-allocation")
    assert upwards.index("disk-00001") < upwards.index("disk-00002")
    assert downwards.index("disk-00002") < downwards.index("disk-00001")
    assert "No volume matches" in page("volumes", q="nothing-like-it")


def test_a_wrong_order_says_which_there_are(client, operator, store):
    client.force_login(operator)
    answer = client.get("/volumes/", {"sort": "colour"})
    assert answer.status_code == 422
    assert "capacity" in answer.content.decode()


def test_a_volume_says_who_uses_it_and_what_it_lies_on(page, store):
    base, middle, top = add_volumes(store, 3)
    Volume.objects.filter(pk=top.pk).update(backing_path=middle.path)
    Volume.objects.filter(pk=middle.pk).update(backing_path=base.path)
    Volume.objects.filter(pk=base.pk).update(backing_path="/elsewhere/golden.img")
    use(top, "web-01")
    text = page("volume", top.pk)
    assert "web-01" in text
    assert text.index(middle.name) < text.index(base.name) < text.index("/elsewhere/golden.img")
    assert "On it lie" in page("volume", middle.pk)


def test_a_missing_volume_keeps_its_page_and_leaves_the_list(page, store):
    volume = add_volumes(store, 1)[0]
    Volume.objects.filter(pk=volume.pk).update(missing_since=timezone.now())
    assert "not in the pool" in page("volume", volume.pk)
    assert volume.name not in page("volumes")
    assert volume.name in page("volumes", missing=1)


@pytest.mark.parametrize("url", ["/volumes/?per=25", "/pools/", "/volumes/?per=25&unused=1&sort=-capacity"])
def test_a_list_costs_the_same_number_of_queries_for_one_row_and_for_a_page(client, operator, store, url):
    def queries():
        client.get(url)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        return len(captured)

    client.force_login(operator)
    use(add_volumes(store, 2)[0], "web-00")
    one = queries()
    for number, volume in enumerate(add_volumes(store, 200, start=2)[:30]):
        use(volume, f"web-{number}", f"db-{number}")
        Iso.objects.create(volume=volume)
    assert queries() == one
