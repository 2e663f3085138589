"""Lists of checksums and who has signed them: keys made here by gpg, verified by gpgv, served on loopback."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.permissions import NotAllowed
from jobs.models import Job
from storage import catalogue
from storage.current import tasks as current_tasks
from storage.current.models import KeptImage
from storage.current.services import fetch_newer
from storage.fetching import services, tasks
from storage.models import Iso
from storage.signers import keys, verify
from storage.signers.models import SignerKey
from storage.signers.services import add_keys, delete_key
from storage.signers.verify import SignatureWrong, read_list, signed_content
from tests.storage import web as webs
from virt.errors import Invalid

LIST = b"0" * 64 + b"  disc.iso\n"


class Signer:
    """Somebody with a key of their own."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        self.gpg("--quick-gen-key", f"{name} <{name}@example.org>", "ed25519", "sign", "never")
        self.public = self.gpg("--armor", "--export").decode()
        lines = self.gpg("--list-keys", "--with-colons").decode().splitlines()
        self.fingerprint = next(line.split(":")[9] for line in lines if line.startswith("fpr"))

    def gpg(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--passphrase", "", *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    def detached(self, content: bytes) -> bytes:
        return self.gpg("--detach-sign", given=content)

    def clear(self, content: bytes) -> bytes:
        return self.gpg("--clearsign", given=content)


@pytest.fixture(scope="module")
def people():
    home = Path("/tmp") / f"kvt-gpg-{os.getpid()}"  # a short path: gpg's agent has a socket there
    home.mkdir(mode=0o700)
    try:
        yield Signer(home / "v", "vendor"), Signer(home / "m", "mallory")
    finally:
        for name in ("v", "m"):
            subprocess.run(["gpgconf", "--homedir", str(home / name), "--kill", "all"], check=False)
        shutil.rmtree(home)


@pytest.fixture
def vendor(people, admin) -> SignerKey:
    (row,) = add_keys(people[0].public, by=admin)
    return row


@pytest.fixture
def web(settings):
    settings.FETCH_NETWORKS = ["127.0.0.0/8"]
    with webs.running() as running:
        yield running


@pytest.mark.django_db
def test_a_key_is_known_by_the_fingerprint_that_gpg_says(people, admin, operator):
    both = "from the vendor's page:\n" + people[0].public + "\nand\n" + people[1].public.replace("\n", "\r\n")
    with pytest.raises(NotAllowed):
        add_keys(both, by=operator)
    assert {row.fingerprint for row in add_keys(both, by=admin)} == {person.fingerprint for person in people}
    assert SignerKey.objects.get(name="vendor <vendor@example.org>").fingerprint == people[0].fingerprint
    add_keys(people[0].public, by=admin)  # renewed
    assert SignerKey.objects.count() == 2
    delete_key(SignerKey.objects.get(fingerprint=people[1].fingerprint), by=admin)
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"add_signer_key", "delete_signer_key"}
    private = people[0].gpg("--armor", "--export-secret-keys").decode()
    cut = people[0].public[:200] + people[0].public[300:]
    for bad in ("", "x" * 50, private, private.replace("PRIVATE", "PUBLIC"), cut, "x" * (keys.MOST_CHARACTERS + 1)):
        with pytest.raises(Invalid):
            add_keys(bad, by=admin)
    for cut in range(20, 200, 7):  # no byte of it makes anything else of us
        with pytest.raises(Invalid):
            keys._split(keys._unarmored(people[0].public[36:-35], "key")[:cut], "key")


@pytest.mark.django_db
def test_only_what_the_named_key_has_signed_counts(people, vendor):
    good, mallory = people
    assert signed_content(LIST, good.detached(LIST), vendor) == LIST
    assert signed_content(LIST + b"x", good.detached(LIST), vendor) is None
    assert signed_content(LIST, mallory.detached(LIST), vendor) is None
    assert signed_content(LIST, b"nonsense", vendor) is None
    assert signed_content(LIST, good.detached(LIST) + mallory.detached(LIST), vendor) == LIST
    clear = good.clear(LIST)
    assert signed_content(clear, None, vendor) == LIST
    assert signed_content(clear.replace(b"0000", b"1111", 1), None, vendor) is None
    around = b"1" * 64 + b"  disc.iso\n" + clear + b"2" * 64 + b"  disc.iso\n"
    assert signed_content(around, None, vendor) == LIST  # what stands around it is not signed
    assert signed_content(mallory.clear(LIST), None, vendor) is None


@pytest.mark.django_db
def test_a_key_that_is_revoked_does_not_count(people, admin, tmp_path):
    home = Path("/tmp") / f"kvt-gpg-{os.getpid()}" / "r"
    gone = Signer(home, "gone")
    try:
        signature = gone.detached(LIST)
        revoke = next((home / "openpgp-revocs.d").iterdir()).read_bytes().replace(b":-----BEGIN", b"-----BEGIN")
        gone.gpg("--import", given=revoke)
        (row,) = add_keys(gone.gpg("--armor", "--export").decode(), by=admin)
        assert signed_content(LIST, signature, row) is None
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


@pytest.mark.django_db
@pytest.mark.parametrize("suffix", verify.BESIDE)
def test_the_signature_lies_beside_the_list_or_in_it(people, vendor, web, suffix):
    web.files["/SHA256SUMS"] = LIST
    assert read_list(web.url("/SHA256SUMS"), None) == (LIST.decode(), "")
    with pytest.raises(SignatureWrong, match="is not signed"):
        read_list(web.url("/SHA256SUMS"), vendor)
    web.files[f"/SHA256SUMS{suffix}"] = people[0].detached(LIST)
    assert read_list(web.url("/SHA256SUMS"), vendor) == (LIST.decode(), vendor.fingerprint)
    web.files["/SHA256SUMS"] = LIST.replace(b"0", b"1")
    with pytest.raises(SignatureWrong, match="was changed since"):
        read_list(web.url("/SHA256SUMS"), vendor)
    web.files["/CHECKSUM"] = people[0].clear(LIST)
    assert read_list(web.url("/CHECKSUM"), vendor) == (LIST.decode(), vendor.fingerprint)


def run(job: Job) -> Job:
    getattr(tasks, job.kind).run_here(job)
    job.refresh_from_db()
    return job


@pytest.mark.libvirt
def test_the_library_says_who_has_signed(people, vendor, web, pool, admin, client, build_iso, tmp_path, monkeypatch):
    disc = build_iso(tmp_path / "disc.iso", "Disc").read_bytes()
    listed = f"{hashlib.sha256(disc).hexdigest()} *disc.iso\n".encode()
    web.files |= {"/disc.iso": disc, "/SHA256SUMS": listed, "/SHA256SUMS.gpg": people[1].detached(listed)}
    url, list_url = web.url("/disc.iso"), web.url("/SHA256SUMS")
    for field, arguments in {
        "signer": {"checksum_url": list_url, "signer": "0" * 40},
        "checksum_url": {"signer": vendor.fingerprint},
    }.items():
        with pytest.raises(Invalid) as caught:
            services.fetch_image(pool, url, by=admin, **arguments)
        assert caught.value.field == field
    job = run(services.fetch_image(pool, url, by=admin, checksum_url=list_url, signer=vendor.spaced))
    assert (job.status, job.error_code) == ("failed", "signature_wrong")
    assert not list(Path(pool.target_path).iterdir())
    web.files["/SHA256SUMS.gpg"] = people[0].detached(listed)
    entry = catalogue.Entry("kvt", "Disc", "", "x86_64", "iso", list_url, r"disc\.iso", signer=vendor.fingerprint)
    monkeypatch.setattr(catalogue, "entries", lambda: (entry,))
    job = run(services.fetch_entry(pool, "kvt", by=admin))
    assert job.status == "succeeded", job.error
    iso = Iso.objects.get(pk=job.result["iso_id"])
    assert (iso.checksum, iso.signed_by, job.result["signed_by"]) == ("matches", vendor.fingerprint, vendor.fingerprint)
    job = run(services.fetch_image(pool, url, by=admin, checksum_url=list_url, name="unsigned.iso"))
    assert job.status == "succeeded", job.error
    client.force_login(admin)
    page = client.get(f"/isos/{iso.pk}/").content.decode()
    assert vendor.spaced in page
    assert "vendor@example.org" in page
    assert "Not verified" in client.get(f"/isos/{job.result['iso_id']}/").content.decode()
    assert f"signed by the key {vendor.spaced}" in client.get("/isos/").content.decode()
    assert client.get(f"/api/v1/isos/{iso.pk}").json()["signed_by"] == vendor.fingerprint
    assert "signature verified" in client.get("/isos/fetch/").content.decode()
    monkeypatch.setattr(catalogue, "entries", lambda: (entry._replace(signer="0" * 40),))
    assert "add the key of its signer" in client.get("/isos/fetch/").content.decode()
    client.patch(f"/api/v1/isos/{iso.pk}", {"sha256_expected": iso.sha256}, content_type="application/json")
    iso.refresh_from_db()
    assert iso.signed_by == ""  # somebody's word now


@pytest.mark.libvirt
def test_an_image_that_is_kept_current_never_becomes_an_unsigned_one(people, vendor, web, pool, admin, monkeypatch):
    entry = catalogue.Entry(
        "kvt", "Disc", "", "x86_64", "iso", web.url("/SHA256SUMS"), r"disc\.iso", signer=vendor.fingerprint
    )
    monkeypatch.setattr(catalogue, "entries", lambda: (entry,))

    def publish(content, signer):
        listed = f"{hashlib.sha256(content).hexdigest()} *disc.iso\n".encode()
        web.files |= {"/disc.iso": content, "/SHA256SUMS": listed}
        web.files.pop("/SHA256SUMS.gpg", None)
        if signer:
            web.files["/SHA256SUMS.gpg"] = signer.detached(listed)
        KeptImage.objects.update(ask_at=timezone.now())
        current_tasks.look()
        return Job.objects.active().first()

    publish(b"January" * 999, people[0])
    assert run(services.fetch_entry(pool, "kvt", by=admin, keep_current=True)).status == "succeeded"
    kept = KeptImage.objects.get()
    assert (kept.signed_by, kept.iso.signed_by) == (vendor.fingerprint, vendor.fingerprint)
    for signer in (None, people[1]):
        assert publish(b"FebruarY" * 999, signer) is None
        assert "Nothing was fetched" in KeptImage.objects.get().problem
    delete_key(vendor, by=admin)
    assert publish(b"FebruarY" * 999, people[0]) is None
    assert "because that key is not known here any more" in KeptImage.objects.get().problem
    job = run(fetch_newer(kept, by=admin))
    assert (job.status, job.error_code) == ("failed", "signature_wrong")
    assert [path.name for path in Path(pool.target_path).iterdir()] == ["disc.iso"]
    add_keys(people[0].public, by=admin)
    job = run(publish(b"FebruarY" * 999, people[0]))
    assert job.status == "succeeded", job.error
    kept.refresh_from_db()
    assert (kept.iso_id, kept.iso.signed_by) == (job.result["iso_id"], vendor.fingerprint)


@pytest.mark.django_db
def test_pages_and_rest_keep_the_keys(people, client, admin, operator):
    client.force_login(operator)
    assert client.post("/isos/signers/", {"key": people[0].public}).status_code in (403, 422)
    assert not SignerKey.objects.exists()
    client.force_login(admin)
    assert "DF9B 9C49" in client.get("/isos/signers/").content.decode()  # what the catalogue asks for
    assert client.post("/isos/signers/", {"key": people[0].public}).status_code == 302
    (row,) = SignerKey.objects.all()
    assert row.spaced in client.get("/isos/signers/").content.decode()
    added = client.post("/api/v1/isos/signers", {"key": people[1].public}, content_type="application/json")
    assert (added.status_code, added.json()[0]["fingerprint"]) == (201, people[1].fingerprint)
    assert len(client.get("/api/v1/isos/signers").json()) == 2
    assert client.delete(f"/api/v1/isos/signers/{people[1].fingerprint}").status_code == 204
    assert client.get(f"/isos/signers/{row.pk}/delete/").status_code == 200
    assert client.post(f"/isos/signers/{row.pk}/delete/").status_code == 302
    assert not SignerKey.objects.exists()
