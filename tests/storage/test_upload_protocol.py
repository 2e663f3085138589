"""tus as its clients speak it: tuspy, curl and plain requests."""

import base64
import hashlib
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from tests.storage.upload_site import UPLOADS, Site, pairs

MIB = 1024 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / f"{os.urandom(4).hex()}.iso"
    path.write_bytes(os.urandom(3 * MIB + 17))
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_tuspy_uploads_with_checksums_and_goes_on_later(site: Site, file: Path):
    client = TusClient(site.url, headers={"Authorization": f"Bearer {site.tokens['ann']}"})
    options = {"metadata": {"filename": file.name}, "chunk_size": MIB, "upload_checksum": True}
    first = client.uploader(str(file), **options)
    first.upload(stop_at=MIB)
    again = client.uploader(str(file), url=first.url, **options)
    assert again.offset == MIB
    again.upload()
    assert (site.iso / file.name).read_bytes() == file.read_bytes()


def test_tuspy_is_told_what_is_wrong(site: Site, file: Path):
    client = TusClient(site.url, headers={"Authorization": f"Bearer {site.tokens['ann']}"})
    with pytest.raises(TusCommunicationError) as caught:
        client.uploader(str(file), metadata={"filename": "../etc/passwd"}).upload()
    assert caught.value.status_code == 422
    assert b"cannot contain a slash" in caught.value.response_content


def test_curl_uploads_a_file_in_one_patch(site: Site, file: Path):
    path = site.new(file.name, file.stat().st_size, sha256=sha256(file.read_bytes()))
    command = ["curl", "-sS", "-X", "PATCH", "-T", str(file), "-o", "/dev/null", "-w", "%{http_code}"]
    for header in (
        f"Authorization: Bearer {site.tokens['ann']}",
        "Tus-Resumable: 1.0.0",
        "Upload-Offset: 0",
        "Content-Type: application/offset+octet-stream",
    ):
        command += ["-H", header]
    done = subprocess.run([*command, f"http://127.0.0.1:{site.port}{path}"], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("204", "")
    final = site.iso / file.name
    assert final.read_bytes() == file.read_bytes()
    assert (final.stat().st_mode & 0o777, final.stat().st_uid) == (0o644, os.geteuid())
    about = site.json(path)
    assert (about["state"], about["offset"], about["error"]) == ("done", file.stat().st_size, "")
    assert about["job_id"]
    assert about["iso_id"]
    assert not site.part(path).exists()


def test_options_says_what_the_server_can(site: Site):
    answer = site.ask("OPTIONS", by="")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,creation-with-upload,expiration,termination,checksum"
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_upload_in_pieces(site: Site):
    path = site.new("pieces & <bits>.iso", 10)
    head = site.ask("HEAD", path)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("0", "10")
    assert head.headers["Cache-Control"] == "no-store"
    assert f"filename {base64.b64encode(b'pieces & <bits>.iso').decode()}" in head.headers["Upload-Metadata"]
    assert head.headers["Upload-Expires"].endswith("GMT")
    first = site.patch(path, 0, b"01234")
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "5")
    for wrong in ("0", "4", "6", "10"):
        answer = site.patch(path, int(wrong), b"x")
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_offset")
    override = {
        "X-HTTP-Method-Override": "PATCH",
        "Upload-Offset": "5",
        "Content-Type": "application/offset+octet-stream",
    }
    assert site.ask("POST", path, data=b"567", headers=override).headers["Upload-Offset"] == "8"
    assert site.ask("POST", path, headers={"X-HTTP-Method-Override": "HEAD"}).headers["Upload-Offset"] == "8"
    assert site.patch(path, 8, iter([b"8", b"9"])).headers["Upload-Offset"] == "10"  # chunked
    assert (site.iso / "pieces & <bits>.iso").read_bytes() == b"0123456789"
    assert site.offset(path) == 10
    assert site.patch(path, 10, b"").status_code == 204  # a retry whose first answer was lost
    assert site.patch(path, 10, b"x").status_code == 413
    assert site.patch(path, 3, b"x").status_code == 409


def test_an_empty_file(site: Site):
    path = site.new("empty.iso", 0)
    assert (site.iso / "empty.iso").stat().st_size == 0
    assert site.json(path)["state"] == "done"
    assert site.offset(path) == 0


def test_creation_with_upload(site: Site):
    headers = {
        "Upload-Length": "6",
        "Upload-Metadata": pairs(filename="at-once.iso"),
        "Content-Type": "application/offset+octet-stream",
    }
    answer = site.ask("POST", data=b"abc", headers=headers)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "3")
    assert site.patch(answer.headers["Location"], 3, b"def").status_code == 204
    assert (site.iso / "at-once.iso").read_bytes() == b"abcdef"


def test_more_than_was_announced_is_refused(site: Site):
    path = site.new("more.iso", 5)
    assert site.patch(path, 0, b"123").status_code == 204
    answer = site.patch(path, 3, b"456")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_much")
    assert site.patch(path, 3, iter([b"4", b"5", b"6"])).status_code == 413  # nobody said how long it would be
    assert site.offset(path) == 3
    assert site.patch(path, 3, b"45").status_code == 204
    assert (site.iso / "more.iso").read_bytes() == b"12345"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_wrong_checksum_keeps_nothing_of_that_piece(site: Site, algorithm: str):
    piece = os.urandom(2 * MIB)
    path = site.new(f"{algorithm}.iso", len(piece))
    assert site.patch(path, 0, piece[:100]).status_code == 204

    def header(data: bytes) -> str:
        return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"

    answer = site.patch(path, 100, piece[100:], upload_checksum=header(b"something else"))
    assert (answer.status_code, answer.json()["code"]) == (460, "checksum_mismatch")
    assert site.offset(path) == 100
    assert site.patch(path, 100, piece[100:], upload_checksum=header(piece[100:])).status_code == 204
    assert (site.iso / f"{algorithm}.iso").read_bytes() == piece


@pytest.mark.parametrize("value", ["md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha256", "sha256 !!", "sha256 YWJj", "x"])
def test_checksums_that_mean_nothing_are_refused(site: Site, value: str):
    path = site.new(f"{os.urandom(4).hex()}.iso", 5)
    assert site.patch(path, 0, b"12345", upload_checksum=value).status_code == 400
    assert site.offset(path) == 0


def test_cancelling_removes_the_part(site: Site):
    path = site.new("cancelled.iso", 100)
    site.patch(path, 0, b"x" * 50)
    part = site.part(path)
    assert part.exists()
    assert site.ask("DELETE", path).status_code == 204
    assert not part.exists()
    assert site.ask("HEAD", path).status_code == 410
    assert site.patch(path, 50, b"x").json()["code"] == "upload_ended"
    assert site.ask("DELETE", path).status_code == 204
    assert site.new("cancelled.iso", 100) != path  # the name is free again


def test_a_finished_upload_cannot_be_cancelled(site: Site):
    path = site.new("kept.iso", 3)
    site.patch(path, 0, b"abc")
    answer = site.ask("DELETE", path)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_complete")
    assert (site.iso / "kept.iso").exists()


def test_two_of_one_name(site: Site):
    (site.iso / "there.iso").write_bytes(b"mine")
    answer = site.create("there.iso", 5)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (409, "name_exists", "name")
    first = site.new("twice.iso", 5)
    answer = site.create("twice.iso", 5)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_in_progress")
    assert answer.json()["details"] == first
    answer = site.create("twice.iso", 5, by="bob")
    assert (answer.status_code, answer.json()["details"]) == (409, "")


def test_a_name_taken_meanwhile_loses_nothing(site: Site):
    path = site.new("race.iso", 5)
    (site.iso / "race.iso").write_bytes(b"mine")
    answer = site.patch(path, 0, b"12345")
    assert (answer.status_code, answer.json()["code"]) == (409, "name_exists")
    assert (site.iso / "race.iso").read_bytes() == b"mine"
    about = site.json(path)
    assert (about["state"], about["offset"]) == ("receiving", 5)
    assert "exists already" in about["error"]
    (site.iso / "race.iso").unlink()
    assert site.patch(path, 5, b"").status_code == 204
    assert (site.iso / "race.iso").read_bytes() == b"12345"
    assert site.json(path)["error"] == ""


def test_a_client_whose_answer_was_lost_gets_the_same_upload(site: Site):
    first = site.new("again.iso", 5, fingerprint="tus-br-again-5")
    assert site.new("again.iso", 5, fingerprint="tus-br-again-5") == first
    assert site.create("again.iso", 6, fingerprint="tus-br-again-5").status_code == 409
    assert site.create("again.iso", 5, fingerprint="another").status_code == 409
    site.patch(first, 0, b"1")
    assert site.create("again.iso", 5, fingerprint="tus-br-again-5").status_code == 409


def test_the_list_of_what_can_go_on(site: Site):
    path = site.new("listed.iso", 100, by="bob", fingerprint="f")
    site.patch(path, 0, b"x" * 40, by="bob")
    done = site.new("done.iso", 1, by="bob")
    site.patch(done, 0, b"x", by="bob")
    site.new("not-mine.iso", 1, by="ann")
    everything = site.json(f"{UPLOADS}?limit=50", by="bob")
    receiving = site.json(f"{UPLOADS}?state=receiving", by="bob")
    assert {u["name"] for u in everything["items"]} == {"listed.iso", "done.iso"}
    assert [(u["name"], u["offset"], u["size_bytes"]) for u in receiving["items"]] == [("listed.iso", 40, 100)]
    assert receiving["items"][0]["pool"]["name"] == "iso"
    assert site.ask("GET", f"{UPLOADS}?limit=x").status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": None}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "1e3"}, 400),
        ({"Upload-Length": "٣".encode()}, 400),
        ({"Upload-Length": "9" * 25}, 400),
        ({"Upload-Length": "99999999999999999999"}, 413),
        ({"Upload-Length": str((1 << 60) - 1)}, 507),
        ({"Upload-Length": None, "Upload-Defer-Length": "1"}, 400),
        ({"Upload-Metadata": ""}, 422),
        ({"Upload-Metadata": "filename"}, 422),
        ({"Upload-Metadata": "filename ???"}, 400),
        ({"Upload-Metadata": "filename /w=="}, 400),
        ({"Upload-Metadata": "filename " + "YWFh" * 3000}, 400),
        ({"Upload-Metadata": pairs(filename="a\nb")}, 422),
        ({"Upload-Metadata": pairs(filename="x" * 256)}, 422),
        ({"Upload-Metadata": pairs(filename="ok.iso", sha256="abc")}, 422),
        ({"Upload-Metadata": pairs(filename="ok.iso", fingerprint="a\0b")}, 400),
        ({"Upload-Metadata": pairs(filename="ok.iso", pool="nonsense")}, 404),
        ({"Upload-Metadata": pairs(filename="ok.iso", pool="9" * 30)}, 404),
        ({"Tus-Resumable": None}, 412),
        ({"Tus-Resumable": "0.2.2"}, 412),
    ],
)
def test_creations_that_cannot_be(site: Site, headers: dict[str, str], status: int):
    before = site.parts()
    answer = site.ask("POST", headers={"Upload-Length": "5", "Upload-Metadata": pairs(filename="ok.iso"), **headers})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "details", "field"}
    if status == 412:
        assert answer.headers["Tus-Version"] == "1.0.0"
    assert site.parts() == before


@pytest.mark.parametrize(("pool", "status"), [("far", 507), ("lvm", 507), ("stopped", 409), ("gone", 501)])
def test_pools_that_take_no_uploads_say_so(site: Site, pool: str, status: int):
    answer = site.create("x.iso", 5, pool=str(site.pools[pool]))
    assert answer.status_code == status, answer.text
    assert site.sql("SELECT count(*) FROM storage_upload WHERE pool_id = ?", site.pools[pool]) == [(0,)]


def test_patches_that_cannot_be(site: Site):
    path = site.new("patches.iso", 5)
    assert site.patch(path, 0, b"x", content_type="application/json").status_code == 415
    assert site.patch(path, 0, b"x", upload_offset="").status_code == 400
    assert site.patch(path, 0, b"x", tus_resumable=None).status_code == 412
    assert site.ask("PUT", path).status_code == 405
    for nowhere in (f"{UPLOADS}/x", f"{path}/y", f"{UPLOADS}/{'0' * 36}", path[:-1]):
        assert site.ask("HEAD", nowhere).status_code == 404
    assert site.offset(path) == 0


def test_sentences_come_in_the_users_language(site: Site):
    answer = site.create("../x", 5)
    assert "slash" in answer.json()["message"]
    chinese = {"Upload-Length": "5", "Upload-Metadata": pairs(filename="../x"), "Accept-Language": "zh-hans"}
    assert site.ask("POST", headers=chinese).status_code == 422


def test_every_change_is_in_the_audit_log(site: Site):
    path = site.new("audited.iso", 5)
    site.ask("DELETE", path)
    rows = site.sql(
        "SELECT actor, action, remote_address, request_id FROM accounts_auditentry WHERE object_name = ?", "audited.iso"
    )
    assert [row[:3] for row in rows] == [
        ("ann (token tests)", "upload", "127.0.0.1"),
        ("ann (token tests)", "cancel_upload", "127.0.0.1"),
    ]
    assert all(row[3] for row in rows)


def test_a_head_does_not_wait_for_a_patch_under_way(site: Site):
    path = site.new("slow.iso", 100)

    def slowly():
        yield b"x" * 10
        time.sleep(1)
        yield b"x" * 10

    patch = threading.Thread(target=site.patch, args=(path, 0, slowly()))
    patch.start()
    time.sleep(0.5)
    before = time.monotonic()
    assert site.offset(path) <= 20
    assert time.monotonic() - before < 0.4
    patch.join()
    assert site.offset(path) == 20
