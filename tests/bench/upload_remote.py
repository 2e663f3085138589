"""A 512 MiB upload through the web process into a pool of another host, against `virsh vol-upload` of the same file."""

import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.lab_hosts import Lab, running_lab
from tests.storage.upload_site import Site

from .table import Row, at_least
from .upload import Growth, random_file

MIB = 2**20
SIZE = 512 * MIB
ROUNDS = 5
CHUNK = 64 * MIB  # what the page sends with one request


def main() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, running_lab(net="192.168.195") as lab:
        lab.virsh(1, "pool-create-as", "far", "dir", "--target", "/var/lib/libvirt/images")
        top = Path(directory)
        (top / "site").mkdir()
        (top / "small").mkdir()
        source = top / "source"
        random_file(source, SIZE)
        site = Site(top / "site", top / "small")
        site.start()
        try:
            for transport in ("ssh", "tls"):
                rows += _compare(site, lab, transport, source, SIZE, "in one request")
                rows += _compare(site, lab, transport, source, CHUNK, "in requests of 64 MiB")
        finally:
            site.kill()
    return rows


def _compare(site: Site, lab: Lab, transport: str, source: Path, chunk: int, how: str) -> list[Row]:
    uri = lab.uri_over(transport)
    site.sql("UPDATE hosts_host SET uri = ?, state = 'connected' WHERE name = 'far'", uri)
    site.sql("UPDATE storage_pool SET name = 'far', available_bytes = ? WHERE id = ?", 2**40, site.pools["far"])
    ratios, growths, ours = [], [], []
    for number in range(ROUNDS + 1):
        plain = _virsh(uri, source, f"plain-{transport}-{number}.img", lab)
        took, growth = _upload(site, source, f"ours-{transport}-{chunk}-{number}.img", lab, chunk)
        if number:  # the first round warms up
            ratios.append(plain / took)
            growths.append(growth)
            ours.append(SIZE / took / MIB)
    return [
        Row(what=f"upload over {transport} {how}", figure=f"{statistics.median(ours):.0f} MiB/s"),
        at_least(f"upload over {transport} {how} against virsh vol-upload", statistics.median(ratios), 0.7),
        Row(what=f"growth of the web process, {transport} {how}", figure=f"{max(growths):.1f} MiB"),
    ]


def _virsh(uri: str, source: Path, name: str, lab: Lab) -> float:
    def virsh(*words: str) -> None:
        subprocess.run(["virsh", "-q", "-c", uri, *words], check=True, capture_output=True, timeout=120)

    virsh("vol-create-as", "far", name, str(SIZE), "--format", "raw", "--allocation", "0")
    start = time.perf_counter()
    virsh("vol-upload", name, str(source), "--pool", "far")
    took = time.perf_counter() - start
    virsh("vol-delete", name, "--pool", "far")
    return took


def send(site: Site, path: str, source: Path, chunk: int) -> None:
    """In requests of `chunk` bytes. The kernel copies the file into the socket, so that the sender takes as little time
    from kvmweb as virsh takes to read it."""
    at = urlsplit(site.url)
    with socket.create_connection((str(at.hostname), at.port or 80)) as connection, source.open("rb") as file:
        for offset in range(0, SIZE, chunk):
            head = {
                "Host": at.netloc, "Authorization": f"Bearer {site.tokens['ann']}", "Tus-Resumable": "1.0.0",
                "Content-Type": "application/offset+octet-stream", "Upload-Offset": offset, "Content-Length": chunk,
            }  # fmt: skip
            lines = [f"PATCH {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
            connection.sendall("\r\n".join(lines).encode())
            connection.sendfile(file, offset, chunk)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 204 "), answer


def _upload(site: Site, source: Path, name: str, lab: Lab, chunk: int) -> tuple[float, float]:
    path = site.new(name, SIZE, pool=str(site.pools["far"]))
    assert site.process
    watch = Growth(site.process.pid)
    start = time.perf_counter()
    send(site, path, source, chunk)
    took = time.perf_counter() - start
    growth = watch.stop()
    lab.virsh(1, "vol-delete", name, "--pool", "far")
    return took, growth
