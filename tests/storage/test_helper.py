"""The root helper: what its verbs do on disk, what they refuse, whom it serves."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.helper.client import HelperClient
from storage.helper.parts import PartError, part_name

ROOT = Path(__file__).resolve().parents[2]
SIZE = 5


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "pool"
    path.mkdir()
    return path


@pytest.fixture
def helper_socket(tmp_path: Path, pool: Path) -> Iterator[str]:
    path = tmp_path / "helper.sock"
    process = start_helper(path, pool)
    yield str(path)
    process.terminate()
    process.wait(10)


def start_helper(path: Path, pool: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "storage.helper", "--socket", str(path), "--group", "nogroup", "--dir", str(pool)]
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            HelperClient(str(path)).free(str(pool))
            return process
        except PartError:
            time.sleep(0.02)
    process.kill()
    process.wait(10)
    raise AssertionError("the helper does not answer")


@pytest.fixture(params=["in this process", "through the socket"])
def client(request: pytest.FixtureRequest) -> HelperClient:
    if request.param == "in this process":
        return HelperClient()
    return HelperClient(request.getfixturevalue("helper_socket"))


def new_part(client: HelperClient, pool: Path, content: bytes = b"hello", name: str = "a.iso") -> str:
    upload_id = str(uuid.uuid4())
    client.create_part(str(pool), upload_id, name=name, size=len(content), reserve=0)
    fd = client.open_part(str(pool), upload_id)
    os.write(fd, content)
    os.close(fd)
    return upload_id


def code_of(function: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(PartError) as caught:
        function(*args, **kwargs)  # type: ignore[operator]
    return caught.value.code


def test_a_part_becomes_the_file(client: HelperClient, pool: Path) -> None:
    upload_id = new_part(client, pool)
    part = pool / part_name(upload_id)
    assert part.stat().st_mode & 0o777 == 0o600
    client.finish(str(pool), upload_id, name="安装 & <盘>.iso", size=SIZE)
    assert [p.name for p in pool.iterdir()] == ["安装 & <盘>.iso"]
    done = pool / "安装 & <盘>.iso"
    assert done.read_bytes() == b"hello"
    assert (done.stat().st_mode & 0o777, done.stat().st_uid) == (0o644, os.geteuid())


def test_finishing_twice_is_finishing(client: HelperClient, pool: Path) -> None:
    upload_id = new_part(client, pool)
    for _ in range(2):
        client.finish(str(pool), upload_id, name="a.iso", size=SIZE)
    assert (pool / "a.iso").read_bytes() == b"hello"


def test_a_finish_killed_between_link_and_unlink_goes_on(client: HelperClient, pool: Path) -> None:
    upload_id = new_part(client, pool)
    os.link(pool / part_name(upload_id), pool / "a.iso")  # where the file system has no RENAME_NOREPLACE
    client.finish(str(pool), upload_id, name="a.iso", size=SIZE)
    assert [p.name for p in pool.iterdir()] == ["a.iso"]


def test_a_taken_name_is_never_replaced(client: HelperClient, pool: Path) -> None:
    upload_id = new_part(client, pool)
    (pool / "a.iso").write_text("mine!")
    assert code_of(client.finish, str(pool), upload_id, name="a.iso", size=SIZE) == "exists"
    assert (pool / "a.iso").read_text() == "mine!"
    assert (pool / part_name(upload_id)).read_bytes() == b"hello"
    another = str(uuid.uuid4())
    assert code_of(client.create_part, str(pool), another, name="a.iso", size=1, reserve=0) == "exists"


def test_a_part_with_missing_bytes_is_not_finished(client: HelperClient, pool: Path) -> None:
    upload_id = new_part(client, pool)
    assert code_of(client.finish, str(pool), upload_id, name="a.iso", size=SIZE + 1) == "wrong_size"
    assert not (pool / "a.iso").exists()


def test_no_room_is_said_before_anything_is_made(client: HelperClient, pool: Path) -> None:
    free, total = client.free(str(pool))
    assert 0 < free <= total
    with pytest.raises(PartError) as caught:
        client.create_part(str(pool), str(uuid.uuid4()), name="a.iso", size=1, reserve=total)
    assert (caught.value.code, caught.value.free) == ("no_space", 0)
    assert list(pool.iterdir()) == []


def test_discard_and_sweep(client: HelperClient, pool: Path) -> None:
    one, old = new_part(client, pool), new_part(client, pool)
    long_ago = time.time() - 90_000
    os.utime(pool / part_name(old), (long_ago, long_ago))
    (pool / "other.part").touch()
    os.utime(pool / "other.part", (long_ago, long_ago))
    assert {p["id"]: p["size"] for p in client.list_parts(str(pool))} == {one: SIZE, old: SIZE}
    assert client.sweep(str(pool), older_than_s=86_400) == [old]
    assert client.discard(str(pool), one) is True
    assert client.discard(str(pool), one) is False
    assert [p.name for p in pool.iterdir()] == ["other.part"]


@pytest.mark.parametrize("name", ["../a", "a/b", "/etc/x", ".hidden", "..", "", "a\nb", "a\0b", "x" * 256, 7, None])
def test_names_that_could_leave_the_directory_are_refused(client: HelperClient, pool: Path, name: str) -> None:
    upload_id = new_part(client, pool)
    assert code_of(client.finish, str(pool), upload_id, name=name, size=SIZE) == "bad_request"
    assert [p.name for p in pool.iterdir()] == [part_name(upload_id)]


@pytest.mark.parametrize("upload_id", ["", "x", "../../etc/passwd", "F44919F8-2F0D-4073-BA9B-1359AE0E40C3\n", 5, None])
def test_ids_that_are_no_uuids_are_refused(client: HelperClient, pool: Path, upload_id: str) -> None:
    assert code_of(client.open_part, str(pool), upload_id) == "bad_request"
    assert code_of(client.discard, str(pool), upload_id) == "bad_request"


@pytest.mark.parametrize("size", [-1, 1 << 61, 1.5, "5", True, None])
def test_sizes_that_are_no_sizes_are_refused(client: HelperClient, pool: Path, size: int) -> None:
    upload_id = str(uuid.uuid4())
    assert code_of(client.create_part, str(pool), upload_id, name="a", size=size, reserve=0) == "bad_request"


def test_a_planted_link_is_not_followed(client: HelperClient, pool: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hello")
    secret.chmod(0o600)
    soft, hard = str(uuid.uuid4()), str(uuid.uuid4())
    (pool / part_name(soft)).symlink_to(secret)
    os.link(secret, pool / part_name(hard))
    for upload_id in (soft, hard):
        assert code_of(client.open_part, str(pool), upload_id) == "not_a_part"
        assert code_of(client.finish, str(pool), upload_id, name="a.iso", size=SIZE) == "not_a_part"
    assert code_of(client.create_part, str(pool), soft, name="b.iso", size=1, reserve=0) == "part_exists"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("hello", 0o600)


def test_directories_that_are_not_configured_are_not_served(helper_socket: str, pool: Path, tmp_path: Path) -> None:
    client = HelperClient(helper_socket)
    for directory in (str(tmp_path), "/etc", f"{pool}/../..", f"{pool}/sub"):
        assert code_of(client.free, directory) == "not_served"
    assert code_of(client.free, "pool") == "bad_request"
    assert client.free(f"{pool}/./")[1] == client.free(str(pool))[1]


@pytest.mark.parametrize(
    "packet",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        json.dumps({"verb": "list_parts"}).encode(),
        json.dumps({"verb": "unlink", "arguments": {"path": "/etc/passwd"}}).encode(),
        json.dumps({"verb": ["free"], "arguments": {}}).encode(),
        json.dumps({"verb": "free", "arguments": {"directory": "/", "more": 1}}).encode(),
    ],
)
def test_nonsense_is_answered_and_the_helper_lives_on(helper_socket: str, pool: Path, packet: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(helper_socket)
        connection.sendall(packet)
        answer = json.loads(connection.recv(65536))
    assert answer["error"]["code"] in ("bad_request", "io")
    assert HelperClient(helper_socket).list_parts(str(pool)) == []


def test_only_the_group_gets_in(helper_socket: str, pool: Path) -> None:
    """Twice guarded: the socket's mode, and the peer's credentials when the mode was opened up."""
    info = os.stat(helper_socket)
    assert (info.st_mode & 0o777, info.st_gid) == (0o660, 65534)
    assert ask_as(["--reuid=1", "--regid=1", "--clear-groups"], helper_socket, pool) == "unreachable"
    os.chmod(helper_socket, 0o666)
    assert ask_as(["--reuid=1", "--regid=1", "--clear-groups"], helper_socket, pool) == "denied"
    assert ask_as(["--reuid=1", "--regid=65534", "--clear-groups"], helper_socket, pool) == "served"
    assert ask_as(["--reuid=1", "--regid=1", "--groups=65534"], helper_socket, pool) == "served"


def ask_as(who: list[str], helper_socket: str, pool: Path) -> str:
    if os.geteuid() != 0:
        pytest.fail("this test changes users: run it as root")
    os.chmod(Path(helper_socket).parent, 0o755)
    for parent in Path(helper_socket).parents:
        if parent.stat().st_mode & 0o1 == 0:
            parent.chmod(parent.stat().st_mode | 0o1)
    script = (
        "import sys, json, socket\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: print('unreachable'); sys.exit()\n"
        "s.sendall(json.dumps({'verb': 'free', 'arguments': {'directory': sys.argv[2]}}).encode())\n"
        "answer = json.loads(s.recv(65536))\n"
        "print('served' if 'ok' in answer else answer['error']['code'])\n"
    )
    command = ["setpriv", *who, "/usr/bin/python3", "-c", script, helper_socket, str(pool)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def test_a_killed_helper_is_started_again_and_a_second_one_refused(tmp_path: Path, pool: Path) -> None:
    path = tmp_path / "helper.sock"
    first = start_helper(path, pool)
    try:
        second = subprocess.run(
            [sys.executable, "-m", "storage.helper", "--socket", path, "--group", "nogroup", "--dir", pool],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert (second.returncode, second.stderr) == (1, f"Another helper listens on {path} already.\n")
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        assert code_of(HelperClient(str(path)).free, str(pool)) == "unreachable"
        first = start_helper(path, pool)  # over the dead one's socket
    finally:
        first.kill()
        first.wait(10)


def test_the_helper_is_small(tmp_path: Path, pool: Path) -> None:
    process = start_helper(tmp_path / "helper.sock", pool)
    try:
        client = HelperClient(str(tmp_path / "helper.sock"))
        upload_id = new_part(client, pool)
        client.finish(str(pool), upload_id, name="a.iso", size=SIZE)
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        pss_kib = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        assert pss_kib < 16 * 1024
    finally:
        process.kill()
        process.wait(10)


def test_killed_at_any_instant_the_file_is_whole_or_goes_on(pool: Path) -> None:
    client, directory = HelperClient(), str(pool)
    content = os.urandom(200_000)
    killed = 0
    for number in range(60):
        name, upload_id = f"{number}.iso", new_part(client, pool, content)
        child = os.fork()
        if child == 0:
            client.finish(directory, upload_id, name=name, size=len(content))
            os._exit(0)
        time.sleep(random.uniform(0, 0.006))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        part, final = pool / part_name(upload_id), pool / name
        assert part.exists() or final.exists()
        client.finish(directory, upload_id, name=name, size=len(content))
        assert final.read_bytes() == content
        assert not part.exists()
    assert killed, "no child was killed in time: the test shows nothing"
