"""Pages of guests: the tabs, the questions, the forms, the wizard. No libvirt is asked."""

import json
import uuid

import pytest

from guests.models import Disk, Guest
from jobs.models import Job
from networking.models import Bridge, Network
from storage.models import Iso, Volume
from virt.connection import Connection

from .rows import make_guest, make_host, make_pool


@pytest.fixture(autouse=True)
def no_libvirt(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a request called libvirt")

    monkeypatch.setattr(Connection, "__init__", refuse)


@pytest.fixture
def host(db):
    return make_host()


@pytest.fixture
def store(host):
    return make_pool(host)


@pytest.fixture
def iso(host):
    pool = make_pool(host, "iso")
    volume = Volume.objects.create(pool=pool, name="debian-12.iso", path="/srv/iso/debian-12.iso", format="iso")
    return Iso.objects.create(
        volume=volume, os_id="http://debian.org/debian/12", os_name="Debian 12", is_iso9660=True, boots_bios=True
    )


@pytest.fixture
def network(host):
    return Network.objects.create(host=host, uuid=uuid.uuid4(), name="default", is_active=True, forward="nat")


@pytest.mark.parametrize("state", Guest.State.values)
def test_every_state_has_its_pages(client, admin, host, state):
    guest = make_guest(host, "web-01", state=state, changes_at_restart=[{"what": "memory", "now": "1", "then": "2"}])
    if state == "missing":
        Guest.objects.update(missing_since=guest.state_since)
    client.force_login(admin)
    for path in ("", "hardware/", "jobs/", "xml/", "menu/"):
        response = client.get(f"/guests/{guest.pk}/{path}")
        assert response.status_code == 200, path
        assert b"\n<html" in response.content or path == "menu/"


def test_a_viewer_is_offered_nothing(client, viewer, host):
    guest = make_guest(host, "web-01", state="running")
    client.force_login(viewer)
    text = client.get(f"/guests/{guest.pk}/").content.decode()
    for offer in ("/power/", "/edit/", "/delete/", "/consoles/"):
        assert offer not in text
    for path in ("edit/", "delete/", "power/destroy/", "forget/"):
        assert client.get(f"/guests/{guest.pk}/{path}").status_code == 404
        assert client.post(f"/guests/{guest.pk}/{path}").status_code == 404
    assert not Job.objects.exists()


@pytest.mark.parametrize("verb", ["start", "shutdown", "reboot", "suspend", "resume", "save", "reset", "destroy"])
def test_each_button_starts_a_job(client, operator, host, verb):
    guest = make_guest(host, "web-01", state="running")
    client.force_login(operator)
    assert client.get(f"/guests/{guest.pk}/power/{verb}/").status_code == 200  # the question, for those without script
    assert client.post(f"/guests/{guest.pk}/power/{verb}/").status_code == 302
    job = Job.objects.get()
    assert (job.kind, job.created_by) == (f"{verb}_guest", operator)
    again = client.post(f"/guests/{guest.pk}/power/{verb}/")
    assert again.status_code == 409
    assert job.title in again.content.decode()


def test_an_unknown_verb_or_guest_gives_no_500(client, operator, host):
    guest = make_guest(host, "web-01")
    client.force_login(operator)
    assert client.post(f"/guests/{guest.pk}/power/explode/").status_code == 422
    assert client.post("/guests/99999999999999999999999999/power/start/").status_code == 404
    assert client.get("/guests/99999999999999999999999999/").status_code == 404
    assert client.post("/guests/bulk/", {"do": "start", "id": ["x", "9" * 30]}).status_code == 422


def test_many_at_once(client, operator, host):
    pks = [make_guest(host, f"g{n}", state="running").pk for n in range(3)]
    client.force_login(operator)
    assert client.post("/guests/bulk/", {"do": "shutdown", "id": pks}).status_code == 302
    job = Job.objects.get()
    assert (job.kind, job.arguments["guest_ids"]) == ("power_guests", pks)
    question = client.post("/guests/bulk/", {"do": "destroy", "id": pks})
    assert question.status_code == 200
    assert "g2" in question.content.decode()
    assert Job.objects.count() == 1
    assert client.post("/guests/bulk/", {"do": "destroy", "id": pks, "confirmed": "yes"}).status_code == 302
    assert Job.objects.count() == 2


def test_deleting_wants_the_name_and_the_disks(client, operator, store):
    guest = make_guest(store.host, "web-01")
    volume = Volume.objects.create(pool=store, name="web-01.qcow2", path="/srv/store/web-01.qcow2", format="qcow2")
    Disk.objects.create(guest=guest, target="vda", source=volume.path, volume=volume)
    client.force_login(operator)
    url = f"/guests/{guest.pk}/delete/"
    assert "store/web-01.qcow2" in client.get(url).content.decode()
    assert client.post(url, {"disks": "vda"}).status_code == 422
    assert client.post(url, {"disks": "vda", "confirm_name": "web-02"}).status_code == 422
    assert client.post(url, {"disks": "vdz", "confirm_name": "web-01"}).status_code == 422
    assert not Job.objects.exists()
    assert client.post(url, {"disks": "vda", "confirm_name": "web-01"}).status_code == 302
    assert Job.objects.get().arguments == {"guest_id": guest.pk, "disks": ["vda"], "force": False}


def test_a_running_guest_is_deleted_only_when_that_was_said(client, operator, host):
    guest = make_guest(host, "web-01", state="running")
    client.force_login(operator)
    url = f"/guests/{guest.pk}/delete/"
    response = client.post(url, {"confirm_name": "web-01"})
    assert response.status_code == 422
    assert "runs" in response.content.decode()
    assert client.post(url, {"confirm_name": "web-01", "force": "on"}).status_code == 302


def test_only_administrators_forget(client, admin, operator, host):
    guest = make_guest(host, "web-01", state="missing")
    Guest.objects.update(missing_since=guest.state_since)
    client.force_login(operator)
    assert client.post(f"/guests/{guest.pk}/forget/").status_code == 404
    client.force_login(admin)
    assert "Forget" in client.get(f"/guests/{guest.pk}/").content.decode()
    assert client.post(f"/guests/{guest.pk}/forget/").status_code == 302
    assert not Guest.objects.exists()


def test_the_form_sends_what_differs(client, operator, host):
    guest = make_guest(host, "web-01", vcpus=1, memory_mib=1024, is_emulated=True)
    client.force_login(operator)
    url = f"/guests/{guest.pk}/edit/"
    fields = {"name": "web-01", "title": "", "description": "", "vcpus": "1", "memory": "1 GiB"}
    assert client.post(url, fields).status_code == 302
    assert not Job.objects.exists()
    assert client.post(url, {**fields, "memory": "2g", "autostart": "on"}).status_code == 302
    assert Job.objects.get().arguments["changes"] == {"memory_mib": 2048, "autostart": True}
    Job.objects.all().delete()
    for wrong in ({"vcpus": "0"}, {"vcpus": "-1"}, {"vcpus": "1000000000"}, {"memory": "much"}, {"memory": "9999 TiB"},
                  {"name": "a/b"}, {"name": ""}):  # fmt: skip
        response = client.post(url, {**fields, **wrong})
        assert response.status_code == 422, wrong
        assert b"field-error" in response.content, wrong
    assert not Job.objects.exists()


def test_inserting_and_ejecting(client, operator, iso):
    guest = make_guest(iso.volume.pool.host, "web-01")
    Disk.objects.create(guest=guest, target="sda", device="cdrom")
    client.force_login(operator)
    assert "debian-12.iso" in client.get(f"/guests/{guest.pk}/media/sda/").content.decode()
    assert client.post(f"/guests/{guest.pk}/media/sda/", {"iso": iso.pk}).status_code == 302
    assert Job.objects.get().arguments["path"] == "/srv/iso/debian-12.iso"
    Job.objects.all().delete()
    assert client.post(f"/guests/{guest.pk}/media/sda/eject/").status_code == 302
    assert Job.objects.get().arguments["path"] is None
    assert client.post(f"/guests/{guest.pk}/media/vda/eject/").status_code == 422


# --- the wizard -------------------------------------------------------------------------------------------------------
def fields(iso: Iso, pool, network, /, **changes: str) -> dict[str, str]:
    return {
        "source": "iso",
        "iso": str(iso.pk),
        "os": "http://debian.org/debian/12",
        "name": "web-01",
        "host": str(pool.host_id),
        "vcpus": "2",
        "memory": "2 GiB",
        "pool": str(pool.pk),
        "disk": "20 GiB",
        "disk_format": "qcow2",
        "network": f"network:{network.pk}",
        "firmware": "bios",
        "start": "on",
        **changes,
    }


def test_the_form_is_filled_from_the_iso(client, operator, iso, store, network):
    client.force_login(operator)
    text = client.get(f"/guests/new/?iso={iso.pk}").content.decode()
    assert 'value="debian12-01"' in text
    assert '<option value="http://debian.org/debian/12" selected>Debian 12</option>' in text
    assert "&lt;domain" in text
    assert "virt-install" in text
    assert "is free on kvm-a" in text
    assert not Job.objects.exists()


def test_a_form_makes_a_guest(client, operator, iso, store, network):
    client.force_login(operator)
    response = client.post("/guests/new/", fields(iso, store, network))
    job = Job.objects.get()
    assert response.status_code == 302
    assert response.url == f"/guests/creating/{job.pk}/"
    guest = Guest.objects.get()
    assert (guest.name, guest.state, guest.vcpus, guest.memory_mib) == ("web-01", "creating", 2, 2048)
    assert job.arguments["disk"]["capacity_bytes"] == 20 * 2**30
    assert "/srv/iso/debian-12.iso" in job.arguments["xml"]
    page = client.get(response.url).content.decode()
    assert f'data-then="/consoles/{guest.pk}/"' in page
    assert 'value="web-01"' in client.get(f"/guests/new/?again={job.pk}").content.decode()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"name": ""}, "required"),
        ({"name": "a/b"}, "slash"),
        ({"name": "a\nb"}, "control characters"),
        ({"name": "x" * 256}, "255"),
        ({"name": "网" * 100}, "Chinese"),
        ({"vcpus": "0"}, "vCPUs"),
        ({"vcpus": "-1"}, "vCPUs"),
        ({"vcpus": "1000000000"}, "vCPUs"),
        ({"vcpus": "two"}, "whole number"),
        ({"memory": "100 GiB"}, "8192 MiB"),
        ({"memory": "lots"}, "not a size"),
        ({"memory": "0"}, "at least"),
        ({"disk": "200 GiB"}, "do not fit"),
        ({"disk": "1 MiB"}, "1 GiB"),
        ({"disk": "-5"}, "not a size"),
        ({"disk_format": "vmdk"}, "valid choice"),
        ({"network": "network:99"}, "no such network"),
        ({"network": "bridge:zzz"}, "no such bridge"),
        ({"firmware": "coreboot"}, "firmware"),
        ({"os": "http://nowhere"}, "not known"),
        ({"iso": "99"}, "valid choice"),
        ({"source": "iso", "iso": ""}, "Choose the ISO"),
        ({"pool": "99"}, "valid choice"),
        ({"host": "99"}, "valid choice"),
    ],
)
def test_bad_input_comes_back_with_a_sentence(client, operator, iso, store, network, changes, word):
    client.force_login(operator)
    values = fields(iso, store, network, **changes)
    response = client.post("/guests/new/", values)
    assert response.status_code == 422
    assert word in response.content.decode()
    assert not Guest.objects.exists()
    assert not Job.objects.exists()
    preview = client.post("/guests/new/preview/", {**values, "suggested": "{}"})
    assert preview.status_code == 200


def test_chinese_names_and_names_with_markup_are_fine(client, operator, iso, store, network):
    client.force_login(operator)
    for number, name in enumerate(("网页服务器", "a \"b\" <c> & 'd'")):
        assert client.post("/guests/new/", fields(iso, store, network, name=name)).status_code == 302, number
    assert {guest.name for guest in Guest.objects.all()} == {"网页服务器", "a \"b\" <c> & 'd'"}


def test_a_second_guest_of_the_same_name_is_refused(client, operator, iso, store, network):
    make_guest(store.host, "web-01")
    client.force_login(operator)
    response = client.post("/guests/new/", fields(iso, store, network))
    assert response.status_code == 422
    assert "web-01 already" in response.content.decode()


def test_defaults_follow_what_is_chosen_but_not_what_was_typed(client, operator, iso, store, network):
    client.force_login(operator)
    page = client.get("/guests/new/").content.decode()
    assert 'value="guest-01"' in page
    before = {"os": "", "name": "guest-01", "vcpus": "2", "memory": "2 GiB", "disk": "20 GiB", "firmware": "bios"}
    typed = fields(iso, store, network, **{**before, "memory": "3 GiB", "suggested": json.dumps(before)})
    text = client.post("/guests/new/preview/", typed).content.decode()
    assert 'id="field-name"' in text
    assert "debian12-01" in text
    assert 'id="field-memory"' not in text  # somebody typed it
    assert 'id="field-os"' in text


def test_the_other_sources(client, operator, iso, store, network):
    volume = Volume.objects.create(pool=store, name="old.qcow2", path="/srv/store/old.qcow2", format="qcow2")
    client.force_login(operator)
    posted = fields(iso, store, network, source="volume", volume=str(volume.pk), name="a")
    assert client.post("/guests/new/", posted).status_code == 302
    assert client.post("/guests/new/", fields(iso, store, network, source="network", name="b")).status_code == 302
    bridge = Bridge.objects.create(host=store.host, name="br0", is_active=True)
    posted = fields(iso, store, network, source="none", name="c", disk="", network=f"bridge:{bridge.pk}", start="")
    assert client.post("/guests/new/", posted).status_code == 302
    taken, pxe, empty = (Job.objects.get(arguments__name=name).arguments for name in "abc")
    assert taken["disk"] is None
    assert "/srv/store/old.qcow2" in taken["xml"]
    assert "debian-12.iso" not in pxe["xml"]
    assert empty["disk"] is None
    assert 'bridge="br0"' in empty["xml"]
    assert not empty["start"]


def test_without_script_a_button_brings_the_defaults(client, operator, iso, store, network):
    client.force_login(operator)
    posted = fields(iso, store, network, name="guest-01", suggested=json.dumps({"name": "guest-01"}), refresh="1")
    text = client.post("/guests/new/", posted).content.decode()
    assert 'value="debian12-01"' in text
    assert not Job.objects.exists()


def test_who_may_make_guests(client, viewer, stranger, iso, store, network):
    for user in (viewer, stranger):
        client.force_login(user)
        assert client.get("/guests/new/").status_code == 403
        assert client.post("/guests/new/", fields(iso, store, network)).status_code == 403
    assert not Job.objects.exists()


def test_a_host_that_was_never_connected_says_so(client, operator, iso, store, network):
    store.host.guest_sheets.all().delete()
    client.force_login(operator)
    assert "Wait until it is connected" in client.get(f"/guests/new/?iso={iso.pk}").content.decode()
    response = client.post("/guests/new/", fields(iso, store, network))
    assert response.status_code == 422


def test_no_host_at_all(client, admin, db):
    client.force_login(admin)
    assert client.get("/guests/new/").status_code == 200
    assert client.get("/guests/").status_code == 200
