"""The byte path under bad luck: cut connections, a killed server, two writers, a full disk, a silent client."""

import hashlib
import os
import random
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.storage.upload_site import Site

MIB = 1024 * 1024


def wait_for(condition, timeout_s: float = 20.0):
    """What `condition()` gives as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def raw_patch(site: Site, path: str, offset: int, length: int, *headers: str) -> socket.socket:
    """A PATCH whose body the test sends itself."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    lines = [
        f"PATCH {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {site.tokens['ann']}",
        "Tus-Resumable: 1.0.0",
        "Content-Type: application/offset+octet-stream",
        f"Upload-Offset: {offset}",
        f"Content-Length: {length}",
        *headers,
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(65536).split(b" ", 2)[1])


def unlocked_offset(site: Site, path: str) -> int:
    """Where to go on, once the server has noticed that the connection is gone."""

    def try_nothing() -> bool:
        return site.patch(path, site.offset(path), b"").status_code == 204

    wait_for(try_nothing)
    return site.offset(path)


def test_cut_at_random_bytes_and_gone_on(site: Site):
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    content = rng.randbytes(5 * MIB + 3)
    path = site.new(f"cut-{seed}.iso", len(content))
    offset, cuts = 0, 0
    while offset < len(content):
        size = rng.choice([1, 100, 65_536, MIB - 1, MIB, MIB + 1, rng.randrange(1, 2 * MIB)])
        piece = content[offset : offset + size]
        connection = raw_patch(site, path, offset, len(content) - offset)
        connection.sendall(piece)
        if rng.random() < 0.5:  # reset instead of an orderly end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        cuts += 1
        assert cuts < 200
        if (site.iso / f"cut-{seed}.iso").exists():
            break
        reached = unlocked_offset(site, path)
        assert offset <= reached <= offset + len(piece), f"seed {seed}"
        offset = reached
        if cuts > 20:
            assert site.patch(path, offset, content[offset:]).status_code == 204
            break
    assert (site.iso / f"cut-{seed}.iso").read_bytes() == content, f"seed {seed}"


def test_what_arrived_before_the_cut_is_kept(site: Site):
    path = site.new("kept-part.iso", 10 * MIB)
    connection = raw_patch(site, path, 0, 10 * MIB)
    connection.sendall(b"k" * (3 * MIB))
    wait_for(lambda: site.offset(path) >= 2 * MIB)
    time.sleep(0.2)
    connection.close()
    assert unlocked_offset(site, path) >= 3 * MIB - 262_144  # at most what the server's own buffers held


def test_a_second_writer_is_turned_away_and_harms_nothing(site: Site):
    content = os.urandom(4 * MIB)
    path = site.new("locked.iso", len(content))
    first = raw_patch(site, path, 0, len(content))
    first.sendall(content[: 2 * MIB])
    wait_for(lambda: site.offset(path) >= MIB)
    for offset in (0, MIB, site.offset(path)):
        answer = site.patch(path, offset, b"?" * 100)
        assert (answer.status_code, answer.json()["code"]) == (423, "upload_locked")
    first.sendall(content[2 * MIB :])
    assert status_of(first) == 204
    assert (site.iso / "locked.iso").read_bytes() == content


def test_a_connection_that_hangs_up_with_a_checksum_leaves_nothing_unchecked(site: Site):
    path = site.new("unchecked.iso", 4 * MIB)
    connection = raw_patch(site, path, 0, 4 * MIB, "Upload-Checksum: sha1 " + "A" * 27 + "=")
    connection.sendall(b"u" * (3 * MIB))
    wait_for(lambda: site.offset(path) >= MIB)
    connection.close()
    wait_for(lambda: site.offset(path) == 0)


def test_cancelling_stops_the_request_that_writes(site: Site):
    path = site.new("stop.iso", 64 * MIB)
    connection = raw_patch(site, path, 0, 64 * MIB)
    connection.sendall(b"s" * (2 * MIB))
    wait_for(lambda: site.offset(path) >= MIB)
    assert site.ask("DELETE", path).status_code == 204
    connection.sendall(b"s" * (4 * MIB))
    assert status_of(connection) == 410
    assert not site.part(path).exists()


def test_killed_in_the_middle_and_gone_on(site: Site):
    content = os.urandom(8 * MIB)
    path = site.new("killed.iso", len(content), sha256=hashlib.sha256(content).hexdigest())
    connection = raw_patch(site, path, 0, len(content))
    connection.sendall(content[: 5 * MIB])
    wait_for(lambda: site.offset(path) >= 4 * MIB)
    site.kill()
    connection.close()
    site.start()
    offset = site.offset(path)
    assert 4 * MIB <= offset <= 5 * MIB
    assert site.patch(path, offset, content[offset:]).status_code == 204
    done = (site.iso / "killed.iso").read_bytes()
    assert hashlib.sha256(done).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("state", ["receiving", "finishing"])
@pytest.mark.parametrize("request_of", ["HEAD", "PATCH"])
def test_killed_between_the_last_byte_and_the_name(site: Site, state: str, request_of: str):
    """Made as it would be: all bytes on disk, the row in either state, the part with its old name."""
    name = f"late-{state}-{request_of}.iso"
    path = site.new(name, 5)
    site.part(path).write_bytes(b"12345")
    site.sql("UPDATE storage_upload SET state = ? WHERE name = ?", state, name)
    answer = site.ask("HEAD", path) if request_of == "HEAD" else site.patch(path, 5, b"")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (200 if request_of == "HEAD" else 204, "5")
    assert (site.iso / name).read_bytes() == b"12345"
    assert site.json(path)["state"] == "done"
    assert site.json(path)["iso_id"]


def test_killed_after_the_name_before_the_row_knew(site: Site):
    path = site.new("named.iso", 5)
    os.rename(site.part(path), site.iso / "named.iso")
    (site.iso / "named.iso").write_bytes(b"12345")
    site.sql("UPDATE storage_upload SET state = 'finishing' WHERE name = 'named.iso'")
    assert site.offset(path) == 5
    assert site.json(path)["state"] == "done"


def test_a_part_that_somebody_removed_is_said_to_be_gone(site: Site):
    path = site.new("removed.iso", 5)
    site.part(path).unlink()
    answer = site.patch(path, 0, b"12345")
    assert (answer.status_code, answer.json()["code"]) == (410, "upload_ended")
    assert site.json(path)["state"] == "failed"
    assert site.create("removed.iso", 5).status_code == 201


def test_no_room_is_said_at_the_start_and_other_uploads_count(site: Site):
    small = str(site.pools["small"])
    answer = site.create("big.iso", 100 * MIB, pool=small)
    assert (answer.status_code, answer.json()["code"]) == (507, "no_space")
    assert list(site.small.iterdir()) == []
    first = site.new("first.iso", 15 * MIB, pool=small)
    assert site.create("second.iso", 15 * MIB, pool=small).status_code == 507
    site.ask("DELETE", first)
    second = site.new("second.iso", 15 * MIB, pool=small)
    site.ask("DELETE", second)


def test_a_disk_that_fills_midway_loses_nothing(site: Site):
    content = os.urandom(20 * MIB)
    path = site.new("filled.iso", len(content), pool=str(site.pools["small"]))
    hog = site.small / "hog"
    subprocess.run(["fallocate", "-l", "30M", hog], check=True)
    answer = site.patch(path, 0, content)
    assert (answer.status_code, answer.json()["code"]) == (507, "no_space")
    offset = site.offset(path)
    assert 5 * MIB <= offset <= 10 * MIB
    hog.unlink()
    assert site.patch(path, offset, content[offset:]).status_code == 204
    assert (site.small / "filled.iso").read_bytes() == content
    (site.small / "filled.iso").unlink()


def test_a_client_that_falls_silent_gives_up_its_lock(tmp_path_factory: pytest.TempPathFactory, small_pool: Path):
    own = Site(tmp_path_factory.mktemp("silent"), small_pool)
    own.environment["UPLOAD_TEST_IDLE_S"] = "1"
    own.start()
    try:
        path = own.new("silent.iso", 100)
        connection = raw_patch(own, path, 0, 100)
        connection.sendall(b"x" * 10)
        time.sleep(0.3)
        assert own.patch(path, 0, b"y").status_code == 423
        wait_for(lambda: own.offset(path) == 10)
        assert status_of(connection) == 408
        assert own.patch(path, 10, b"z" * 90).status_code == 204
        assert (own.iso / "silent.iso").read_bytes() == b"x" * 10 + b"z" * 90
    finally:
        own.kill()


def test_memory_stays_the_same_and_several_at_once_come_whole(site: Site):
    """Four files of 64 MiB at once; each is checked on disk by another program."""
    piece = os.urandom(MIB)
    warm = site.new("warm.iso", 8 * MIB)
    site.patch(warm, 0, piece * 8)
    before = site.resident_kib()
    peak = before

    def upload(number: int) -> None:
        path = site.new(f"many-{number}.iso", 64 * MIB)
        assert site.patch(path, 0, (piece for _ in range(64))).status_code == 204

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, site.resident_kib())
        time.sleep(0.02)
    assert peak - before < 32 * 1024
    wanted = hashlib.sha256(piece * 64).hexdigest()
    for number in range(4):
        done = subprocess.run(
            ["sha256sum", site.iso / f"many-{number}.iso"], capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[0] == wanted
        (site.iso / f"many-{number}.iso").unlink()
