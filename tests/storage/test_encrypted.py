"""Secrets of libvirt and encrypted volumes: jobs, pages and REST. What is in them is nowhere to be found."""

import base64
import json
import logging
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import etree

from accounts.models import ApiToken, AuditEntry
from guests.models import Guest
from jobs.models import Job, JobLogLine, JobUndo
from storage import services
from storage.models import Pool, Volume
from storage.secrets import services as secrets
from storage.secrets.inventory import sync_secrets
from storage.secrets.models import HostSecret, PassingValue, ValueGone
from tests.storage.conftest import run
from virt import volumes
from virt.errors import Invalid, NotSupported, SecretExists, SecretInUse, VirtError
from virt.secret_xml import SecretXML

MIB = 1024**2
PASSPHRASE = "Tr0ub4dor & 3 虚"
KEY = base64.b64encode(b"a key of Ceph's").decode()
USES = [("volume", "/srv/a.luks"), ("ceph", "client.kvm secret"), ("iscsi", "chap-1"), ("tls", "tls-1")]


@pytest.fixture
def word(virsh):
    """A word in the names of a test's secrets, which are gone at its end."""
    chosen = f"kvt-{uuid.uuid4().hex[:8]}"
    yield chosen
    for line in virsh("secret-list").splitlines():
        if chosen in line:
            virsh("secret-undefine", line.split()[0], check=False)


@pytest.fixture
def rows(local_host):
    """rows(5) makes so many secrets, of which nobody tells libvirt."""

    def make(number: int, usage: str = "ceph") -> list[HostSecret]:
        return [
            HostSecret.objects.create(host=local_host, uuid=uuid.uuid4(), usage=usage, usage_id=f"{usage}-{each}")
            for each in range(number)
        ]

    return make


def rest(client, user, method, path, body=None):
    secret = ApiToken.issue(user, "tests", ApiToken.Scope.ADMINISTER)[1]
    options = {"content_type": "application/json", "data": body} if body is not None else {}
    return getattr(client, method)(f"/api/v1{path}", HTTP_AUTHORIZATION=f"Bearer {secret}", **options)


def all_that_is_kept():
    """What the database says of jobs, their logs, journals and audit, and of values that wait."""
    kinds = (Job, JobLogLine, JobUndo, AuditEntry, PassingValue, HostSecret)
    return "".join(str(list(row.values())) for kind in kinds for row in kind.objects.values())


@pytest.mark.parametrize(("usage", "usage_id"), USES)
def test_a_secret_is_described_as_libvirts_schema_wants_it(usage, usage_id):
    schema = etree.RelaxNG(file="/usr/share/libvirt/schemas/secret.rng")
    wanted = SecretXML(uuid=str(uuid.uuid4()), usage=usage, usage_id=usage_id, description="Tom & <Anna>")
    document = etree.fromstring(wanted.to_xml())
    assert schema.validate(document), schema.error_log
    assert document.get("private") == "yes"


@pytest.mark.libvirt
def test_a_secret_is_defined_given_another_value_and_deleted(local_host, admin, virsh, word):
    for usage, value in (("ceph", KEY), ("iscsi", "a password"), ("tls", "another")):
        job = secrets.create_secret(local_host, usage, f"{word}-{usage}", value, by=admin, description="of a test")
        assert value not in all_that_is_kept()
        assert run(job).status == "succeeded", job.error
        row = HostSecret.objects.get(pk=job.result["secret_id"])
        assert f"{row.uuid}   {usage}" in virsh("secret-list")
        assert f"{word}-{usage}" in virsh("secret-list")
        assert "private='yes'" in virsh("secret-dumpxml", str(row.uuid))
    assert (
        "private"
        in subprocess.run(
            ["virsh", "secret-get-value", str(row.uuid)], capture_output=True, text=True, check=False
        ).stderr
    )
    with pytest.raises(SecretExists):
        secrets.create_secret(local_host, "tls", f"{word}-tls", "x", by=admin)
    changed = run(secrets.set_value(row, "yet another", by=admin))
    assert changed.status == "succeeded", changed.error
    assert run(secrets.delete_secret(row, by=admin)).status == "succeeded"
    assert f"{word}-tls" not in virsh("secret-list")
    assert not HostSecret.objects.filter(pk=row.pk).exists()
    assert "another" not in all_that_is_kept()


@pytest.mark.libvirt
def test_what_changes_beside_kvmweb_is_seen_and_a_value_is_used_once(local_host, admin, virsh, word):
    job = secrets.create_secret(local_host, "ceph", f"{word}-a", KEY, by=admin, keep=False)
    assert run(job).status == "succeeded", job.error
    assert HostSecret.objects.get(usage_id=f"{word}-a").is_ephemeral
    virsh("secret-undefine", job.result["uuid"])
    with local_host.connect() as conn:
        sync_secrets(local_host, conn)
    assert not HostSecret.objects.filter(usage_id=f"{word}-a").exists()
    late = secrets.create_secret(local_host, "ceph", f"{word}-b", KEY, by=admin)
    PassingValue.objects.all().delete()
    assert (run(late).status, late.error_code) == ("failed", "value_gone")
    assert f"{word}-b" not in virsh("secret-list")


@pytest.mark.parametrize(
    ("usage", "usage_id", "value", "field"),
    [
        ("vtpm", "a", "x", "usage"),
        ("ceph", "a\nb", KEY, "usage_id"),
        ("ceph", "", KEY, "usage_id"),
        ("ceph", "a<b>", KEY, "usage_id"),
        ("volume", "a.luks", "x", "usage_id"),
        ("volume", "/srv/../a", "x", "usage_id"),
        ("ceph", "a", "not base64!", "value"),
        ("iscsi", "a", "", "value"),
        ("iscsi", "a", "x" * 513, "value"),
        ("iscsi", "a", "two\nlines", "value"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_before_a_job_starts(local_host, admin, usage, usage_id, value, field):
    with pytest.raises(Invalid) as refused:
        secrets.create_secret(local_host, usage, usage_id, value, by=admin)
    assert refused.value.field == field
    assert not Job.objects.exists()
    assert not PassingValue.objects.exists()


def test_a_secret_that_a_pool_or_a_guest_asks_for_stays(local_host, admin, rows):
    by_pool, by_guest, free = rows(3)
    auth = "<auth type='ceph' username='kvm'><secret {}/></auth>"
    Pool.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="rbd", type="rbd",
        xml=f"<pool type='rbd'><source>{auth.format(f'uuid={chr(34)}{by_pool.uuid}{chr(34)}')}</source></pool>",
    )  # fmt: skip
    disk = f"<disk type='network'><auth username='kvm'><secret type='ceph' usage='{by_guest.usage_id}'/></auth></disk>"
    Guest.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="web-01", vcpus=1, memory_mib=64,
        xml=f"<domain><devices>{disk}</devices></domain>",
    )  # fmt: skip
    for secret, who in ((by_pool, "rbd"), (by_guest, "web-01")):
        with pytest.raises(SecretInUse, match=who):
            secrets.delete_secret(secret, by=admin)
    assert not secrets.check_deletable(free).all


@pytest.mark.libvirt
def test_an_encrypted_qcow2_is_made_once_or_leaves_nothing(pool, admin, virsh, monkeypatch):
    wanted = {"by": admin, "encryption": "luks", "passphrase": PASSPHRASE}

    def full(*_arguments, **_options):
        raise VirtError("The storage is full.")

    with monkeypatch.context() as patched:
        patched.setattr(volumes, "create_volume", full)
        failed = run(services.create_volume(pool, "safe.qcow2", 16 * MIB, **wanted))
    assert failed.status == "failed"
    assert pool.target_path not in virsh("secret-list")
    assert not HostSecret.objects.filter(usage_id__startswith=pool.target_path).exists()

    job = services.create_volume(pool, "safe.qcow2", 16 * MIB, **wanted)
    assert PassingValue.objects.count() == 1
    rival = services.create_volume(pool, "safe.qcow2", 16 * MIB, **{**wanted, "passphrase": "another one"})
    assert (run(rival).status, rival.error_code) == ("failed", "volume_exists")
    assert PASSPHRASE not in all_that_is_kept()
    assert run(job).status == "succeeded", job.error
    assert not PassingValue.objects.exists()
    assert PASSPHRASE not in all_that_is_kept()
    safe = Volume.objects.get(pk=job.result["volume_id"])
    assert (safe.format, safe.encryption) == ("qcow2", "luks")
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", safe.path]))
    assert info["encrypted"]
    assert info["format-specific"]["data"]["encrypt"]["format"] == "luks"
    assert f"volume {safe.path}" in virsh("secret-list")

    with pytest.raises(NotSupported, match=r"safe\.qcow2 is encrypted"):
        services.resize_volume(safe, 8 * MIB, by=admin, shrink=True)
    with pytest.raises(Invalid, match="encrypted"):
        services.create_volume(pool, "over.qcow2", 16 * MIB, by=admin, backing=safe)
    again = services.create_volume(pool, "safe2", 16 * MIB, "luks", by=admin, passphrase=PASSPHRASE)
    Path(pool.target_path, "safe2").write_bytes(b"somebody was faster")
    assert (run(again).status, again.error_code) == ("failed", "volume_exists")
    assert Path(pool.target_path, "safe2").read_bytes() == b"somebody was faster"
    assert "safe2" not in virsh("secret-list")

    assert run(services.delete_volume(safe, by=admin)).status == "succeeded"
    assert safe.path not in virsh("secret-list")
    assert not HostSecret.objects.filter(usage_id__startswith=pool.target_path).exists()


@pytest.fixture
def shelf(local_host):
    """A pool of which nobody tells libvirt, with an encrypted volume in it."""
    found = Pool.objects.create(
        host=local_host, uuid=uuid.uuid4(), name="shelf", type="dir", is_active=True, target_path="/srv/shelf",
        capacity_bytes=1024**4, available_bytes=1024**4,
    )  # fmt: skip
    Volume.objects.create(pool=found, name="a.luks", path="/srv/shelf/a.luks", format="raw", encryption="luks")
    return found


def test_the_form_takes_a_passphrase_twice_and_never_shows_it_again(client, admin, shelf, caplog):
    client.force_login(admin)
    address = f"/pools/{shelf.pk}/volumes/new/"
    page = client.get(address).content.decode()
    assert 'value="qcow2-luks"' in page
    assert 'name="passphrase_again"' in page
    given = {"name": "b.qcow2", "size_gib": "1", "image_format": "qcow2-luks", "preallocation": "none"}
    with caplog.at_level(logging.DEBUG):
        for again, problem in (("something else", "not what was typed above"), ("", "This field is required")):
            answer = client.post(address, {**given, "passphrase": PASSPHRASE, "passphrase_again": again})
            assert answer.status_code == 422
            assert problem in answer.content.decode()
            assert PASSPHRASE not in answer.content.decode()
        short = client.post(address, {**given, "passphrase": "short", "passphrase_again": "short"})
        assert short.status_code == 422
        assert "at least 8 characters" in short.content.decode()
        assert not Job.objects.exists()
        ok = client.post(address, {**given, "passphrase": PASSPHRASE, "passphrase_again": PASSPHRASE})
    assert ok.status_code == 302
    job = Job.objects.get()
    assert (job.arguments["image_format"], job.arguments["luks"]["ephemeral"]) == ("qcow2", True)
    assert PASSPHRASE not in all_that_is_kept()
    assert PASSPHRASE not in caplog.text


def test_a_volume_whose_host_lacks_the_passphrase_says_so(client, admin, shelf):
    client.force_login(admin)
    volume = Volume.objects.get()
    page = client.get(f"/volumes/{volume.pk}/").content.decode()
    assert "does not have the passphrase" in page
    assert f"/volumes/{volume.pk}/passphrase/" in page
    HostSecret.objects.create(host=shelf.host, uuid=uuid.uuid4(), usage="volume", usage_id=volume.path)
    assert "does not have the passphrase" not in client.get(f"/volumes/{volume.pk}/").content.decode()
    answer = client.post(f"/volumes/{volume.pk}/passphrase/", {"passphrase": PASSPHRASE, "keep": "on"})
    assert answer.status_code == 302
    assert answer["Location"] == Job.objects.get().get_absolute_url()
    assert PASSPHRASE not in all_that_is_kept()


def test_the_tab_costs_the_same_for_few_and_many_and_offers_what_is_there(client, admin, local_host, rows):
    client.force_login(admin)

    def cost():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(f"/hosts/{local_host.pk}/secrets/").status_code == 200
        return len(captured)

    assert "No secrets" in client.get(f"/hosts/{local_host.pk}/secrets/").content.decode()
    first = rows(2)
    few = cost()
    rows(60, "iscsi")
    assert cost() == few
    page = client.get(f"/pools/new/?on_host={local_host.pk}&type=rbd").content.decode()
    assert f'<option value="{first[0].uuid}">ceph-0</option>' in page
    assert "iscsi-1" not in page
    made = client.post(
        f"/hosts/{local_host.pk}/secrets/new/", {"usage": "ceph", "usage_id": "client.b", "value": KEY, "keep": "on"}
    )
    assert made.status_code == 302
    assert Job.objects.get().kind == "create_secret"
    question = client.get(f"/hosts/{local_host.pk}/secrets/{first[0].pk}/delete/").content.decode()
    assert "secret-undefine" in question
    assert f'href="/hosts/{local_host.pk}/secrets/"' in question


def test_secrets_are_for_administrators(client, admin, operator, local_host, rows):
    (secret,) = rows(1)
    client.force_login(operator)
    assert "/secrets/" not in client.get(f"/hosts/{local_host.pk}/").content.decode()
    for path in ("", "new/", f"{secret.pk}/value/", f"{secret.pk}/delete/"):
        assert client.get(f"/hosts/{local_host.pk}/secrets/{path}").status_code == 404
    assert rest(client, operator, "get", f"/secrets?host={local_host.pk}").status_code == 422
    assert rest(client, operator, "delete", f"/secrets/{secret.pk}").status_code == 404
    body = {"on_host": local_host.pk, "usage": "ceph", "usage_id": "a", "value": KEY}
    assert rest(client, operator, "post", "/secrets", body).status_code == 422
    assert not Job.objects.exists()


def test_rest_takes_values_and_gives_none(client, admin, local_host, rows, shelf):
    (secret,) = rows(1)
    found = rest(client, admin, "get", f"/secrets?host={local_host.pk}").json()["items"]
    assert [(each["usage"], each["usage_id"], each["used_by"]) for each in found] == [("ceph", "ceph-0", [])]
    body = {"on_host": local_host.pk, "usage": "iscsi", "usage_id": "chap", "value": PASSPHRASE}
    answers = [
        rest(client, admin, "post", "/secrets", body),
        rest(client, admin, "put", f"/secrets/{secret.pk}/value", {"value": KEY}),
        rest(client, admin, "post", f"/volumes/{Volume.objects.get().pk}/passphrase", {"passphrase": PASSPHRASE}),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    wrong = rest(client, admin, "put", f"/secrets/{secret.pk}/value", {"value": [PASSPHRASE]})
    assert wrong.status_code == 422
    volume = {"pool": shelf.pk, "name": "c.luks", "capacity_bytes": MIB, "format": "luks", "passphrase": PASSPHRASE}
    made = rest(client, admin, "post", "/volumes", volume)
    assert made.status_code == 202
    short = rest(client, admin, "post", "/volumes", {**volume, "name": "d.luks", "passphrase": "short"})
    assert (short.status_code, short.json()["field"]) == (422, "passphrase")
    kept = all_that_is_kept() + "".join(each.content.decode() for each in (*answers, wrong, made, short))
    assert PASSPHRASE not in kept
    assert KEY not in kept


def test_a_value_that_no_job_came_for_is_put_away(db):
    old, young = PassingValue.give(PASSPHRASE), PassingValue.give(PASSPHRASE)
    PassingValue.objects.filter(pk=old).update(given_at=timezone.now() - timedelta(days=2))
    PassingValue.put_away_old()
    assert PassingValue.take(young) == PASSPHRASE
    for word in (old, young):
        with pytest.raises(ValueGone):
            PassingValue.take(word)
