"""Who may upload, see and stop what; and that pages of other sites get nothing done."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.test_helper import start_helper
from tests.storage.upload_site import UPLOADS, Site, pairs

ROOT = Path(__file__).resolve().parents[2]


def creation(name: str) -> dict[str, str]:
    return {"Upload-Length": "5", "Upload-Metadata": pairs(filename=name)}


def test_nobody_gets_in_without_a_login(site: Site):
    path = site.new("mine.iso", 5)
    for by in ("", "kvmweb_1234_wrong", "nonsense"):
        for method, target in (("POST", ""), ("GET", ""), ("GET", path), ("PATCH", path), ("DELETE", path)):
            answer = site.ask(method, target, by=by, headers=creation("x.iso"))
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    basic = site.ask("GET", by="", headers={"Authorization": "Basic YTpi"}, cookies=site.cookies["ann"])
    assert basic.status_code == 401
    assert site.offset(path) == 0


def test_roles(site: Site):
    assert site.create("viewer.iso", 5, by="vic").status_code == 403
    assert site.create("nil.iso", 5, by="nil").status_code == 404  # not even the pool is there for them
    assert site.create("root.iso", 5, by="root").status_code == 201
    assert site.ask("POST", by=site.read_token, headers=creation("read.iso")).status_code == 403


def test_another_users_upload_is_not_there(site: Site):
    path = site.new("secret.iso", 5)
    for by in ("bob", "vic", "nil"):
        assert site.ask("HEAD", path, by=by).status_code == 404
        assert site.ask("GET", path, by=by).json()["code"] == "not_found"
        assert site.patch(path, 0, b"12345", by=by).status_code == 404
        assert site.ask("DELETE", path, by=by).status_code == 404
        assert "secret.iso" not in site.ask("GET", by=by).text
    assert site.ask("HEAD", path, by=site.read_token).status_code == 200
    assert site.patch(path, 0, b"12345", by=site.read_token).status_code == 403
    assert site.offset(path) == 0
    assert site.offset(path, by="root") == 0
    assert site.ask("DELETE", path, by="root").status_code == 204
    assert site.json(path)["state"] == "cancelled"


def test_a_session_uploads_too(site: Site):
    session = {"by": "", "cookies": site.cookies["ann"]}
    own = {"Origin": f"http://127.0.0.1:{site.port}"}
    made = site.ask("POST", headers={**creation("session.iso"), **own}, **session)
    assert made.status_code == 201, made.text
    path = made.headers["Location"]
    octets = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    assert site.ask("PATCH", path, data=b"12345", headers={**octets, **own}, **session).status_code == 204
    assert (site.iso / "session.iso").read_bytes() == b"12345"
    assert site.ask("GET", f"{UPLOADS}?state=done", headers={"Tus-Resumable": None}, **session).status_code == 200
    rows = site.sql("SELECT actor FROM accounts_auditentry WHERE object_name = 'session.iso' AND action = 'upload'")
    assert rows == [("ann",)]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"]
)
def test_pages_of_other_sites_get_nothing_done(site: Site, origin: str):
    session = {"by": "", "cookies": site.cookies["ann"], "headers": {**creation("evil.iso"), "Origin": origin}}
    answer = site.ask("POST", **session)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert not {h for h in answer.headers if h.lower().startswith("access-control")}
    preflight = site.ask("OPTIONS", by="", headers={"Origin": origin, "Access-Control-Request-Method": "PATCH"})
    assert not {h for h in preflight.headers if h.lower().startswith("access-control")}
    assert site.sql("SELECT count(*) FROM storage_upload WHERE name = 'evil.iso'") == [(0,)]


def test_a_form_of_another_site_cannot_post(site: Site):
    """What a browser may send across sites without asking: a simple request, with cookies, without our header."""
    form = {"Tus-Resumable": None, "Content-Type": "text/plain", **creation("form.iso")}
    answer = site.ask("POST", by="", cookies=site.cookies["ann"], headers=form, data=b"x")
    assert answer.status_code == 412
    assert site.sql("SELECT count(*) FROM storage_upload WHERE name = 'form.iso'") == [(0,)]


@pytest.fixture
def separated(tmp_path: Path, small_pool: Path) -> Iterator[Site]:
    """Root owns the pool and runs the helper; the server runs as somebody else, who is only in the group."""
    if os.geteuid() != 0:
        pytest.fail("this test changes users: run it as root")
    for parent in (tmp_path, *tmp_path.parents):
        parent.chmod(parent.stat().st_mode | 0o5)
    as_daemon = ["setpriv", "--reuid=1", "--regid=1", "--groups=65534", "--no-new-privs"]
    site = Site(tmp_path, small_pool, helper_socket=str(tmp_path / "helper.sock"), run_as=as_daemon)
    subprocess.run(["chown", "-R", "1:1", tmp_path / "var"], check=True)
    site.iso.chmod(0o711)
    helper = start_helper(tmp_path / "helper.sock", site.iso)
    site.start()
    yield site
    site.kill()
    helper.kill()
    helper.wait(10)


def test_a_server_without_rights_uploads_through_the_helper(separated: Site):
    site = separated
    assert site.process
    assert Path(f"/proc/{site.process.pid}").stat().st_uid == 1
    content = os.urandom(3_000_000)
    path = site.new("盘.iso", len(content))
    part = site.parts()[0]
    assert (part.stat().st_uid, part.stat().st_mode & 0o777) == (0, 0o600)
    assert site.patch(path, 0, content[:1_000_000]).headers["Upload-Offset"] == "1000000"
    assert site.json(path)["offset"] == 1_000_000
    assert site.patch(path, 1_000_000, content[1_000_000:]).status_code == 204
    done = site.iso / "盘.iso"
    assert done.read_bytes() == content
    assert (done.stat().st_uid, done.stat().st_mode & 0o777) == (0, 0o644)
    gone = site.new("gone.iso", 5)
    assert site.ask("DELETE", gone).status_code == 204
    assert sorted(p.name for p in site.iso.iterdir()) == ["盘.iso"]
    # Not one of the helper's directories: the bytes would go through libvirt, and the row says that nothing is free.
    answer = site.create("x.iso", 5, pool=str(site.pools["small"]))
    assert (answer.status_code, answer.json()["code"]) == (507, "no_space")


def test_without_the_helper_a_sentence_says_so(tmp_path: Path, small_pool: Path):
    site = Site(tmp_path, small_pool, helper_socket=str(tmp_path / "nobody-listens.sock"))
    site.start()
    try:
        answer = site.create("x.iso", 5)
        assert (answer.status_code, answer.json()["code"]) == (503, "helper_unreachable")
        assert site.sql("SELECT count(*) FROM storage_upload") == [(0,)]
    finally:
        site.kill()


def test_the_helper_needs_no_django():
    code = (
        "import storage.helper.__main__, sys; print([m for m in sys.modules if m.split('.')[0] in ('django', 'virt')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
