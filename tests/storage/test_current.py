"""Images of the catalogue that keep themselves current: a vendor of ours publishes, signs, replaces and goes away."""

import hashlib
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Grant, User
from guests.models import Disk, Guest
from hosts.models import Host
from jobs.models import Busy, Job, JobUndo
from jobs.runner import roll_back_dead_jobs
from storage import catalogue
from storage import tasks as storage_tasks
from storage.copies import services as copies
from storage.copies import tasks as copy_tasks
from storage.current import formers, services, tasks
from storage.current.models import FormerImage, KeptImage
from storage.fetching import services as fetching
from storage.fetching import tasks as fetch_tasks
from storage.inventory import refresh_pool
from storage.models import ImageCopy, Iso, Pool, Tree, Volume
from tests.storage import web as webs
from virt import volumes
from virt.errors import Invalid, WrongState

KEY = "kvt-cloud"
LATEST = "kvt-cloud-latest.img"


@pytest.fixture
def web(settings):
    settings.FETCH_NETWORKS = ["127.0.0.0/8"]
    with webs.running() as running:
        yield running


class Vendor:
    """Publishes images below /latest/, with a list of their checksums."""

    def __init__(self, web, monkeypatch) -> None:
        self.web = web
        pattern = r"kvt-cloud-(latest|[0-9.]+)\.img"
        self.entry = catalogue.Entry(KEY, "Kvt Cloud", "", "x86_64", "cloud", web.url("/latest/SHA512SUMS"), pattern)
        self.bare = self.entry._replace(key="bare", list="", pattern="", url=web.url("/latest/x.iso"))
        monkeypatch.setattr(catalogue, "entries", lambda: (self.entry, self.bare))

    def publish(self, content: bytes, name: str = LATEST) -> bytes:
        self.web.files[f"/latest/{name}"] = content
        self.web.files["/latest/SHA512SUMS"] = f"{hashlib.sha512(content).hexdigest()}  {name}\n".encode()
        return content

    def goes_away(self) -> None:
        self.web.files.clear()

    def asked(self) -> list[str]:
        """What was asked for since the last time, by file name."""
        found = [path.rpartition("/")[2] for path, _range in self.web.asked]
        self.web.asked.clear()
        return found


@pytest.fixture
def vendor(web, monkeypatch) -> Vendor:
    return Vendor(web, monkeypatch)


@pytest.fixture
def january(vendor, pool, admin) -> Iso:
    """The image of January, fetched by hand and kept current."""
    vendor.publish(b"January" * 999)
    job = run(fetching.fetch_entry(pool, KEY, by=admin, keep_current=True))
    assert job.status == "succeeded", job.error
    vendor.asked()
    return Iso.objects.get(pk=job.result["iso_id"])


def run(job: Job) -> Job:
    for room in (fetch_tasks, copy_tasks, tasks, storage_tasks):
        if task := getattr(room, job.kind, None):
            task.run_here(job)
            break
    job.refresh_from_db()
    return job


def a_day_later() -> list[Job]:
    """What starts by itself a day later, each run to its end."""
    KeptImage.objects.update(ask_at=timezone.now())
    FormerImage.objects.update(try_at=timezone.now())
    tasks.look()
    copy_tasks.keep_in_step()
    return [run(job) for job in Job.objects.active().order_by("pk")]


def files(pool) -> dict[str, bytes]:
    return {path.name: path.read_bytes()[:7] for path in Path(pool.target_path).iterdir()}


def dated() -> str:
    return f"kvt-cloud-latest-{timezone.localdate():%Y-%m-%d}.img"


@pytest.mark.libvirt
def test_a_newer_image_is_fetched_beside_the_former_which_goes_when_nothing_uses_it(
    vendor, january, pool, admin, virsh
):
    assert a_day_later() == []
    assert vendor.asked() == ["SHA512SUMS"]  # nothing changed: only the list was read
    kept = KeptImage.objects.get()
    assert (kept.iso, kept.created_by, kept.problem) == (january, admin, "")
    assert kept.ask_at > timezone.now() + timedelta(hours=22)
    tasks.look()
    assert vendor.asked() == []  # once a day
    vendor.publish(b"FebruarY" * 999)
    (job,) = a_day_later()
    assert (job.status, job.created_by) == ("succeeded", admin), job.error
    february = Iso.objects.get(pk=job.result["iso_id"])
    assert (february.name, february.checksum, february.source_url) == (dated(), "matches", january.source_url)
    assert KeptImage.objects.get().iso == february
    assert files(pool) == {LATEST: b"January", dated(): b"Februar"}
    (job,) = a_day_later()
    assert (job.kind, job.status, job.result) == ("remove_former", "succeeded", {"removed": True}), job.error
    assert virsh("vol-list", pool.name).split()[0] == dated()
    assert files(pool) == {dated(): b"Februar"}
    assert not Iso.objects.filter(pk=january.pk).exists()
    assert a_day_later() == []
    for name, called in ((LATEST, dated().replace(".img", "-2.img")), ("kvt-cloud-2.10.img", "kvt-cloud-2.10.img")):
        vendor.publish(f"as {name}".encode() * 99, name)
        (job,) = [job for job in a_day_later() if job.kind == "fetch_image"]
        assert Iso.objects.get(pk=job.result["iso_id"]).name == called
    assert not JobUndo.objects.exists()


@pytest.mark.libvirt
def test_what_something_uses_stays_and_goes_when_it_is_let_go(vendor, january, new_pool, pool, admin):
    vendor.publish(b"FebruarY" * 999)
    (job,) = a_day_later()
    guest = Guest.objects.create(host=pool.host, uuid=uuid.uuid4(), name="web-01", state="shutoff")
    old = january.volume
    uses = (
        lambda: Disk.objects.create(guest=guest, target="vda", device="disk", source=old.path, volume=old),
        lambda: Volume.objects.create(pool=pool, name="overlay", path=f"{pool.target_path}/o", backing_path=old.path),
        lambda: Tree.objects.create(iso=january),
        lambda: ImageCopy.objects.create(iso=january, pool=pool),
    )
    for use in uses:
        row = use()
        assert a_day_later() == []
        row.delete()
    assert files(pool)[LATEST] == b"January"
    (job,) = a_day_later()
    assert job.result == {"removed": True}
    assert LATEST not in files(pool)


@pytest.mark.libvirt
def test_a_guest_that_only_libvirt_knows_of_keeps_it_and_so_does_another_content(
    vendor, january, pool, new_guest, admin
):
    vendor.publish(b"FebruarY" * 999)
    a_day_later()
    name = new_guest(january.volume.path)
    (job,) = a_day_later()
    assert (job.status, job.result) == ("succeeded", {"removed": False}), job.error
    assert name in " ".join(job.log_lines.values_list("text", flat=True))
    Path(january.volume.path).write_bytes(b"changed" * 999)  # as large as before: nobody noticed
    assert files(pool)[LATEST] == b"changed"
    (job,) = a_day_later()
    assert "changed since" in " ".join(job.log_lines.values_list("text", flat=True))
    assert a_day_later() == []
    assert files(pool)[LATEST] == b"changed"
    assert Iso.objects.filter(pk=january.pk).exists()


@pytest.mark.libvirt
def test_copies_in_step_follow_and_their_old_files_go_by_the_same_rule(vendor, january, pool, new_pool, admin):
    other, plain = new_pool(), new_pool()
    (job,) = copies.copy_image(january, [other], by=admin, keep_in_step=True)
    assert run(job).status == "succeeded", job.error
    (job,) = copies.copy_image(january, [plain], by=admin)
    assert run(job).status == "succeeded", job.error
    vendor.publish(b"FebruarY" * 999)
    fetched, copied = a_day_later()[0], None
    while jobs := a_day_later():
        assert {job.status for job in jobs} == {"succeeded"}, [job.error for job in jobs]
        copied = copied or next((job for job in jobs if job.kind == "copy_image"), None)
        if copied and not files(other).get(dated()):
            pytest.fail("the old copy went before the new one came")
    assert copied
    assert files(other) == {dated(): b"Februar"}
    assert files(plain) == {LATEST: b"January"}
    assert files(pool) == {LATEST: b"January", dated(): b"Februar"}  # it has a copy of its own, which stays behind
    assert ImageCopy.objects.get(pool=other).iso_id == fetched.result["iso_id"]


@pytest.mark.libvirt
def test_a_vendor_that_is_away_or_behind_is_a_note_and_no_failed_job(vendor, january, pool, admin, client):
    vendor.goes_away()
    assert a_day_later() == []
    kept = KeptImage.objects.get()
    assert "404" in kept.problem
    assert kept.asked_at
    client.force_login(admin)
    assert "404" in client.get(f"/isos/{january.pk}/").content.decode()
    vendor.publish(b"FebruarY" * 999)
    assert len(a_day_later()) == 1
    assert KeptImage.objects.get().problem == ""
    vendor.publish(b"January" * 999)  # a mirror that is late, or somebody who serves an old list again
    assert a_day_later()[0].kind == "remove_former"
    assert "older than this image" in KeptImage.objects.get().problem
    assert files(pool) == {dated(): b"Februar"}
    vendor.publish(b"version" * 999, "kvt-cloud-2.10.img")
    a_day_later()
    vendor.publish(b"earlier" * 999, "kvt-cloud-2.9.img")
    assert [job.kind for job in a_day_later()] == ["remove_former"]
    assert "kvt-cloud-2.9.img, which is older" in KeptImage.objects.get().problem
    Path(KeptImage.objects.get().iso.volume.path).unlink()
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)
    assert a_day_later() == []
    assert "not in its pool any more" in KeptImage.objects.get().problem


@pytest.mark.libvirt
@pytest.mark.parametrize("step", ["storage.fetching.tasks.add_image", "jobs.runner._finish", "look", "remove"])
def test_a_worker_that_is_killed_at_any_step_leaves_nothing_half_made(
    vendor, january, pool, admin, new_pool, monkeypatch, step
):
    class Killed(BaseException):
        pass

    def kill(*_arguments, **_options):
        raise Killed

    other = new_pool()
    (job,) = copies.copy_image(january, [other], by=admin, keep_in_step=True)
    assert run(job).status == "succeeded", job.error
    vendor.publish(b"FebruarY" * 999)
    with monkeypatch.context() as broken:
        if step == "look":
            broken.setattr(catalogue, "current", kill)
        elif step == "remove":
            a_day_later()
            delete = volumes.delete_volume
            broken.setattr(volumes, "delete_volume", lambda *which: kill(delete(*which)))
        else:
            broken.setattr(step, kill)
        with pytest.raises(Killed):
            a_day_later()
    Job.objects.active().update(lease_until=timezone.now() - timedelta(seconds=1))
    roll_back_dead_jobs()
    assert not JobUndo.objects.exists()
    assert KeptImage.objects.get().iso.volume.name in files(pool)
    assert files(pool)[KeptImage.objects.get().iso.name] in (b"January", b"Februar")
    for _day in range(6):
        a_day_later()
    assert files(pool) == files(other) == {dated(): b"Februar"}


@pytest.mark.libvirt
def test_two_at_once_are_one_and_what_the_pool_has_is_not_fetched_again(vendor, january, pool, admin):
    vendor.publish(b"FebruarY" * 999)
    KeptImage.objects.update(ask_at=timezone.now())
    by_hand = fetching.fetch_entry(pool, KEY, by=admin, keep_current=True, keep_former=True)
    tasks.look()
    assert Job.objects.active().get() == by_hand
    with pytest.raises(Busy):
        services.fetch_newer(KeptImage.objects.get(), by=admin)
    assert run(by_hand).status == "succeeded", by_hand.error
    kept = KeptImage.objects.get()
    assert (kept.iso_id, kept.keep_former) == (by_hand.result["iso_id"], True)
    assert not FormerImage.objects.exists()
    vendor.asked()
    again = run(fetching.fetch_entry(pool, KEY, by=admin, keep_current=True))
    assert again.result["iso_id"] == kept.iso_id
    assert vendor.asked() == ["SHA512SUMS"]
    assert a_day_later() == []
    assert set(files(pool)) == {LATEST, dated()}


@pytest.mark.libvirt
def test_it_is_turned_on_and_off_and_only_by_those_who_may(vendor, pool, admin, operator, viewer, client):
    vendor.publish(b"January" * 999)
    with pytest.raises(Invalid) as refused:
        fetching.fetch_entry(pool, "bare", by=admin, keep_current=True)
    assert refused.value.field == "keep_current"
    iso = Iso.objects.get(pk=run(fetching.fetch_entry(pool, KEY, by=admin)).result["iso_id"])
    assert not KeptImage.objects.exists()
    client.force_login(viewer)
    url, rest = f"/isos/{iso.pk}/current/", f"/api/v1/isos/{iso.pk}/current"
    for method, address in ((client.get, url), (client.post, url), (client.put, rest), (client.delete, rest)):
        assert method(address, {}, content_type="application/json").status_code == 404
    client.force_login(operator)
    assert client.get(rest).status_code == 404
    assert "fetched anew" in client.get(url).content.decode()
    assert client.post(url, {"keep_former": "on"}).status_code == 302
    assert client.get(rest).json()["keep_former"] is True
    page = client.get(f"/isos/{iso.pk}/").content.decode()
    assert "operator-of-tests" in page
    assert "kept current" in client.get("/isos/").content.decode()
    assert client.get("/api/v1/isos").json()["items"][0]["kept_current"] is True
    assert "kept current" in client.get("/isos/fetch/").content.decode()
    answer = client.put(rest, {"keep_former": False}, content_type="application/json")
    assert (answer.status_code, answer.json()["keep_former"], answer.json()["entry"]) == (200, False, KEY)
    asked = client.post(f"{rest}/ask")
    assert asked.status_code == 202
    job = run(Job.objects.get(pk=asked.json()["id"]))
    assert (job.status, job.result["iso_id"]) == ("succeeded", iso.pk), job.error
    assert client.post(f"/isos/{iso.pk}/current/off/").status_code == 302
    assert not KeptImage.objects.exists()
    assert client.delete(rest).status_code == 204
    assert {"keep_image_current", "let_image_go"} <= set(AuditEntry.objects.values_list("action", flat=True))
    posted = {"pool": pool.pk, "entry": KEY, "keep_current": "on"}
    assert client.post("/isos/fetch/entry/", posted).status_code == 302
    run(Job.objects.active().get())
    assert KeptImage.objects.get().created_by == operator
    body = {"pool": pool.pk, "url": "https://example.org/x.iso", "keep_current": True}
    answer = client.post("/api/v1/isos/fetch", body, content_type="application/json")
    assert (answer.status_code, answer.json()["field"]) == (422, "keep_current")
    Grant.objects.filter(user=operator).update(role="viewer")
    vendor.publish(b"FebruarY" * 999)
    assert a_day_later() == []
    assert "may not put files" in KeptImage.objects.get().problem
    Iso.objects.filter(pk=iso.pk).update(entry="")
    KeptImage.objects.all().delete()
    with pytest.raises(WrongState):
        services.keep_current(Iso.objects.get(pk=iso.pk), by=admin)


@pytest.mark.django_db
def test_the_page_of_a_former_copy_names_the_newer_image_only_to_those_who_may_see_it(local_host, admin, client):
    far = Host.objects.create(name="far", uri="qemu+ssh://far/system", state="connected")
    isos = []
    for host, name in ((local_host, "newest.img"), (far, "copy.img")):
        pool = Pool.objects.create(host=host, uuid=uuid.uuid4(), name="iso", type="dir", is_active=True)
        volume = Volume.objects.create(pool=pool, name=name, path=f"/srv/{name}", capacity_bytes=1)
        isos.append(Iso.objects.create(volume=volume, kind="cloud", is_iso9660=False, entry=KEY, sha256="a" * 64))
    newest, copy = isos
    kept = KeptImage.objects.create(iso=newest, pool=newest.volume.pool, entry=KEY, sha256="a" * 64)
    FormerImage.objects.create(iso=copy, kept=kept, sha256="a" * 64)
    there = User.objects.create_user("there", password="correct horse battery")
    Grant.objects.create(user=there, role="viewer", scope_kind="host", scope_id=far.pk)
    for user, is_named in ((admin, True), (there, False)):
        client.force_login(user)
        page = client.get(f"/isos/{copy.pk}/").content.decode()
        assert "has taken the place of this one" in page
        assert ("newest.img" in page) is is_named
        assert "replaced" in client.get("/isos/").content.decode()
    assert not formers.removable().exists()  # its successor there has not arrived
    ImageCopy.objects.create(iso=newest, pool=copy.volume.pool, keep_in_step=True, made_from="a" * 64)
    assert formers.removable().get().iso == copy
