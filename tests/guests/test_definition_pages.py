"""Pages and REST of the definitions that guests had, and the words for what differs. No libvirt is asked."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from guests.definitions.models import COMPRESSED_FROM, DefinitionText, DefinitionVersion, digest_of
from guests.definitions.words import compare
from guests.models import Guest
from jobs.models import Job
from virt.connection import Connection

from .rows import make_guest, make_host, make_pool

XML = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web-01</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>{kib}</memory>
  <vcpu placement='static'>{vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <devices>
{devices}
  </devices>
</domain>
"""
DISK = """    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='{cache}'/>
      <source file='{path}'/>
      <target dev='{target}' bus='virtio'/>
      <address type='pci' bus='0x0{slot}'/>
    </disk>"""


@pytest.fixture(autouse=True)
def no_libvirt(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a request called libvirt")

    monkeypatch.setattr(Connection, "__init__", refuse)


def xml(*devices: str, kib: int = 1048576, vcpus: int = 1, uuid: str = "0" * 32) -> str:
    return XML.format(kib=kib, vcpus=vcpus, devices="\n".join(devices), uuid=uuid)


def disk(target: str, cache: str = "none", slot: int = 4, path: str = "/srv/store/a.qcow2") -> str:
    return DISK.format(target=target, cache=cache, slot=slot, path=path)


def keep(guest: Guest, *xmls: str, origin: str = "outside") -> list[DefinitionVersion]:
    now, made = timezone.now(), []
    for number, each in enumerate(xmls, start=1):
        text = DefinitionText.of(guest.pk, each)
        known = DefinitionText.objects.filter(guest=guest, digest=text.digest).first()
        if not known:
            text.save()
        made.append(
            DefinitionVersion.objects.create(
                guest=guest,
                number=number,
                text=known or text,
                seen_at=now - timedelta(hours=len(xmls) - number),
                earliest_at=now - timedelta(hours=len(xmls) - number, minutes=3),
                origin="first" if number == 1 else origin,
            )
        )
    Guest.objects.filter(pk=guest.pk).update(xml=xmls[-1])
    guest.refresh_from_db()
    return made


@pytest.fixture
def guest(db):
    host = make_host()
    make_pool(host)
    return make_guest(host, "web-01")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (xml(), xml(kib=2097152), ["Memory: 1024 MiB → 2048 MiB"]),
        (xml(), xml(vcpus=4), ["vCPUs: 1 → 4"]),
        (
            xml(disk("vda")),
            xml(disk("vda"), disk("vdb", path="/srv/ü.img")),
            ["Disk vdb added: file disk /srv/ü.img virtio qemu qcow2 none"],
        ),
        (xml(disk("vda")), xml(), ["Disk vda removed: file disk /srv/store/a.qcow2 virtio qemu qcow2 none"]),
        (xml(disk("vda")), xml(disk("vda", cache="writeback")), ["Disk vda: driver/@cache: none → writeback"]),
        (xml(disk("vda")), xml(disk("vda", slot=5)), []),
        (xml(), xml().replace("<os>", "<os><bios useserial='yes'/>"), ["os/bios added: useserial=yes"]),
        (xml(), xml().replace("web-01", "wéb &lt;&amp;"), ["Name: web-01 → wéb <&"]),
        (
            xml(),
            xml().replace("</domain>", "<qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain>"),
            ["commandline added: arg(value=-x)"],
        ),
        (xml(), xml().replace("<devices>", "<devices><gizmo a='1'><b/></gizmo>"), ["gizmo added"]),
        (xml().replace("<os>", "<!-- x --><os>"), xml(), []),
    ],
)
def test_a_difference_in_words(before, after, said):
    found = compare(before, after)
    assert [change.text for change in found.changes] == said
    assert found.lines


def test_what_is_no_xml_is_compared_as_text():
    found = compare("<domain>\n<a/>", xml())
    assert found.problem
    assert found.lines
    assert compare("<a/>\n" * 30_000, xml()).lines == []


def test_deep_xml_is_said_in_one_short_line():
    deep = "<a>" * 200 + "</a>" * 200
    (change,) = compare(xml(), xml().replace("<os>", f"<os>{deep}")).changes
    assert len(change.text) < 250


def test_large_definitions_are_kept_compressed(guest):
    small, large = DefinitionText.of(guest.pk, "<domain/>"), DefinitionText.of(guest.pk, xml(*[disk("vda")] * 9) + "ü")
    assert (small.is_compressed, large.is_compressed) == (False, True)
    assert len(large.data) < len(large.xml.encode()) / 3 < COMPRESSED_FROM * 9
    for text in (small, large):
        text.save()
        assert digest_of(DefinitionText.objects.get(pk=text.pk).xml) == text.digest


def test_the_history_page_says_what_changed_and_by_whom(client, guest, operator):
    keep(guest, xml(), xml(kib=2097152), xml(disk("vda"), kib=2097152))
    client.force_login(operator)
    page = client.get(f"/guests/{guest.pk}/history/").content.decode()
    for said in ("Memory: 1024 MiB → 2048 MiB", "Disk vda added", "Changed outside kvmweb", "Mark as seen", "In use"):
        assert said in page
    one = client.get(f"/guests/{guest.pk}/history/2/").content.decode()
    assert "Differs from definition 1" in one
    assert '<div class="add">  &lt;memory unit=&#x27;KiB&#x27;&gt;2097152&lt;/memory&gt;</div>' in one
    assert "Disk vda removed" in client.get(f"/guests/{guest.pk}/history/2/?with=3").content.decode()
    assert client.get(f"/guests/{guest.pk}/history/99/").status_code == 404
    assert client.get(f"/guests/{guest.pk}/history/2/?with=x").status_code == 200


def test_the_history_page_costs_the_same_for_few_and_for_all(client, guest, operator):
    client.force_login(operator)
    keep(guest, *(xml(kib=1048576 + n * 1024) for n in range(2)))
    url = f"/guests/{guest.pk}/history/"
    client.get(url)
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    DefinitionVersion.objects.all().delete()
    keep(guest, *(xml(kib=1048576 + n * 1024) for n in range(50)))
    with CaptureQueriesContext(connection) as many:
        client.get(url)
    assert len(many) == len(few)


def test_the_question_before_a_definition_is_put_back(client, guest, operator):
    keep(guest, xml(disk("vda")), xml())
    client.force_login(operator)
    page = client.get(f"/guests/{guest.pk}/history/1/restore/").content.decode()
    assert "is not on the host any more" in page  # the pool that the disk lay in has no such volume
    assert digest_of(guest.xml) in page
    refused = client.post(f"/guests/{guest.pk}/history/1/restore/", {"shown": digest_of(guest.xml)})
    assert refused.status_code == 409
    keep_two = make_guest(guest.host, "web-02")
    keep(keep_two, xml(), xml(kib=2097152))
    assert client.post(f"/guests/{keep_two.pk}/history/1/restore/", {"shown": "0" * 64}).status_code == 409
    assert not Job.objects.exists()
    done = client.post(f"/guests/{keep_two.pk}/history/1/restore/", {"shown": digest_of(keep_two.xml)})
    assert done.status_code == 302
    job = Job.objects.get()
    assert (job.kind, job.arguments["number"], job.created_by) == ("restore_definition", 1, operator)


def test_who_may_look_may_not_put_back_or_acknowledge(client, guest, viewer, stranger):
    keep(guest, xml(), xml(kib=2097152))
    client.force_login(viewer)
    page = client.get(f"/guests/{guest.pk}/history/").content.decode()
    assert "Put back" not in page
    assert "Mark as seen" not in page
    assert client.post(f"/guests/{guest.pk}/history/1/restore/").status_code == 404
    assert client.post(f"/guests/{guest.pk}/history/seen/").status_code == 404
    client.post("/guests/changes/", {"all": "yes"})
    assert DefinitionVersion.objects.drift().count() == 1
    client.force_login(stranger)
    assert client.get(f"/guests/{guest.pk}/history/").status_code == 404
    assert "web-01" not in client.get("/guests/changes/", headers={"HX-Request": "true"}).content.decode()


def test_changes_of_all_guests_are_listed_until_they_are_seen(client, guest, operator):
    versions = keep(guest, xml(), xml(kib=2097152))
    other = make_guest(guest.host, "db-01")
    keep(other, xml(), xml(vcpus=2), xml(vcpus=3))
    client.force_login(operator)
    page = client.get("/guests/changes/", headers={"HX-Request": "true"}).content.decode()
    assert "web-01" in page
    assert page.count("db-01") >= 2
    client.post("/guests/changes/", {"id": str(versions[1].pk)})
    assert "web-01" not in client.get("/guests/changes/", headers={"HX-Request": "true"}).content.decode()
    overview = client.get("/").content.decode()
    assert "Guest db-01 was changed outside kvmweb" in overview
    client.post("/guests/changes/", {"all": "yes"})
    assert "outside kvmweb" not in client.get("/").content.decode()


def test_the_same_over_rest(client, bearer, guest):
    keep(guest, xml(), xml(kib=2097152))
    base = f"/api/v1/guests/{guest.pk}/definitions"
    listed = client.get(base, **bearer).json()
    assert [(each["number"], each["origin"], each["is_current"]) for each in listed] == [
        (2, "outside", True),
        (1, "first", False),
    ]
    one = client.get(f"{base}/1", **bearer).json()
    assert one["xml"] == xml()
    diff = client.get(f"{base}/2/diff", **bearer).json()
    assert diff["changes"][0]["text"] == "Memory: 1024 MiB → 2048 MiB"
    assert "-  <memory unit='KiB'>1048576</memory>" in diff["diff"].splitlines()
    assert client.get(f"{base}/2/diff?other=9", **bearer).status_code == 404
    assert client.get(f"{base}/9", **bearer).json()["code"] == "definition_not_found"

    def post(path: str, body: object = None):
        return client.post(f"{base}/{path}", json.dumps(body or {}), content_type="application/json", **bearer)

    wrong = post("1/restore", {"current": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "definition_changed")
    assert post("acknowledge").json() == {"acknowledged": 1}
    assert post("1/restore", {"current": listed[0]["digest"]}).status_code == 202
    assert post("1/restore").json()["code"] == "busy"
