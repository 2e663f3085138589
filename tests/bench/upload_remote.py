"""A 512 MiB upload through the web process into a pool of another host, against `virsh vol-upload` of the same file."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.lab_hosts import Lab, running_lab
from tests.storage.upload_site import Site

from .table import Row, at_least
from .upload import Growth, random_file

MIB = 2**20
SIZE = 512 * MIB
ROUNDS = 3
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
                rows += _compare(site, lab, transport, source)
        finally:
            site.kill()
    return rows


def _compare(site: Site, lab: Lab, transport: str, source: Path) -> list[Row]:
    uri = lab.uri_over(transport)
    site.sql("UPDATE hosts_host SET uri = ?, state = 'connected' WHERE name = 'far'", uri)
    site.sql("UPDATE storage_pool SET name = 'far', available_bytes = ? WHERE id = ?", 2**40, site.pools["far"])
    ratios, growths, ours = [], [], []
    for number in range(ROUNDS + 1):
        plain = _virsh(uri, source, f"plain-{transport}-{number}.img", lab)
        took, growth = _upload(site, source, f"ours-{transport}-{number}.img", lab)
        if number:  # the first round warms up
            ratios.append(plain / took)
            growths.append(growth)
            ours.append(SIZE / took / MIB)
    return [
        Row(what=f"upload over {transport}", figure=f"{statistics.median(ours):.0f} MiB/s"),
        at_least(f"upload over {transport} against virsh vol-upload", statistics.median(ratios), 0.7),
        Row(what=f"growth of the web process, {transport}", figure=f"{max(growths):.1f} MiB"),
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


def send(site: Site, path: str, source: Path) -> None:
    """In requests of CHUNK bytes, as the page sends them; no Python takes time on the side of the sender."""
    token = site.tokens["ann"]
    for offset in range(0, SIZE, CHUNK):
        command = ["curl", "-sSf", "-X", "PATCH", f"-HAuthorization: Bearer {token}", "-HTus-Resumable: 1.0.0",
                   "-HContent-Type: application/offset+octet-stream", f"-HUpload-Offset: {offset}", "-HExpect:",
                   "-T", "-", "-H", "Transfer-Encoding:", "-H", f"Content-Length: {CHUNK}",
                   f"{site.url.removesuffix('/api/v1/uploads')}{path}"]  # fmt: skip
        with subprocess.Popen(
            ["dd", f"if={source}", f"skip={offset // MIB}", f"count={CHUNK // MIB}", "bs=1M", "status=none"],
            stdout=subprocess.PIPE,
        ) as feed:
            subprocess.run(command, check=True, stdin=feed.stdout, capture_output=True, timeout=300)


def _upload(site: Site, source: Path, name: str, lab: Lab) -> tuple[float, float]:
    path = site.new(name, SIZE, pool=str(site.pools["far"]))
    assert site.process
    watch = Growth(site.process.pid)
    start = time.perf_counter()
    send(site, path, source)
    took = time.perf_counter() - start
    growth = watch.stop()
    lab.virsh(1, "vol-delete", name, "--pool", "far")
    return took, growth
