"""A volume comes to the browser: whole, in ranges, going on where it broke off, in constant memory."""

import asyncio
import hashlib
import os
import subprocess
import threading
from pathlib import Path

import pytest
import requests

from accounts.models import ApiToken, AuditEntry
from guests.models import Disk, Guest
from storage.downloads.app import DownloadApp
from storage.downloads.ranges import Unsatisfiable, wanted
from storage.inventory import refresh_pool
from storage.models import Volume

MIB = 1024**2


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-200", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("bytes=a-b", None),
    ],
)
def test_the_part_that_is_asked_for(header, part):
    assert wanted(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_part_that_is_not_there(header):
    with pytest.raises(Unsatisfiable):
        wanted(header, 100)


@pytest.fixture
def served(transactional_db):
    """The application in a real uvicorn of this process: `served(path, user=…, **headers)` asks it."""
    import socket
    import time

    import uvicorn
    from channels.auth import AuthMiddlewareStack

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(AuthMiddlewareStack(DownloadApp()), port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)

    def ask(volume_id, *, by, method="GET", stream=False, **headers):
        secret = ApiToken.issue(by, "tests", ApiToken.Scope.ADMINISTER)[1] if by else ""
        sent = {"Authorization": f"Bearer {secret}"} if by else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{port}/api/v1/volumes/{volume_id}/content"
        return requests.request(method, url, headers=sent, stream=stream, timeout=60)

    yield ask
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def volume(new_pool):
    """A raw disk of 40 MiB of noise, and its SHA-256."""
    pool = new_pool()
    path = Path(pool.target_path, "虚 disk.raw")
    path.write_bytes(os.urandom(40 * MIB))
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)
    return Volume.objects.get(pool=pool)


@pytest.mark.libvirt
def test_all_of_it_a_part_of_it_and_the_rest_of_it(served, volume, admin):
    content = Path(volume.path).read_bytes()
    whole = served(volume.pk, by=admin)
    assert whole.status_code == 200
    assert hashlib.sha256(whole.content).digest() == hashlib.sha256(content).digest()
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert "filename*=UTF-8''%E8%99%9A%20disk.raw" in whole.headers["Content-Disposition"]
    assert AuditEntry.objects.get(action="download_volume").object_id == str(volume.pk)
    head = served(volume.pk, by=admin, method="HEAD")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(40 * MIB), b"")

    part = served(volume.pk, by=admin, Range=f"bytes={10 * MIB}-", If_Range=whole.headers["ETag"])
    assert (part.status_code, part.content) == (206, content[10 * MIB :])
    assert part.headers["Content-Range"] == f"bytes {10 * MIB}-{40 * MIB - 1}/{40 * MIB}"
    assert served(volume.pk, by=admin, Range="bytes=5-6").content == content[5:7]
    outside = served(volume.pk, by=admin, Range=f"bytes={40 * MIB}-")
    assert (outside.status_code, outside.headers["Content-Range"]) == (416, f"bytes */{40 * MIB}")

    Path(volume.path).write_bytes(content[: 39 * MIB])
    with volume.pool.host.connect() as conn:
        refresh_pool(volume.pool.host, conn, volume.pool.name, rescan=True)
    other = served(volume.pk, by=admin, Range=f"bytes={10 * MIB}-", If_Range=whole.headers["ETag"])
    assert (other.status_code, len(other.content)) == (200, 39 * MIB)


@pytest.mark.libvirt
def test_a_reader_that_goes_away_leaves_nothing_open(served, volume, admin, virsh):
    for _time in range(3):
        answer = served(volume.pk, by=admin, stream=True)
        next(answer.iter_content(64 * 1024))
        answer.close()
    assert served(volume.pk, by=admin, Range="bytes=0-0").status_code == 206
    virsh("vol-delete", "--pool", volume.pool.name, volume.name)
    assert not Path(volume.path).exists()


@pytest.mark.libvirt
def test_curl_goes_on_where_it_broke_off(served, volume, admin, tmp_path):
    secret = ApiToken.issue(admin, "curl", ApiToken.Scope.ADMINISTER)[1]
    content = Path(volume.path).read_bytes()
    there = tmp_path / "disk"
    there.write_bytes(content[: 7 * MIB + 3])
    url = served(volume.pk, by=admin, method="HEAD").url
    command = ["curl", "-sSf", "-C", "-", "-o", str(there), "-H", f"Authorization: Bearer {secret}", url]
    subprocess.run(command, check=True)
    assert there.read_bytes() == content


@pytest.mark.libvirt
def test_who_may_and_when(served, volume, admin, viewer, stranger):
    assert served(volume.pk, by=None).status_code == 401
    for user in (viewer, stranger):
        assert served(volume.pk, by=user).status_code == 404
    assert served(10**17, by=admin).status_code == 404
    assert served(volume.pk, by=admin, method="POST").status_code == 405
    guest = Guest.objects.create(host=volume.pool.host, uuid=volume.pool.uuid, name="web-01", state="running")
    Disk.objects.create(guest=guest, target="vda", source=volume.path, volume=volume)
    refused = served(volume.pk, by=admin)
    assert (refused.status_code, refused.json()["code"]) == (409, "volume_in_use")
    assert "web-01" in refused.json()["message"]
