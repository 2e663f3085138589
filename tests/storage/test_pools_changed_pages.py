"""Pages and REST that make and change pools and volumes: what they offer, to whom, and at what cost."""

import re
import uuid
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiToken
from guests.models import Disk, Guest
from hosts.models import Host
from jobs.models import Job
from storage.models import Pool, StorageSheet, Volume
from virt.pool_xml import FIELDS

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
        capacity_bytes=100 * GIB,
        allocation_bytes=95 * GIB,
        available_bytes=5 * GIB,
        xml="<pool type='dir'>\n  <name>store</name>\n</pool>",
    )


@pytest.fixture
def disk(store):
    return Volume.objects.create(
        pool=store, name="a.qcow2", path="/data_kvm/store/a.qcow2", format="qcow2", capacity_bytes=200 * GIB
    )


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


def rest(client, user, method, path, body=None):
    secret = ApiToken.issue(user, "tests", ApiToken.Scope.ADMINISTER)[1]
    send = getattr(client, method)
    options = {"content_type": "application/json", "data": body} if body is not None else {}
    return send(f"/api/v1{path}", HTTP_AUTHORIZATION=f"Bearer {secret}", **options)


@pytest.mark.parametrize("kind", FIELDS)
def test_each_type_has_a_form_with_its_fields(as_admin, local_host, kind):
    kinds = [{"type": each, "formats": ["auto", "nfs"], "default_format": "auto"} for each in FIELDS]
    StorageSheet.objects.create(host=local_host, kinds=kinds)
    page = as_admin.get(f"/pools/new/?on_host={local_host.pk}&type={kind}")
    assert page.status_code == 200
    text = page.content.decode()
    required, optional = FIELDS[kind]
    for name in (*required, *optional):
        assert f'name="{name}"' in text, name
    assert ('name="host" ' in text) or kind not in ("rbd", "netfs")
    assert ("Look for it" in text) == (kind in ("netfs", "logical", "iscsi", "iscsi-direct", "scsi"))


def test_what_was_found_fills_the_form_of_the_host_that_looked(as_admin, admin, local_host):
    other = Host.objects.create(name="z", uri="test:///default", state=Host.State.CONNECTED)
    answer = as_admin.post("/pools/look/", {"host": other.pk, "type": "iscsi-direct", "server": "10.0.0.9:3261"})
    job = Job.objects.get()
    assert (answer["Location"], job.arguments["server"]) == (
        f"/pools/new/?on_host={other.pk}&type=iscsi-direct&job={job.pk}",
        "10.0.0.9:3261",
    )
    found = {"label": "it", "host": "10.0.0.9:3261", "target": "iqn.2013-06.com.example:a"}
    Job.objects.update(status="succeeded", result={"sources": [found]})
    page = as_admin.get(answer["Location"]).content.decode()
    assert 'name="host" value=' not in page.split("</section>")[-1]  # nothing was chosen yet
    (link,) = (unescape(each) for each in re.findall(r'href="([^"]*iqn[^"]*)"', page))
    chosen = as_admin.get(link).content.decode()
    assert f'<option value="{other.pk}" selected>z</option>' in chosen
    assert 'value="10.0.0.9:3261"' in chosen
    assert 'value="iqn.2013-06.com.example:a"' in chosen


def test_a_pool_is_made_by_the_form_and_a_wrong_field_is_marked(as_admin, local_host):
    here = f"/pools/new/?on_host={local_host.pk}&type=dir"
    given = {"name": "more", "path": "/srv/more", "build": "build", "autostart": "on", "mode": "711"}
    wrong = as_admin.post(here, {**given, "path": "srv"})
    assert wrong.status_code == 422
    assert "starting with a slash" in wrong.content.decode()
    answer = as_admin.post(here, given)
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, job.get_absolute_url())
    assert job.arguments["spec"]["path"] == "/srv/more"
    assert (job.arguments["build"], job.arguments["autostart"]) == ("build", True)


def test_only_administrators_of_a_host_make_pools(client, operator, viewer, local_host, store):
    for user in (operator, viewer):
        client.force_login(user)
        assert client.get("/pools/new/").status_code == 404
        assert "New pool" not in client.get("/pools/").content.decode()
        for path in ("edit", "delete"):
            assert client.get(f"/pools/{store.pk}/{path}/").status_code == 404
        assert client.get(f"/pools/{store.pk}/xml/").status_code == 200
        body = {"on_host": local_host.pk, "name": "x", "type": "dir", "path": "/etc"}
        assert rest(client, user, "post", "/pools", body).status_code == 422
        assert rest(client, user, "delete", f"/pools/{store.pk}").status_code == 404
        assert rest(client, user, "put", f"/pools/{store.pk}/xml", {"xml": "<pool/>"}).status_code == 404
    assert not Job.objects.exists()


def test_rest_makes_a_pool_and_says_what_is_wrong(client, admin, local_host, store):
    body = {"on_host": local_host.pk, "name": "more", "type": "dir", "path": "/srv/more", "build": "build"}
    made = rest(client, admin, "post", "/pools", body)
    assert (made.status_code, made.json()["kind"]) == (202, "create_pool")
    for change, field in (({"path": "/a/../b"}, "path"), ({"type": "floppy"}, "type"), ({"build": "x"}, "build")):
        wrong = rest(client, admin, "post", "/pools", {**body, **change})
        assert (wrong.status_code, wrong.json()["field"]) == (422, field)
    taken = rest(client, admin, "post", "/pools", {**body, "name": "store"})
    assert (taken.status_code, taken.json()["code"]) == (409, "pool_exists")
    assert "dir" in {each["type"] for each in rest(client, admin, "get", f"/pools/kinds?host={local_host.pk}").json()}
    assert rest(client, admin, "put", f"/pools/{store.pk}/warning", {"warn_percent": 101}).status_code == 422
    assert rest(client, admin, "put", f"/pools/{store.pk}/warning", {"warn_percent": 97}).status_code == 204
    looked = rest(client, admin, "post", "/pools/sources", {"on_host": local_host.pk, "type": "scsi"})
    assert looked.status_code == 202


def test_a_pool_says_how_full_it_is_and_what_it_promised(as_admin, store, disk):
    text = as_admin.get(f"/pools/{store.pk}/").content.decode()
    assert "fuller than 90 %" in text
    assert "200 % of the pool" in text
    as_admin.post(f"/pools/{store.pk}/warning/", {"warn_percent": "0"})
    assert "fuller than" not in as_admin.get(f"/pools/{store.pk}/").content.decode()
    Pool.objects.update(closed_to_qemu="/root/x")
    text = as_admin.get(f"/pools/{store.pk}/").content.decode()
    assert "/root/x" in text
    assert "Let QEMU in" in text
    as_admin.post(f"/pools/{store.pk}/let-qemu-in/")
    assert Job.objects.get().kind == "let_qemu_in"


def test_a_definition_shows_what_changes_before_it_is_applied(as_admin, store):
    xml = f"<pool type='dir'>\n  <name>store</name>\n  <uuid>{store.uuid}</uuid>\n</pool>"
    Pool.objects.update(xml=xml)
    changed = xml.replace("</pool>", "  <target><path>/b</path></target>\n</pool>")
    shown = as_admin.post(f"/pools/{store.pk}/edit/", {"xml": changed, "preview": "1"})
    assert 'class="add">  &lt;target' in shown.content.decode()
    assert not Job.objects.exists()
    assert as_admin.post(f"/pools/{store.pk}/edit/", {"xml": "<pool", "preview": "1"}).status_code == 422
    as_admin.post(f"/pools/{store.pk}/edit/", {"xml": changed, "apply": "1"})
    assert Job.objects.get().kind == "edit_pool"


def test_a_pool_is_deleted_by_its_name(as_admin, store, disk):
    assert "Delete the 1 volume" in as_admin.get(f"/pools/{store.pk}/delete/").content.decode()
    assert as_admin.post(f"/pools/{store.pk}/delete/", {"confirm_name": "stor"}).status_code == 422
    as_admin.post(f"/pools/{store.pk}/delete/", {"confirm_name": "store", "volumes": "1"})
    assert Job.objects.get().arguments["data"] == "volumes"


@pytest.mark.parametrize("what", ["resize", "copy", "move", "wipe"])
def test_volumes_are_changed_by_forms(as_admin, store, disk, what, viewer):
    assert as_admin.get(f"/volumes/{disk.pk}/{what}/").status_code == 200
    menu = as_admin.get(f"/volumes/{disk.pk}/menu/").content.decode()
    assert f"/volumes/{disk.pk}/{what}/" in menu
    assert f"/api/v1/volumes/{disk.pk}/content" in menu
    as_admin.force_login(viewer)
    assert as_admin.get(f"/volumes/{disk.pk}/{what}/").status_code == 404


def test_forms_start_the_jobs(as_admin, store, disk):
    Volume.objects.update(capacity_bytes=GIB, allocation_bytes=GIB)
    wrong = as_admin.post(f"/volumes/{disk.pk}/resize/", {"size_gib": "0.5"})
    assert (wrong.status_code, "Allow it to be made smaller" in wrong.content.decode()) == (422, True)
    forms = {
        "resize": {"size_gib": "2"},
        "copy": {"pool": store.pk, "name": "b.qcow2", "image_format": ""},
        "move": {"pool": store.pk, "name": "", "image_format": "raw"},
        "wipe": {"confirm_name": "a.qcow2"},
    }
    for what, given in forms.items():
        answer = as_admin.post(f"/volumes/{disk.pk}/{what}/", given)
        assert answer.status_code == 302, answer.content.decode()
        job = Job.objects.get()
        assert job.kind == f"{what}_volume"
        job.delete()
    assert job.arguments == {"volume_id": disk.pk}


def test_rest_copies_moves_and_wipes(client, admin, viewer, store, disk):
    Volume.objects.update(capacity_bytes=GIB, allocation_bytes=GIB)
    for what, body in (("copy", {}), ("move", {"format": "raw"}), ("wipe", {})):
        assert rest(client, viewer, "post", f"/volumes/{disk.pk}/{what}", body).status_code == 404
        started = rest(client, admin, "post", f"/volumes/{disk.pk}/{what}", body)
        assert started.status_code == 202, started.content
        job = Job.objects.get()
        busy = rest(client, admin, "post", f"/volumes/{disk.pk}/{what}", body)
        assert (busy.status_code, busy.json()["code"]) == (409, "busy")
        job.delete()
    assert rest(client, admin, "post", f"/volumes/{disk.pk}/copy", {"pool": 10**12}).status_code == 422


def test_a_chain_says_what_is_wrong_with_it(as_admin, store, disk, client, admin):
    top = Volume.objects.create(
        pool=store, name="top", path="/data_kvm/store/top", format="qcow2", backing_path=disk.path
    )
    assert 'class="bd warn"' not in as_admin.get(f"/volumes/{top.pk}/").content.decode()
    Volume.objects.filter(pk=disk.pk).update(backing_path=top.path)
    assert "runs in a circle" in as_admin.get(f"/volumes/{top.pk}/").content.decode()
    assert "circle" in rest(client, admin, "get", f"/volumes/{top.pk}").json()["chain_problem"]
    as_admin.force_login(admin)
    Volume.objects.filter(pk=disk.pk).update(backing_path="", missing_since=timezone.now() - timedelta(hours=1))
    assert "not in its pool any more" in as_admin.get(f"/volumes/{top.pk}/").content.decode()
    Volume.objects.filter(pk=top.pk).update(backing_path="/data_kvm/store/never")
    assert "no such file in its pool" in as_admin.get(f"/volumes/{top.pk}/").content.decode()
    Volume.objects.filter(pk=top.pk).update(backing_path="/elsewhere/x")
    assert "in no pool" in as_admin.get(f"/volumes/{top.pk}/").content.decode()


def test_5000_volumes_cost_a_page_no_more_queries_than_one(as_admin, local_host, store):
    guest = Guest.objects.create(host=local_host, uuid=uuid.uuid4(), name="web-01", state="running")

    def queries(path):
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert as_admin.get(path).status_code == 200
        return len(caught)

    def add(numbers):
        made = Volume.objects.bulk_create(
            Volume(pool=store, name=f"v{n:05}.qcow2", path=f"/data_kvm/store/v{n:05}.qcow2", format="qcow2")
            for n in numbers
        )
        Disk.objects.bulk_create(
            Disk(guest=guest, target=f"t{volume.pk}", source=volume.path, volume=volume) for volume in made[::3]
        )

    add(range(3))
    paths = ("/volumes/", f"/pools/{store.pk}/", "/volumes/?unused=1", "/pools/")
    few = [queries(path) for path in paths]
    add(range(3, 5000))
    assert [queries(path) for path in paths] == few
